"""What a user can get wrong: one line that says what, where and what to do; exit code 2; nothing lost."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


@pytest.fixture
def refused(cli: Callable) -> Callable[..., str]:
    """Run a command that must be refused with exit code 2 and one ``error:`` line; returns that line."""

    def refused_(*args: str) -> str:
        done = cli(*args)
        errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert len(errors) == 1, done.stderr
        return errors[0]

    return refused_


@pytest.fixture(scope="module")
def world(cli: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world") / "world"
    assert cli("simulate", "--out", str(out)).returncode == 0
    return out


@pytest.fixture
def real(world: Path, tiny: Path, tmp_path: Path) -> tuple[str, ...]:
    """Arguments of a recipe that reads a copy of the world as if it were anyone's data."""
    shutil.copytree(world, tmp_path / "data", ignore=shutil.ignore_patterns("COMPLETE"))
    return (
        str(tiny),
        f"out={tmp_path / 'runs'}",
        "data.simulate=null",
        f"data.root={tmp_path / 'data'}",
        f"encoder.tokenizer={world / 'tokenizer'}",
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("quickstrat", ["quickstart"]),
        ("nowhere/mine.yaml", ["no such recipe file"]),
        ("learning_rat: 1e-5", ["mine.yaml:3", "'train.learning_rate' (Peak learning rate)"]),
        ("batch_size: many", ["mine.yaml:3", "train.batch_size"]),
    ],
)
def test_a_recipe_that_is_none_or_wrong_is_named_with_the_line_and_the_nearest_name(
    refused: Callable, tmp_path: Path, name: str, said: list[str]
) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"seed: 1\ntrain:\n  {name}\n")
    error = refused("run", str(recipe) if " " in name else name)
    assert [words for words in said if words not in error] == []


