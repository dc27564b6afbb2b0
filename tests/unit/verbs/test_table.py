from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from results_made import record

from dist_stilts.errors import UserError
from dist_stilts.layout import RunFolder, write_text
from dist_stilts.results.files import append
from dist_stilts.verbs.scoring import table


def scored(folder: RunFolder, score: float, state: str = "done", **fields: Any) -> None:
    """A run with an English and a German score, 10 points apart."""
    common = {"run": folder.path.name, "role": "target", "train_tasks": ["xnli"], "task": "xnli", "split": "test"}
    for language, value in (("en", score), ("de", score - 10)):
        found = {"metric": "accuracy", "language": language, "value": value, "count": 100, "dev": score, "seed": 0}
        append(folder.results, [record(**common | found | fields)])
    write_text(folder.status, json.dumps({"state": state}))


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    after = {"intermediate": "mnli", "intermediate_phase": "mnli"}
    scored(RunFolder(tmp_path / "xnli@plain"), 70.0)
    scored(RunFolder(tmp_path / "xnli@mnli-n300"), 71.0, **after, intermediate_size=300)
    scored(RunFolder(tmp_path / "xnli@mnli-n3000"), 75.0, **after, intermediate_size=3000)
    return tmp_path


def test_deltas_are_what_the_option_asks_for(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table([recipe])
    assert "Change by" not in capsys.readouterr().out
    table([recipe], deltas=True)
    printed = capsys.readouterr().out
    assert "| mnli n=3000 | +5.0 | +5.0 |" in printed
    assert "English left out" not in printed
    table([recipe], deltas=True, zero_shot=True, size=300)
    printed = capsys.readouterr().out
    assert "| no intermediate | 60.0 | 60.0 |" in printed
    assert "| mnli n=300 | +1.0 | +1.0 |" in printed


def test_deltas_are_written_in_every_format(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table([recipe], format="latex", deltas=True)
    assert r"\toprule" in capsys.readouterr().out
    table([recipe], format="csv", deltas=True)
    assert {row["variant"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))} == {"all languages"}
    table([recipe], format="json", deltas=True)
    assert json.loads(capsys.readouterr().out)[0]["rows"][1]["cells"]["xnli"]["value"] == 5.0


def test_runs_that_are_not_finished_are_left_out_aloud(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_text(RunFolder(recipe / "xnli@mnli-n3000").status, json.dumps({"state": "failed"}))
    table([recipe], deltas=True)
    printed = capsys.readouterr()
    assert "mnli n=300 " in printed.out
    assert "n=3000" not in printed.out
    assert "xnli@mnli-n3000 is not finished (failed)" in printed.err


def test_without_a_finished_run_there_is_nothing_to_print(tmp_path: Path) -> None:
    scored(RunFolder(tmp_path / "xnli@plain"), 70.0, state="running")
    with pytest.raises(UserError, match="no scores of finished runs"):
        table([tmp_path], deltas=True)


@pytest.mark.parametrize("asked", [{"size": 300}, {"zero_shot": True}])
def test_what_only_deltas_understand_needs_them(recipe: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="Add --deltas"):
        table([recipe], **asked)


def test_a_size_that_no_run_has_names_those_there_are(recipe: Path) -> None:
    with pytest.raises(UserError, match="300, 3000"):
        table([recipe], deltas=True, size=30)
