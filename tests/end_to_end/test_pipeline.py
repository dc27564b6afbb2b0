"""One recipe from random weights to a table, the way a user runs it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

RUNS = ["mnli-n40", "pretrain", "udpos", "xnli"]
MODEL_FILES = [
    "1_Pooling/config.json",
    "2_Normalize/config.json",
    "COMPLETE",
    "README.md",
    "config.json",
    "model.safetensors",
    "modules.json",
    "provenance.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
]


def records(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_run_folder_holds_exactly_what_the_layout_says(finished: Path) -> None:
    assert sorted(path.name for path in finished.iterdir() if path.is_dir()) == sorted([*RUNS, "world"])
    assert {"table.md", "page.html"} <= {path.name for path in finished.iterdir()}
    run = finished / "xnli"
    plain = [name for name in files(run) if not name.startswith(("events/", "checkpoints/"))]
    assert plain == sorted(
        [
            ".lock",
            "config.yaml",
            "deepspeed.json",
            "metrics.jsonl",
            "results.jsonl",
            "status.json",
            *(f"model/{name}" for name in MODEL_FILES),
            "predictions/xnli/dev_70--en.outcomes",
            "predictions/xnli/dev_70--en.tsv",
            "predictions/xnli/dev_70--qaa.outcomes",
            "predictions/xnli/dev_70--qaa.tsv",
        ]
    )
    assert not (run / "checkpoints").exists()  # the model is whole
    assert any(path.name.endswith(".verdict") for path in (run / "events").iterdir())


def test_status_says_done_and_records_carry_their_conditions(finished: Path) -> None:
    for name in RUNS:
        status = json.loads((finished / name / "status.json").read_text())
        assert (status["state"], status["world_size"], status["reason"]) == ("done", 2, None)
    record = records(finished / "xnli")[0]
    expected = {
        "task": "xnli",
        "split": "dev[70%:]",
        "language": "en",
        "metric": "accuracy",
        "run": "xnli",
        "origin": "pretrained",
        "train_tasks": ["xnli"],
        "intermediate": "mnli,commonsenseqa",
        "intermediate_size": 80,
        "seed": 3,
        "world_size": 2,
        "restarts": 0,
        "dtype": "float32",
        "inputs": "full",
    }
    assert {key: record[key] for key in expected} == expected
    assert record["count"] == len((finished / "xnli/predictions/xnli/dev_70--en.tsv").read_text().split())
    assert record["versions"]["torch"]


def test_the_target_starts_from_its_parent_and_says_what_it_was_trained_on(finished: Path) -> None:
    provenance = json.loads((finished / "xnli/model/provenance.json").read_text())
    assert [entry["task"] for entry in provenance["trained_on"]] == ["mlm", "mnli", "commonsenseqa", "xnli"]
    parent = json.loads((finished / "mnli-n40/model/provenance.json").read_text())
    assert (
        parent["digest"]
        == json.loads((finished / "mnli-n40/status.json").read_text())["digest"]
        != provenance["digest"]
    )


def test_metrics_hold_every_logged_step_and_scores_before_and_after(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "xnli/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "train"] == [4, 8, 12, 16, 20, 24]
    assert [line["step"] for line in lines if line["event"] == "dev"] == [0, 24]
    assert all(
        line["loss"] > 0 and 0 <= line["padding"] < 1 and line["tokens_per_second"] > 0
        for line in lines
        if "loss" in line
    )


def test_a_run_stuck_at_chance_says_so_in_its_status_its_records_and_the_table(finished: Path) -> None:
    """24 steps on 24 rows teach it nothing."""
    status = json.loads((finished / "xnli/status.json").read_text())
    assert "stuck at chance" in status["degenerate"] or "predictions" in status["degenerate"]
    assert all(record["collapsed"] for record in records(finished / "xnli"))
    assert "†" in (finished / "table.md").read_text()
    assert json.loads((finished / "pretrain/status.json").read_text())["degenerate"] is None


def test_the_recipe_deepspeeds_settings_and_the_closing_report_are_kept_with_the_run(finished: Path) -> None:
    kept = yaml.safe_load((finished / "xnli/config.yaml").read_text())
    assert kept["run"]["train"]["steps"] == 24
    assert kept["run"]["parent"] == yaml.safe_load((finished / "mnli-n40/config.yaml").read_text())["run_id"]
    settings = json.loads((finished / "xnli/deepspeed.json").read_text())
    filled = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping")
    assert [settings[key] for key in filled] == [16, 8, 1, 1.0]
    closing = json.loads((finished / "xnli/status.json").read_text())["closing"]
    assert (closing["steps"], closing["skipped_steps"], len(closing["peak_memory_gib"])) == (24, 0, 2)
    assert closing["training_seconds"] > 0 < closing["saving_seconds"]


def test_the_same_recipe_again_does_nothing(finished: Path, cli: Callable, tiny: Path) -> None:
    before = {name: (finished / name).stat().st_mtime_ns for name in files(finished) if name.startswith(tuple(RUNS))}
    again = cli("run", str(tiny), f"out={finished.parent}")
    assert again.returncode == 0, again.stderr
    assert "nothing to do" in again.stderr
    assert before == {name: (finished / name).stat().st_mtime_ns for name in before}


def test_ranks_do_not_change_a_prediction(finished: Path, cli: Callable, tmp_path: Path) -> None:
    """Law 3, through the verb."""
    found = {}
    for ranks in (1, 2):
        out = tmp_path / str(ranks)
        places = ["--model", str(finished / "udpos/model"), "--data", str(finished / "world"), "--out", str(out)]
        arguments = ["evaluate", "--tasks", "udpos,tatoeba", "--languages", "qaa", *places]
        assert cli(*arguments, "--prepare-only").returncode == 0  # ranks do not tokenise
        done = cli(*arguments, ranks=ranks)
        assert done.returncode == 0, done.stderr
        found[ranks] = {name: (out / "predictions" / name).read_text() for name in files(out / "predictions")}
        found[ranks]["values"] = str([(r["task"], r["metric"], r["value"], r["count"]) for r in records(out)])
    assert found[1] == found[2]
    assert len(found[1]) == 4  # two tasks, what retrieval got right, the values


@pytest.mark.slow
def test_a_killed_run_ends_with_the_weights_of_an_uninterrupted_one(
    finished: Path, cli: Callable, start: Callable, kill: Callable, tiny: Path, tmp_path: Path
) -> None:
    """Law 2: SIGKILL after the first checkpoint, then the same command again."""
    shutil.copytree(finished / "world", tmp_path / "tiny/world")
    command = ("run", str(tiny), f"out={tmp_path}", "--phase", "pretrain")
    process = start(*command)
    checkpoint = tmp_path / "tiny/pretrain/checkpoints/step-000008/COMPLETE"
    deadline = time.monotonic() + 120
    while not checkpoint.exists():
        assert time.monotonic() < deadline, "no checkpoint in 120 s"
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.002)
    assert len(kill(process.pid)) >= 4  # the verb, the launcher, the ranks
    process.communicate(timeout=20)
    assert not (tmp_path / "tiny/pretrain/model/COMPLETE").exists(), "it finished before it was killed"

    again = cli(*command)
    assert again.returncode == 0, again.stderr
    assert [line for line in (tmp_path / "tiny/pretrain/metrics.jsonl").read_text().splitlines() if '"resumed"' in line]
    weights = "pretrain/model/model.safetensors"
    assert (tmp_path / "tiny" / weights).read_bytes() == (finished / weights).read_bytes()


def test_the_export_loads_in_the_library_that_made_the_encoder(finished: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = str(finished / "xnli/model")
    _, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert AutoTokenizer.from_pretrained(folder)("a b")["input_ids"][0] == 0


@pytest.mark.parametrize("format_", ["md", "csv", "latex", "json"])
def test_the_table_of_finished_runs_prints_in_every_format(finished: Path, cli: Callable, format_: str) -> None:
    done = cli("table", str(finished), "--format", format_)
    assert done.returncode == 0, done.stderr
    assert "xnli" in done.stdout


def test_predictions_scored_as_files_give_the_recorded_numbers(finished: Path, cli: Callable) -> None:
    run = finished / "udpos"
    done = cli("score", "--predictions", str(run / "predictions"), "--labels", str(finished / "world/labels"), "--json")
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)["tasks"]["udpos"]["languages"]
    for record in records(run):
        assert scores[record["language"]][record["metric"]] == pytest.approx(record["value"])