def test_unknown_task_names_the_nearest(refused: Callable, tiny: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(tiny.read_text().replace("evaluate: {xnli:", "evaluate: {xnl:"))
    assert "'xnli'" in refused("run", str(recipe), f"out={tmp_path}")


def test_unknown_language_and_missing_data_folder_are_named(refused: Callable, real: tuple[str, ...]) -> None:
    assert "no language 'qax'" in refused("prepare", *real, "phases.pretrain.tasks.mlm.languages=[qax]")
    assert "nowhere" in refused("run", *real, "data.root=/nowhere/at/all")


def test_missing_and_empty_data_files_are_named(refused: Callable, real: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "data/udpos/train-en.tsv").write_text("")
    assert "train-en.tsv" in refused("prepare", *real)
    (tmp_path / "data/udpos/train-en.tsv").unlink()
    assert "udpos/train-en.tsv" in refused("prepare", *real)


def test_a_bad_row_is_named_with_its_line_and_leaves_no_cache(
    refused: Callable, real: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "data/udpos/train-en.tsv"
    lines = path.read_text().splitlines()
    lines[2] = "word without a tag"
    path.write_text("\n".join(lines))
    assert "train-en.tsv:3" in refused("prepare", *real)
    assert not list((tmp_path / "runs/prepared").glob("udpos-*"))


def lose_tokenizer(model: Path, finished: Path) -> None:
    (model / "tokenizer.json").unlink()


def change_weights(model: Path, finished: Path) -> None:
    shutil.copy(finished / "xnli/model/model.safetensors", model / "model.safetensors")


@pytest.mark.parametrize(
    ("spoil", "said"), [(lose_tokenizer, "no tokenizer"), (change_weights, "damaged, or changed since it was exported")]
)
def test_a_model_folder_that_is_not_what_it_says_is_refused(
    refused: Callable, finished: Path, world: Path, tmp_path: Path, spoil: Callable, said: str
) -> None:
    """Law 8."""
    model = tmp_path / "model"
    shutil.copytree(finished / "pretrain/model", model)
    spoil(model, finished)
    places = ["--model", str(model), "--data", str(world), "--out", str(tmp_path / "out")]
    assert said in refused("evaluate", "--tasks", "tatoeba", *places)


def test_rows_that_were_trained_on_are_never_scored(refused: Callable, finished: Path, tmp_path: Path) -> None:
    """Law 7."""
    places = ["--model", str(finished / "xnli/model"), "--data", str(finished / "world"), "--out", str(tmp_path)]
    assert "trained on" in refused("evaluate", "--tasks", "xnli", "--split", "dev", *places)


def test_more_ranks_than_rows_in_a_batch_are_refused(refused: Callable, tiny: Path, tmp_path: Path) -> None:
    error = refused("run", str(tiny), f"out={tmp_path}", "--ranks", "17")
    assert "leaves some of 17 ranks without a row" in error


@pytest.mark.parametrize("verb", [("run", "--dry-run"), ("run",), ("prepare",)])
@pytest.mark.parametrize("setting", ["train.learning_rate=nan", "encoder.config.hidden_size=31"])
def test_a_setting_that_makes_no_sense_is_refused_by_whatever_would_start(
    refused: Callable, tiny: Path, tmp_path: Path, verb: tuple[str, ...], setting: str
) -> None:
    error = refused(verb[0], str(tiny), f"out={tmp_path / 'out'}", setting, *verb[1:])
    assert setting.partition("=")[0].split(".")[1] in error
    assert not (tmp_path / "out").exists()


def test_an_option_has_the_range_of_the_key_that_it_stands_for(refused: Callable, tmp_path: Path) -> None:
    places = ["--model", str(tmp_path), "--tasks", "xnli", "--out", str(tmp_path / "out")]
    assert "'--batch-size': 0. Allowed: 1 or more" in refused("evaluate", *places, "--batch-size", "0")


def test_a_folder_of_another_recipe_is_left_alone(refused: Callable, finished: Path, tiny: Path) -> None:
    before = (finished / "xnli/config.yaml").read_bytes()
    error = refused("run", str(tiny), f"out={finished.parent}", "train.learning_rate=2e-3")
    assert "learning_rate: 0.001 -> 0.002" in error
    assert (finished / "xnli/config.yaml").read_bytes() == before


def test_a_taken_port_is_named(refused: Callable, tiny: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} is taken" in refused("run", str(tiny), f"out={tmp_path}", "--port", str(port))


@pytest.mark.allowed_seconds(20, "it is the ranks that refuse, and the launcher starts them")
def test_two_programs_do_not_run_one_recipe_at_once(refused: Callable, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny/pretrain").mkdir(parents=True)
    with FileLock(tmp_path / "tiny/pretrain/.lock"):
        assert "another program" in refused("run", str(tiny), f"out={tmp_path}")


def test_a_hostfile_that_makes_no_sense_is_named_with_its_line(refused: Callable, tmp_path: Path) -> None:
    hostfile = tmp_path / "hostfile"
    hostfile.write_text("node-1 slots=2\nnode-2 slots=0\n", encoding="utf-8")
    assert f"{hostfile}:2: host 'node-2' has slots='0'" in refused("preflight", "--hostfile", str(hostfile))


@pytest.mark.parametrize(
    ("verb", "change", "said"),
    [
        ("plan", "study.sizes_of.mnli=[40,999999]", "999,999 rows of mnli train, there are 392,702"),
        ("plan", "study.sizes_of.mnli=[...,40]", "'...' needs a smaller number before"),
        ("plan", "study.languages=[qaz]", "no task of the study has 'qaz'"),
        ("plan", "study.seed=[0,1]", "did you mean 'study.seeds' ("),
        ("report", "seed=3", "no run of the study that scores anything is done"),
        ("run", "study.seeds=[1,1]", "study.seeds: a seed stands there twice"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused_before_anything_starts(
    refused: Callable, tiny: Path, tmp_path: Path, verb: str, change: str, said: str
) -> None:
    assert said in refused("study", verb, str(tiny), f"out={tmp_path}", change)
