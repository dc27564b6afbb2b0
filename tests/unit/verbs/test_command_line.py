"""What the command line says of itself: help without a word lost, versions, what a shell completes; all at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from dist_stilts.__main__ import app
from dist_stilts.config import shipped_recipes
from dist_stilts.tasks.registry import all_tasks

WIDE = {"COLUMNS": "800", "TERMINAL_WIDTH": "800", "_TYPER_STANDARD_TRACEBACK": "1"}
"""No help is wrapped."""


def verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from verbs(below, (*path, name))


VERBS = dict(verbs(typer.main.get_command(app)))


def plain(text: str) -> str:
    return " ".join(text.replace("`", "").split())


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_help_prints_every_word_that_was_written(path: tuple[str, ...]) -> None:
    shown = plain(CliRunner().invoke(app, [*path, "--help"], env=WIDE).output)
    command = VERBS[path]
    options = [option for option in command.params if not option.hidden]
    written = [command.help or "", *(getattr(option, "help", None) or "" for option in options)]
    paragraphs = [paragraph for text in written for paragraph in text.split("\n\n")]
    assert len(paragraphs) > 1
    assert [paragraph for paragraph in paragraphs if plain(paragraph) not in shown] == []
    assert [option.metavar for option in options if option.metavar and option.metavar not in shown] == []


def test_versions_are_those_installed() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert done.exit_code == 0
    assert done.output.startswith(f"dist-stilts {version('dist-stilts')} (Python ")
    assert all(f"{package} {version(package)}" in done.output for package in ("torch", "transformers", "deepspeed"))


def completions(line: str) -> list[str]:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_DIST_STILTS_COMPLETE": "complete_bash"}
    return CliRunner().invoke(app, prog_name="dist-stilts", env=words).output.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dist-stilts ", [path[0] for path in VERBS if len(path) == 1]),
        ("dist-stilts study ", ["plan", "run", "status", "report"]),
        ("dist-stilts run ", shipped_recipes()),
        ("dist-stilts recipes ", ["list", "show", "keys", "new"]),
        ("dist-stilts recipes show real_", ["real_small", "real_study"]),
        ("dist-stilts recipes new c", ["classify", "choice"]),
        ("dist-stilts study plan quickstart_s", ["quickstart_study"]),
        ("dist-stilts tasks ", [spec.name for spec in all_tasks()]),
        ("dist-stilts translate squad", ["squad_v1", "squad_v2"]),
        ("dist-stilts evaluate --tasks xnli,p", ["xnli,pawsx", "xnli,panx"]),
    ],
)
def test_verbs_recipes_and_tasks_complete(
    line: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".hidden.yaml").write_text("no: recipe\n")
    monkeypatch.chdir(tmp_path)
    assert completions(line) == expected


def test_a_recipe_of_ones_own_completes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "mine.yaml").write_text("name: mine\n")
    monkeypatch.chdir(tmp_path)
    for folder in (f"{tmp_path}/in/", "in/", "./in/"):
        for begun in ("", "m"):
            assert completions(f"dist-stilts run {folder}{begun}") == [f"{folder}mine.yaml"]


def test_help_versions_and_completion_import_nothing_heavy() -> None:
    program = (
        "import sys; from dist_stilts import __main__; from dist_stilts.verbs import complete;"
        "complete.recipes(''); complete.tasks(''); sys.argv = ['dist-stilts', '--version'];"
        "import atexit; atexit.register(lambda: print(sorted({name.partition('.')[0] for name in sys.modules})));"
        "__main__.main()"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert not [name for name in ("torch", "transformers", "deepspeed", "datasets", "numpy") if f"'{name}'" in said]
