"""Each training benchmark runs from end to end at a tiny size and prints its table."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dist_stilts.simulate import write_world

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SIZE = {"layers": 1, "width": 32, "vocabulary": 4000, "batch-size": 4, "steps": 2, "warmup-steps": 1, "threads": 1}
TINY = [word for name, value in SIZE.items() for word in (f"--{name}", str(value))]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root in the public file formats."""
    return write_world(tmp_path_factory.mktemp("simulated") / "world", seed=0, scale=0.05)


def run(script: str, *arguments: str) -> str:
    """What a script prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(BENCHMARKS.parent)}
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def table(output: str, first: str) -> list[dict[str, str]]:
    """The rows of the Markdown table whose first column has this title, by column."""
    tables = [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
        for part in output.split("\n\n")
    ]
    titles, _, *rows = next(lines for lines in tables if lines and lines[0][0] == first)
    return [dict(zip(titles, row, strict=True)) for row in rows]


def number(cell: str) -> float:
    return float(cell.replace(",", "").removesuffix("%"))


def test_every_way_to_train_is_measured_on_the_same_rows(world: Path, tmp_path: Path) -> None:
    of_world = ["--data", str(world), "--tokenizer", str(world / "tokenizer")]
    reach = ["--reach", "0.01", "--reach-every", "2", "--dev", "dev"]
    output = run("train.py", *TINY, *of_world, *reach, "--repeats", "1", "--folder", str(tmp_path))
    rows = {row["training"]: row for row in table(output, "training")}
    ours, bare, theirs, grouped, plain = rows.values()
    assert list(rows) == [
        "ours",
        "ours, bare steps",
        "Trainer, defaults",
        "Trainer, grouped by length",
        "plain PyTorch",
    ]
    assert all(number(row["real tokens/s"]) > 0 and number(row["MFU"]) >= 0 for row in rows.values())
    assert all(number(row[f"{part}, ms"]) > 0 for row in rows.values() for part in ("forward", "backward", "optimiser"))
    assert theirs["/ Trainer"] == "1.00"
    assert theirs["padding"] == plain["padding"]
    assert ours["padding"] == bare["padding"]
    assert number(grouped["padding"]) <= number(theirs["padding"])
    assert [row["samples to 1%"] for row in rows.values()] == ["8", "–", "8", "–", "–"]


def test_questions_are_trained_by_both_with_attention_as_it_is_asked_for(tmp_path: Path) -> None:
    two = ["--contenders", "ours,trainer:eager", "--repeats", "1"]
    output = run("train.py", *TINY, "--task", "squad_v1", *two, "--folder", str(tmp_path))
    assert [row["training"] for row in table(output, "training")] == ["ours", "Trainer, defaults, attention eager"]


def test_a_profile_has_the_kinds_of_work_and_leaves_a_trace(tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    output = run("profile.py", *TINY, "--folder", str(tmp_path), "--trace", str(trace))
    kinds = table(output, "kind of work")
    assert {"matrix products", "attention", "norms and activations", "embedding", "optimiser", "data"} <= {
        row["kind of work"] for row in kinds
    }
    assert sum(number(row["share"]) for row in kinds[:-1]) == pytest.approx(100, abs=1)
    assert json.loads(trace.read_text())["traceEvents"]


def test_a_sweep_prints_a_table_for_each_thing_that_grows(tmp_path: Path) -> None:
    grows = ["--batches", "", "--lengths", "16", "--tokens", "64", "--sizes", "", "--ranks", "2"]
    output = run("profile.py", *TINY, "--folder", str(tmp_path), "--sweep", *grows)
    assert [row["real tokens a step"] for row in table(output, "tokens a row")] == ["64"]
    assert all(number(row["real tokens/s"]) > 0 for row in table(output, "ranks"))
    assert "layers x width" not in output


def test_the_folder_of_benchmarks_does_not_hide_the_standard_library() -> None:
    command = [sys.executable, "-c", "import cProfile, profile; print(profile.Profile, profile.__file__)"]
    found = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=True).stdout
    assert "benchmarks" not in found


def test_start_times_the_help_and_the_first_step() -> None:
    rows = table(run("start.py", "--helps", "1", "--trainings", "1", "--threads", "1"), "what")
    assert [re.sub(r"\W+", " ", row["what"]).strip() for row in rows] == ["dist stilts help", "train to first step"]
    assert all(number(row["median, s"]) > 0 for row in rows)
