"""The launch scripts say on one line what is wrong with their variables, before anything starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "launch_scripts"
BIN = Path(sys.executable).parent


def start(script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **variables}
    command = ["bash", str(SCRIPTS / script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("script", ["one_node.sh", "hostfile.sh", "torchrun.sh", "mpirun.sh", "slurm.sbatch"])
def test_every_script_explains_itself(script: str) -> None:
    for asking in ([], ["-h"], ["--help"]):
        done = start(script, *asking)
        assert done.returncode == 0
        assert "\nUsage: " in done.stdout
        assert "#" not in done.stdout


@pytest.mark.parametrize(
    ("script", "variables", "said"),
    [
        ("one_node.sh", {"RANKS": "0"}, "RANKS='0'"),
        ("torchrun.sh", {"RANKS": "two"}, "RANKS='two'"),
        ("torchrun.sh", {"NODES": "2:"}, "NODES='2:'"),
        ("torchrun.sh", {"NODES": "1:2", "MASTER_ADDR": ""}, "several hosts need MASTER_ADDR"),
        ("mpirun.sh", {"RANKS": "-1"}, "RANKS='-1'"),
        ("mpirun.sh", {"HOSTFILE": "/none"}, "/none: cannot be read"),
        pytest.param("hostfile.sh", {"HOSTFILE": "/none"}, "/none: cannot be read", marks=pytest.mark.slow),
    ],
)
def test_bad_variables_are_said_on_one_line(script: str, variables: dict[str, str], said: str, tmp_path: Path) -> None:
    done = start(script, "quickstart", f"out={tmp_path}", **variables)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {said}")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
