from __future__ import annotations

import os
from pathlib import Path

import pytest

from dist_stilts.errors import UserError
from dist_stilts.layout import (
    COMPLETE,
    RecipeFolder,
    RunFolder,
    is_complete,
    mining_curve,
    mining_embeddings,
    prediction_file,
    publish,
    require_writable,
    split_in_names,
    write_text,
)


def test_write_text_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "status.json"
    write_text(path, "old")
    write_text(path, "новый")
    assert path.read_text(encoding="utf-8") == "новый"
    assert [file.name for file in path.parent.iterdir()] == ["status.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_old_file_is_intact_if_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "status.json"
    write_text(path, "old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"


def test_marker_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "partial"
    folder.mkdir()
    (folder / "a").touch()
    (folder / "b").touch()

    def fail(_: int) -> None:
        raise OSError

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"^$"):
        publish(folder, tmp_path / "whole")
    assert not is_complete(folder)
    assert not (tmp_path / "whole").exists()


def test_publishing_replaces_an_unfinished_folder_and_keeps_the_note(tmp_path: Path) -> None:
    for name in ("partial", "whole"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert not is_complete(tmp_path / "whole")
    publish(tmp_path / "partial", tmp_path / "whole", "note")
    assert sorted(file.name for file in (tmp_path / "whole").iterdir()) == [COMPLETE, "partial"]
    assert (tmp_path / "whole" / COMPLETE).read_text() == "note"


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


def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    require_writable(tmp_path / "new" / "pairs.tsv")
    assert (tmp_path / "new").is_dir()
    with pytest.raises(UserError, match="new: is a folder"):
        require_writable(tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file: cannot be made a folder"):
        require_writable(tmp_path / "file" / "pairs.tsv")
