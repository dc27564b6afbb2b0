"""A dry run on one screen: never more than 40 lines, whatever the recipe; and all that is missing, not the first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from transformers import XLMRobertaConfig
from typer.testing import CliRunner

from dist_stilts.__main__ import app
from dist_stilts.config import find_recipe, load, shipped_recipes
from dist_stilts.errors import UserError
from dist_stilts.experiment.missing import Findings
from dist_stilts.experiment.plan import expand
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.screen import screen
from dist_stilts.study.design import study_runs
from dist_stilts.verbs.common import load_recipe

OWN = """\
data:
  root: {root}
  max_length: 64
  own_tasks:
    mine:
      family: sequence
      files: {{train: train.csv, dev: dev.csv, test: "test.{{lang}}.csv"}}
      columns: {{text_a: text}}
      languages: [en, de, fi]
encoder: {{path: {root}/model}}
phases: {{mine: {{tasks: {{mine: {{}}}}, evaluate: {{mine: {{languages: [en, de, fi]}}}}}}}}
"""
ROWS = "text,label\none,yes\ntwo,no\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mine(here: Path) -> Callable[..., tuple[str, Findings]]:
    """A recipe that lacks nothing, and what a dry run says of it with some of its files changed."""
    for name in ("train.csv", "dev.csv", "test.en.csv", "test.de.csv", "test.fi.csv"):
        (here / name).write_text(ROWS)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    XLMRobertaConfig(vocab_size=100, max_position_embeddings=66, **sizes).save_pretrained(here / "model")
    save_file({"weight": np.zeros(1)}, here / "model" / "model.safetensors")
    (here / "model" / "tokenizer.json").write_text('{"added_tokens": [], "model": {"vocab": []}}')
    (here / "mine.yaml").write_text(OWN.format(root=here))

    def looked(*overrides: str, ranks: int = 2) -> tuple[str, Findings]:
        recipe = load_recipe("mine.yaml", list(overrides))
        return screen(recipe, expand(recipe), "dist-stilts run mine.yaml", ranks)

    return looked


@pytest.mark.parametrize("name", shipped_recipes())
@pytest.mark.parametrize("expanded", [expand, study_runs], ids=["run", "study"])
def test_any_recipe_fits_a_screen_and_has_all_its_phases_there(name: str, expanded: Callable[[Recipe], list]) -> None:
    recipe = load(Recipe, find_recipe(name), ["name=nowhere"])
    text, _ = screen(recipe, expanded(recipe), f"dist-stilts run {name}", 8)
    lines = text.splitlines()
    assert len(lines) <= 40
    assert [phase for phase in recipe.phases if not any(line.startswith(f"{phase} ") for line in lines)] == []
    assert lines[0].startswith(f"nowhere: {len(recipe.phases)} phases, {len(expanded(recipe)):,} runs on 8 ranks")
    assert [line.split()[0] for line in lines if line][-2:] == ["start", "more"]


def test_more_phases_and_faults_than_fit_are_counted(here: Path) -> None:
    phases = ", ".join(f"p{number}: {{evaluate: {{tatoeba: {{}}, bucc2018: {{}}}}}}" for number in range(60))
    (here / "many.yaml").write_text(f"phases: {{{phases}}}")
    recipe = load(Recipe, here / "many.yaml", ["train.batch_size=1", "encoder.path=/none"])
    text, found = screen(recipe, expand(recipe), "command", 2)
    assert len(text.splitlines()) <= 40
    assert "… and 44 more phases with 44 runs" in text
    assert len(found.missing) == 3


def test_what_could_start_says_steps_memory_and_where_time_comes_from(
    mine: Callable[..., tuple[str, Findings]],
) -> None:
    text, found = mine("train.epochs=8", "train.batch_size=4")
    assert found == Findings()
    assert "mine   target     1  encoder      mine          2      4  mine" in text
    for line in (
        "steps    4 in all\n",
        " GiB per GPU at most, in mine (0.07",
        "missing  nothing: it can start\n",
        "NVIDIA A100 at 35%",
    ):
        assert line in text
    assert "start    dist-stilts run mine.yaml\n" in text


def test_an_adapter_needs_its_base(mine: Callable[..., tuple[str, Findings]], here: Path) -> None:
    from peft import LoraConfig

    adapter = LoraConfig(base_model_name_or_path=str(here / "model"))
    adapter.save_pretrained(here / "adapter")
    assert mine("encoder.path=adapter", "train.batch_size=4")[1].missing == []
    (here / "model" / "model.safetensors").unlink()
    (line,) = mine("encoder.path=adapter", "train.batch_size=4")[1].missing
    assert "encoder.path, the adapter's base: the folder has no weights" in line


def test_everything_that_is_missing_is_listed(mine: Callable[..., tuple[str, Findings]], here: Path) -> None:
    (here / "dev.csv").write_text("words,label\none,yes\n")
    (here / "test.de.csv").unlink()
    (here / "test.fi.csv").unlink()
    (here / "test.en.csv").write_text("text,label\none,maybe\n")
    (here / "model" / "tokenizer.json").unlink()
    text, found = mine("train.deepspeed=zero9", "train.batch_size=1", "phases.mine.sizes=[50]")
    expected = (
        "train.batch_size=1 leaves some of 2 ranks without a row",
        "50 rows of mine train, there are 2",
        "encoder.path: the folder has no tokenizer",
        "dev.csv:2: no column 'text'",
        "mine test for 'de' is not on disk",
    )
    assert [part for part in expected if not any(part in line for line in found.missing)] == []
    assert len(found.missing) == len(expected)
    assert "missing  5 things: it cannot start\n" in text
    assert "(and so for fi)" in text
    assert "mine test for 'en' has labels that train lacks: maybe" in text


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.root=none", "none: the data folder does not exist"),
        ("encoder.path=./none", "encoder.path: no such model folder"),
        ("encoder.tokenizer=./none", "encoder.tokenizer: no such model folder"),
        ("encoder.path=null", "nothing says which encoder to start from"),
        ("train.deepspeed=zero9", "unknown train.deepspeed 'zero9'"),
    ],
)
def test_one_thing_that_is_missing_is_said_and_its_exit_code_is_that_of_bad_input(
    mine: Callable[..., tuple[str, Findings]], override: str, message: str
) -> None:
    assert any(message in line for line in mine(override)[1].missing)
    done = CliRunner().invoke(app, ["run", "mine.yaml", "--dry-run", override])
    assert isinstance(done.exception, UserError)
    assert done.exception.code == 2
    assert message in done.output


def test_files_named_by_whole_paths_are_looked_for_without_a_data_root(
    mine: Callable[..., tuple[str, Findings]], here: Path
) -> None:
    names = {"train": "train.csv", "dev": "dev.csv", "test": "test.{lang}.csv"}
    whole = ["data.root=null", *(f"data.own_tasks.mine.files.{split}={here / name}" for split, name in names.items())]
    text, found = mine(*whole)
    assert (found.missing, found.fetched) == ([], [])
    assert text == mine()[0]
    (here / "dev.csv").unlink()
    assert "mine dev for 'en' is not on disk" in mine(*whole)[1].missing[0]


def test_a_model_of_the_hub_that_is_not_here_will_be_fetched_unless_the_hub_may_not_be_asked(
    mine: Callable[..., tuple[str, Findings]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    text, found = mine("encoder.path=nobody/nothing-of-this-name")
    assert (found.missing, found.fetched) == ([], ["nobody/nothing-of-this-name (model)"])
    assert "memory   not known before the model is fetched" in text
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set" in mine("encoder.path=nobody/nothing-of-this-name")[1].missing[0]


def test_the_rest_is_behind_verbose(mine: Callable[..., tuple[str, Findings]]) -> None:
    short, long = (CliRunner().invoke(app, ["run", "mine.yaml", "--dry-run", *more]) for more in ([], ["--verbose"]))
    assert short.exit_code == long.exit_code == 0
    assert long.output.startswith(short.output)
    assert "# resolved recipe" in long.output
    assert "torchrun" in long.output
    refused = CliRunner().invoke(app, ["run", "mine.yaml", "--verbose"])
    assert "--verbose is for --dry-run" in str(refused.exception)
