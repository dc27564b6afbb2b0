"""What reaches the ranks is what was typed, whatever shells lie between; the current folder holds no module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dist_stilts.errors import UserError
from dist_stilts.experiment.claim import Busy
from dist_stilts.experiment.launch import environment_of_ranks, launch_command, require_free
from dist_stilts.experiment.plan import expand, folder_of
from dist_stilts.experiment.run_config import PhaseConfig, Recipe, TrainTask
from dist_stilts.once import hold
from dist_stilts.parallel.packed import pack, unpack

ODD = "a  b;touch pwned;$(touch pwned)`touch pwned`&touch pwned|'\"\\ *?[a]{b,c} # ~ !! %h%n%% <x >y\n€ü"
"""All that shells, pdsh and DeepSpeed's own quoting make something else of."""
PDSH = """#!{python}
import os, subprocess, sys
words = sys.argv[sys.argv.index("-w") + 2:]
line = " ".join(words).replace("%%", "\\0").replace("%n", "0").replace("%h", "HOST").replace("\\0", "%")
line = line.replace("-m deepspeed.launcher.launch", {show!r})
sys.exit(subprocess.run(["sh", "-c", line], env={{"PATH": os.environ["PATH"], "HERE": "there"}}).returncode)
"""
"""As the real one: one line of all words, its signs replaced, read by the host's shell; it then shows what it got."""
SHOW = """
import json, os, sys
json.dump({"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ), "python": sys.executable}, sys.stdout)
"""


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, whose name is odd, with a Python in it whose path therefore is; programs that stand in."""
    folder, programs = tmp_path / "R&D $(touch pwned) 'x' %h", tmp_path / "programs"
    for path in (folder / "venv/bin", programs):
        path.mkdir(parents=True)
    (folder / "venv/bin/python").symlink_to(Path(sys.executable).resolve())
    (folder / "venv/lib").symlink_to(Path(sys.prefix, "lib"))
    (folder / "venv/pyvenv.cfg").write_text(Path(sys.prefix, "pyvenv.cfg").read_text())
    show = tmp_path / "show.py"
    show.write_text(SHOW)
    for name, text in (
        ("pdsh", PDSH.format(python=sys.executable, show=str(show))),
        ("ssh", "#!/bin/sh\necho 10.0.0.1\n"),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(sys, "executable", str(folder / "venv/bin/python"))
    monkeypatch.chdir(folder)
    return folder


def test_hosts_get_what_was_typed_where_it_was_typed(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (odd / "hosts").write_text("one slots=1\ntwo slots=1\n")
    (odd / ".deepspeed_env").write_text("A=$HERE/x y\nB=$(touch pwned)`touch pwned`\nC=plain%h\n")
    for name in ("json.py", "deepspeed.py"):
        (odd / name).write_text("raise SystemExit('imported from the current folder')")
    monkeypatch.setenv("NCCL_ODD", ODD.strip())
    monkeypatch.setenv("PYTHON_ODD", ODD.strip())
    monkeypatch.setenv("PYTHONPATH", f"{os.environ.get('PYTHONPATH', '')}:here")
    typed = ["train", "--phase", "all", "--", "x.yaml", ODD, "", "--local_rank", "-"]
    command = launch_command(typed, 2, 29500, hostfile=Path("hosts"))
    done = subprocess.run(command, env=environment_of_ranks(2), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout)
    *launcher, module, verb, flag, word = there["argv"]
    assert (module, verb, "--node_rank=0" in launcher) == ("dist_stilts", "train", True)
    assert Path(there["cwd"]) != odd
    assert str(odd) not in there["env"]["PYTHONPATH"].split(":")
    assert str(odd / "here") in there["env"]["PYTHONPATH"].split(":")
    assert there["env"]["PYTHONSAFEPATH"] == "1"
    assert there["python"] == sys.executable
    assert {name: there["env"].get(name) for name in ("A", "B", "C", "PYTHON_ODD")} == {
        "A": "there/x y",
        "B": "$(touch pwned)`touch pwned`",
        "C": "plain%h",
        "PYTHON_ODD": ODD.strip(),
    }
    monkeypatch.chdir("/")
    assert unpack([verb, flag, word]) == typed
    assert Path.cwd() == odd
    assert not list(odd.parent.rglob("pwned*"))
    assert not Path("/pwned").exists()


def test_one_host_needs_no_shell_and_no_packing() -> None:
    command = launch_command(["train", "--", ODD], 2, 29500)
    assert command[-4:] == ["dist_stilts", "train", "--", ODD]


def test_nothing_is_imported_from_the_current_folder(tmp_path: Path) -> None:
    for name in ("typer", "torch", "json", "collections", "__future__", "random"):
        (tmp_path / f"{name}.py").write_text("open('executed', 'w')")
    command = [sys.executable, "-m", "dist_stilts", "recipes", "list"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "executed").exists()


def test_arguments_that_are_no_text_or_whose_folder_is_not_there_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no text in"):
        unpack(["train", "out=\udcff"])
    with pytest.raises(UserError, match="cannot be entered"):
        unpack(pack(tmp_path / "none", ["train"]))
    with pytest.raises(UserError, match="is damaged"):
        unpack(["train", "--packed", "x"])
    assert unpack(["run", "quickstart", "a=é"]) == ["run", "quickstart", "a=é"]


def test_a_run_that_another_program_works_at_is_found_before_anything_is_started(tmp_path: Path) -> None:
    recipe = Recipe(out=str(tmp_path), phases={"xnli": PhaseConfig(tasks={"xnli": TrainTask()})})
    runs = expand(recipe)
    require_free(recipe, runs)
    lock = hold(folder_of(recipe).run("xnli").lock)
    assert lock
    with pytest.raises(Busy, match="another program is working here"):
        require_free(recipe, runs)
    lock.release()
    require_free(recipe, runs)
