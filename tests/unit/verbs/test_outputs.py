"""Whatever a verb is told to write to, what cannot be written is one line before the work, and stays as it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dist_stilts.__main__ import app
from dist_stilts.errors import UserError

VERBS: dict[str, Callable[[Path], list[object]]] = {
    "mine": lambda out: ["mine", "de.txt", "en.txt", "--model", "none", "--out", out / "pairs.tsv"],
    "predict": lambda out: ["predict", "in.txt", "--model", "none", "--out", out / "predictions.csv"],
    "recipes new": lambda out: ["recipes", "new", "classify", "--data", "in.csv", "--out", out / "mine.yaml"],
    "evaluate": lambda out: ["evaluate", "--model", "none", "--tasks", "xnli", "--data", ".", "--out", out / "scores"],
    "average": lambda out: ["average", "one", "other", "--out", out / "model"],
    "simulate": lambda out: ["simulate", "--scale", "0.01", "--out", out / "world"],
    "prepare": lambda out: ["prepare", "quickstart", f"out={out / 'runs'}"],
    "run": lambda out: ["run", "quickstart", f"out={out / 'runs'}"],
    "run --dry-run": lambda out: ["run", "quickstart", "--dry-run", f"out={out / 'runs'}"],
    "train": lambda out: ["train", "quickstart", "--phase", "pretrain", f"out={out / 'runs'}"],
    "study run": lambda out: ["study", "run", "quickstart_study", f"out={out / 'runs'}"],
}
FILES = ("mine", "predict", "recipes new")
"""Verbs that write a file; the others a folder."""


def wrong(place: Path, kind: str, verb: str) -> None:
    """Put something where the verb is to write."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "link to a pipe":
        os.mkfifo(place.with_name("pipe"))
        place.symlink_to("pipe")
    elif kind == "loop":
        place.symlink_to(place.name)
    elif verb in FILES:
        place.mkdir()
    else:
        place.write_text("mine")


@pytest.fixture(autouse=True)
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("de.txt", "en.txt", "in.txt"):
        (tmp_path / name).write_text("a b c\n")
    (tmp_path / "in.csv").write_text("text,label\n" + "good,x\nbad,y\n" * 20)


def refused(verb: str, out: Path) -> UserError:
    """What is said; errors of the system are left to the program's end, which tells them in one line."""
    error = CliRunner().invoke(app, [str(word) for word in VERBS[verb](out)]).exception
    assert isinstance(error, UserError), repr(error)
    assert (error.code, "\n" in str(error)) == (2, False)
    return error


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "loop", "a file or a folder"])
@pytest.mark.parametrize("verb", VERBS)
def test_what_lies_in_the_place_of_what_is_to_be_written_is_refused_and_left_alone(
    verb: str, kind: str, tmp_path: Path
) -> None:
    place = tmp_path / "out" / Path(str(VERBS[verb](tmp_path)[-1])).name
    wrong(place, kind, verb)
    before = os.lstat(place)
    said = str(refused(verb, tmp_path / "out"))
    assert str(tmp_path / "out") in said
    assert os.lstat(place).st_ino == before.st_ino


@pytest.mark.parametrize("verb", VERBS)
def test_a_folder_below_a_file_is_refused(verb: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert str(tmp_path / "file") in str(refused(verb, tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "mine"
