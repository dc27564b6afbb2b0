"""Questions, tasks of one's own and translated data through the verbs, as a user gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dist_stilts.simulate import write_world
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.rows_json import row_to_json
from dist_stilts.tasks.sources import load_rows

RECIPE = Path(__file__).with_name("tasks.yaml")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated world with a task of the user's own and CommonsenseQA "translated" into German."""
    root = write_world(tmp_path_factory.mktemp("data") / "world", seed=0, scale=0.1)
    pairs = [("what is it", "a lamp", "yes"), ("who, then", 'the "cat"', "no")] * 12
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in pair) for pair in pairs]
    (root / "mine.csv").write_text("\n".join(["question,answer,right", *lines]) + "\n")
    rows = [dict(zip(("question", "answer", "right"), pair, strict=True)) for pair in pairs[:6]]
    (root / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    english = load_rows(get_task("commonsenseqa"), root, "train", "en")
    translated = root / "commonsenseqa" / "translated" / "train-de.jsonl"
    translated.parent.mkdir()
    translated.write_text("".join(json.dumps(row_to_json(row)) + "\n" for row in english))
    return root


@pytest.fixture(scope="module")
def options(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What names the data, the tokenizer and a folder for the runs."""
    return [f"data.root={data}", f"encoder.tokenizer={data / 'tokenizer'}", f"out={tmp_path_factory.mktemp('runs')}"]


@pytest.fixture(scope="module")
def runs(run_recipe: Callable, options: list[str]) -> Path:
    """The folder of the recipe, run to its end."""
    run_recipe(RECIPE, *options)
    return Path(options[-1].removeprefix("out=")) / "tasks"


def records(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]


def test_answers_are_scored_and_the_files_score_the_same(runs: Path, data: Path, cli: Callable) -> None:
    predictions, labels = runs / "squad-n24" / "predictions", data / "labels"
    assert sorted(path.name for path in (predictions / "xquad").iterdir()) == [
        "test-en.json",
        "test-en.n_best.json",
        "test-en.outcomes",
        "test-qaa.json",
        "test-qaa.n_best.json",
        "test-qaa.outcomes",
    ]
    gold = labels / "xquad"
    gold.mkdir(parents=True, exist_ok=True)
    for language in ("en", "qaa"):
        (gold / f"test-{language}.json").write_bytes((data / "xquad" / f"xquad.{language}.json").read_bytes())
    done = cli("score", "--predictions", str(predictions), "--labels", str(labels), "--json")
    assert done.returncode == 0, done.stderr
    official = json.loads(done.stdout)["tasks"]["xquad"]["languages"]
    scored = records(runs / "squad-n24")
    assert {record["metric"] for record in scored} == {"exact_match", "f1", "em_and_f1"}
    for record in scored:
        if record["metric"] != "em_and_f1":
            assert record["value"] == pytest.approx(official[record["language"]][record["metric"]], abs=1e-9)


def test_a_task_of_ones_own_trains_beside_others_and_is_scored(runs: Path) -> None:
    scored = records(runs / "several")
    assert {record["task"] for record in scored} == {"mine", "panx"}
    assert {record["count"] for record in scored if record["task"] == "mine"} == {6}
    provenance = json.loads((runs / "several" / "model" / "provenance.json").read_text())
    trained = {entry["task"]: entry for entry in provenance["trained_on"]}
    assert trained["mine"]["examples"] == 24
    assert trained["commonsenseqa"]["languages"] == ["en", "de"]
    assert trained["mine"]["languages"] == ["de"], "its source language"
    german = len((runs / "several" / "predictions" / "mine" / "dev-de.tsv").read_text().split())
    assert german == 6


def test_prepare_reports_what_it_read_and_cut(runs: Path, cli: Callable, options: list[str]) -> None:
    done = cli("prepare", str(RECIPE), *options, "--json")
    assert done.returncode == 0, done.stderr
    found = {(row["task"], row["split"], row["language"]): row for row in json.loads(done.stdout)}
    assert found["mine", "train", "de"]["examples"] == 24
    assert ("commonsenseqa", "train", "de") in found
    assert found["squad_v1", "train", "en"]["rows"] > found["squad_v1", "train", "en"]["examples"]  # windows
    assert all(
        {"tokens", "truncated_rows", "truncated_tokens", "quirks", "seconds"} <= row.keys() for row in found.values()
    )


def test_ranks_refuse_what_is_not_prepared_and_name_the_command(
    cli: Callable, options: list[str], tmp_path: Path
) -> None:
    elsewhere = [*options[:-1], f"out={tmp_path}"]
    done = cli("train", str(RECIPE), *elsewhere, "--phase", "squad", ranks=2)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(said) == 1, done.stderr
    assert "is not there" in said[0]
    assert f"run `dist-stilts prepare {RECIPE}" in said[0]
    assert "Traceback" not in done.stderr.split("error:")[1].split("\n")[0]


def test_evaluate_makes_its_data_ready_without_scoring(runs: Path, data: Path, cli: Callable, tmp_path: Path) -> None:
    arguments = ["--model", str(runs / "squad-n24" / "model"), "--tasks", "squad_v1", "--split", "dev"]
    arguments += ["--data", str(data), "--out", str(tmp_path), "--window", "40", "--stride", "8"]
    done = cli("evaluate", *arguments, "--prepare-only")
    assert done.returncode == 0, done.stderr
    assert "squad_v1" in done.stdout
    assert not (tmp_path / "results.jsonl").exists()
    done = cli("evaluate", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert {record["metric"] for record in json.loads(done.stdout)} == {"exact_match", "f1", "em_and_f1"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data.own_tasks.mine.family=sequnce", "did you mean 'sequence'"),
        ("data.own_tasks.mine.columns.text_a=questoin", "question"),
        ("data.own_tasks.xnli={family: mlm, files: {train: a.jsonl}}", "built-in"),
        ("phases.several.tasks.commonsenseqa.languages=[sw]", "translated/train-sw.jsonl"),
        ("data.qa.max_length=8", "data.qa.max_length"),
    ],
)
def test_mistakes_about_tasks_are_one_line(
    cli: Callable, options: list[str], tmp_path: Path, change: str, said: str
) -> None:
    done = cli("prepare", str(RECIPE), *options[:-1], f"out={tmp_path}", change)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("task", "said"), [("squad_v1", "answer"), ("xquad", "answer"), ("tatoeba", "first of each")])
def test_an_example_is_shown_as_a_model_reads_it(data: Path, cli: Callable, task: str, said: str) -> None:
    done = cli("tasks", task, "--data", str(data), "--model", str(data / "tokenizer"))
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert "licence" in done.stdout


def test_what_is_translated_can_be_trained_on(
    data: Path, cli: Callable, options: list[str], tiny_translator: Path, tmp_path: Path
) -> None:
    arguments = ["translate", "commonsenseqa", "--to", "fr", "--model", str(tiny_translator), "--limit", "8"]
    arguments += ["--data", str(data), "--max-length", "32"]
    done = cli(*arguments)
    assert done.returncode == 0, done.stderr
    again = cli(*arguments)
    assert "nothing to do" in again.stderr
    task = "phases.several.tasks.commonsenseqa.languages=[fr]"
    done = cli("prepare", str(RECIPE), *options[:-1], f"out={tmp_path}", task, "--json")
    assert done.returncode == 0, done.stderr
    (french,) = [row for row in json.loads(done.stdout) if row["language"] == "fr"]
    assert (french["task"], french["examples"]) == ("commonsenseqa", 8)


def test_a_task_of_tags_is_not_translated(data: Path, cli: Callable, tiny_translator: Path) -> None:
    done = cli("translate", "udpos", "--to", "fr", "--model", str(tiny_translator), "--data", str(data))
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
