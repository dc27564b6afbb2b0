from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from results_made import record

from dist_stilts.errors import UserError
from dist_stilts.layout import RunFolder
from dist_stilts.results.files import append
from dist_stilts.verbs.scoring import table
from dist_stilts.writing import write_text


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


def test_deltas_are_what_the_option_asks_for_in_every_format(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def printed(**asked: Any) -> str:
        table([recipe], **asked)
        return capsys.readouterr().out

    assert "Change by" not in printed()
    assert "| mnli n=3000 | +5.0 | +5.0 |" in printed(deltas=True)
    assert "English left out" not in printed(deltas=True)
    assert "| no intermediate | 60.0 | 60.0 |" in printed(deltas=True, zero_shot=True, size=300)
    assert "| mnli n=300 | +1.0 | +1.0 |" in printed(deltas=True, zero_shot=True, size=300)
    assert r"\toprule" in printed(format="latex", deltas=True)
    rows = csv.DictReader(io.StringIO(printed(format="csv", deltas=True)))
    assert {row["variant"] for row in rows} == {"all languages"}
    assert json.loads(printed(format="json", deltas=True))[0]["rows"][1]["cells"]["xnli"]["value"] == 5.0


def test_runs_that_are_not_finished_are_left_out_aloud(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_text(RunFolder(recipe / "xnli@mnli-n3000").status, json.dumps({"state": "failed"}))
    table([recipe], deltas=True)
    printed = capsys.readouterr()
    assert "mnli n=300 " in printed.out
    assert "n=3000" not in printed.out
    assert "xnli@mnli-n3000 is not finished (failed)" in printed.err


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"size": 300}, "Add --deltas"),
        ({"zero_shot": True}, "Add --deltas"),
        ({"deltas": True, "size": 30}, "300, 3000"),  # the sizes that there are
    ],
)
def test_what_there_is_not_is_refused(recipe: Path, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        table([recipe], **asked)
    for run in recipe.iterdir():
        write_text(RunFolder(run).status, json.dumps({"state": "running"}))
    with pytest.raises(UserError, match="no scores of finished runs"):
        table([recipe], deltas=True)


DAMAGE = {"results.jsonl": ("", "null\n", "[]\n", '{"task": 3}\n', "torn"), "status.json": ("", "null", '{"state": 1}')}


@pytest.mark.parametrize(("file", "text"), [(file, text) for file, texts in DAMAGE.items() for text in texts])
def test_a_damaged_run_is_named_below_the_table_of_the_others(
    recipe: Path, capsys: pytest.CaptureFixture[str], file: str, text: str
) -> None:
    damaged = recipe / "xnli@mnli-n300" / file
    damaged.write_text(text)
    for deltas in {False, True} if file == "results.jsonl" else {True}:
        table([recipe], deltas=deltas)
        printed = capsys.readouterr()
        below = printed.out.splitlines()[-1]
        assert below.startswith(f"- left out: {damaged}")
        assert f"warning: {below.removeprefix('- ')}" in printed.err
        assert ("mnli n=3000" in printed.out, "mnli n=300 " in printed.out) == (True, False)
        table([recipe], deltas=deltas, format="latex")
        assert f"% {below.removeprefix('- ')}" in capsys.readouterr().out.splitlines()
        table([recipe], deltas=deltas, format="json")
        assert json.loads(capsys.readouterr().out)
    for run in recipe.iterdir():
        (run / file).write_text(text)
    with pytest.raises(UserError, match=file):
        table([recipe], deltas=True)
