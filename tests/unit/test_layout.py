"""Where everything lies."""

from __future__ import annotations

from pathlib import Path

from dist_stilts.layout import RecipeFolder, RunFolder, mining_curve, mining_embeddings, prediction_file, split_in_names


def test_names_of_folders_and_files() -> None:
    run = RecipeFolder(Path("out"), "recipe").run("xnli@mnli")
    assert run == RunFolder(Path("out/recipe/xnli@mnli"))
    properties = ("config", "status", "checkpoints", "model", "events", "metrics", "results", "predictions")
    assert len({getattr(run, name) for name in properties}) == len(properties)
    assert all(getattr(run, name).parent == run.path for name in properties)
    assert run.checkpoint(500) == run.checkpoints / "step-000500"
    assert RecipeFolder(Path("out"), "a").prepared == RecipeFolder(Path("out"), "b").prepared, "shared"
    assert prediction_file(Path("p"), "xnli", "test", "de") == Path("p/xnli/test-de.tsv"), "as XTREME has it"
    pairs = Path("out/de-en.v2.tsv")
    assert mining_embeddings(pairs) == Path("out/de-en.v2.embeddings")
    assert mining_curve(pairs) == Path("out/de-en.v2.curve.tsv")


def test_slices_have_names_that_differ_and_hold_no_brackets() -> None:
    names = [split_in_names(split) for split in ("dev", "dev[50%:60%]", "dev[:60%]", "dev[60%:]", "dev[5%:60%]")]
    assert names[:2] == ["dev", "dev_50-60"]
    assert len(set(names)) == len(names)
    assert not set("".join(names)) & set("[]:%/")
