from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from dist_stilts.__main__ import app
from dist_stilts.errors import UserError
from dist_stilts.layout import RunFolder
from dist_stilts.verbs.common import load_recipe
from dist_stilts.writing import write_text


def load(tmp_path: Path, name: str, *overrides: str) -> str:
    """The name under which a recipe `mine.yaml` that says ``name`` is loaded."""
    write_text(tmp_path / "mine.yaml", name)
    return load_recipe(str(tmp_path / "mine.yaml"), [f"out={tmp_path / 'runs'}", *overrides]).name


def test_the_command_names_a_recipe_else_the_file_says_its_name_else_has_it_and_it_is_one(
    tmp_path: Path,
) -> None:
    assert load(tmp_path, "seed: 1") == "mine"
    assert load(tmp_path, "name: yours") == "yours"
    assert load(tmp_path, "name: yours", "name=theirs") == "theirs"
    for name in ("''", ".", "../", "a/b", "prepared"):
        with pytest.raises(UserError, match=r"mine\.yaml(:1)?: .*name.*is (no name|the folder of|empty)"):
            load(tmp_path, f"name: {name}")


def test_runs_that_older_versions_put_elsewhere_are_pointed_at_while_there_are_no_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(name: str, *overrides: str) -> str:
        load(tmp_path, name, *overrides)
        return capsys.readouterr().err

    assert said("name: yours") == ""
    write_text(RunFolder(tmp_path / "runs" / "mine" / "xnli").status, "{}")
    told = said("name: yours")
    assert told.startswith("note: the runs of this recipe go to ")
    assert told.endswith(": name=mine goes on with them\n")
    assert said("seed: 1") == said("name: mine") == said("name: yours", "name=theirs") == ""
    write_text(RunFolder(tmp_path / "runs" / "yours" / "xnli").status, "{}")
    assert said("name: yours") == ""


def test_of_several_processes_the_first_says_it_whatever_has_started_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(RunFolder(tmp_path / "runs" / "mine" / "xnli").status, "{}")
    write_text(tmp_path / "mine.yaml", "{name: yours, phases: {a: {tasks: {xnli: {}}}, b: {tasks: {mnli: {}}}}}")
    said = {}
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", "2")
        done = CliRunner().invoke(app, ["train", str(tmp_path / "mine.yaml"), f"out={tmp_path / 'runs'}"])
        assert "the recipe has 2 runs" in str(done.exception)
        said[rank] = done.output
    assert said["0"].startswith("note: the runs of this recipe go to ")
    assert said["1"] == ""
