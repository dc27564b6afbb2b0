"""Two programs that write to one place at the same time: both end well or one says why, and what is there is whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DELAYS = (0.0, 0.02, 0.1, 0.3, 1.0)
"""Seconds by which the second program starts later, in turn."""
REASONS = ("another program", "the folder exists", "exists already", "there is a file already")
Race = Callable[..., list[tuple[int, str]]]


def commands(places: dict[str, Path], out: Path) -> dict[str, list[str]]:
    root, model = places["rows"], str(places["model0"])
    return {
        "simulate": ["simulate", "--scale", "0.02", "--out", str(out / "world")],
        "prepare": ["prepare", str(places["recipe"]), f"out={out}"],
        "average": ["average", model, str(places["model1"]), "--out", str(out / "model")],
        "mine": [
            *("mine", str(root / "side0"), str(root / "side1"), "--model", model),
            *("--threshold", "0", "--out", str(out / "pairs.tsv")),
        ],
        "predict": [
            "predict",
            str(root / "rows.jsonl"),
            "--model",
            model,
            "--head",
            "xnli",
            "--out",
            str(out / "rows.jsonl"),
        ],
        "evaluate": [
            *("evaluate", "--model", model, "--tasks", "tatoeba,xnli", "--languages", "qaa,qab"),
            *("--data", str(places["world"]), "--out", str(out)),
        ],
        "run": ["run", str(places["recipe"]), f"out={out}", "ranks=1"],
    }


KEPT = {
    "simulate": "world/**/*",
    "prepare": "prepared/*/data.arrow",
    "average": "model/**/*.safetensors",
    "mine": "pairs.tsv",
    "predict": "rows.jsonl",
    "evaluate": "predictions/**/*.tsv",
    "run": "*/model/*.safetensors",
}
"""What each verb's programs make alike, to the last byte."""


def contents(out: Path, verb: str) -> dict[str, bytes]:
    found = {path.relative_to(out).as_posix(): path for path in out.glob(KEPT[verb])}
    assert found
    return {name: path.read_bytes() for name, path in found.items() if path.is_file()}


def check(ended: list[tuple[int, str]]) -> None:
    """One program at least did all, and the other ones did as well or said in a line that somebody else does."""
    assert 0 in [code for code, _ in ended], ended
    for code, said in ended:
        assert "Traceback" not in said, said
        if code:
            assert code == 2, said
            (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
            assert any(reason in line for reason in REASONS), line


FEW = [("simulate", 1), ("average", 1)]
MANY = [(verb, 20) for verb in ("simulate", "prepare", "average", "mine", "predict", "evaluate")]


@pytest.mark.parametrize(
    ("verb", "times"), [*FEW, *(pytest.param(*many, marks=pytest.mark.slow) for many in MANY)], ids=str
)
def test_two_programs_in_one_place_destroy_nothing(
    verb: str, times: int, places: dict[str, Path], cli: Any, race: Race, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    assert cli(*commands(places, alone)[verb]).returncode == 0
    expected = contents(alone, verb)
    for number in range(times):
        out = tmp_path / str(number)
        out.mkdir()
        wanted = commands(places, out)
        check(race(wanted[verb], wanted[verb], delay=DELAYS[number % len(DELAYS)]))
        assert contents(out, verb) == expected
        assert not list(out.rglob("*.damaged*"))
    again = cli(*commands(places, out)[verb])
    assert again.returncode == (2 if verb == "average" else 0), again.stderr


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["prepare", "run"])
def test_two_programs_at_one_recipe_destroy_nothing(
    verb: str, places: dict[str, Path], cli: Any, race: Race, tmp_path: Path
) -> None:
    for number, delay in enumerate((0.0, 0.5, 8.0)):
        out = tmp_path / str(number)
        wanted = commands(places, out)
        check(race(wanted["run"], wanted[verb], delay=delay))
        again = cli(*wanted["run"])
        assert again.returncode == 0, again.stderr
        assert "nothing to do" in again.stderr
        assert len(contents(out / "tiny", "run")) == 4
