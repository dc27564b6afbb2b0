"""Where there is a Slurm: srun does what other launchers do, and a preempted job goes back into the queue and on."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from one_job import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SCRIPT = Path(__file__).parents[2] / "launch_scripts/slurm.sbatch"
SMALL = ["--nodes=1", "--ntasks-per-node=2", "--gpus-per-node=0", "--cpus-per-task=1"]
SECONDS = 400.0


@pytest.fixture(autouse=True)
def _a_slurm() -> None:
    if not shutil.which("sinfo") or subprocess.run(["sinfo", "-h"], capture_output=True, timeout=30).returncode:
        pytest.skip("no Slurm here")


def submit(job: Any, tmp_path: Path) -> str:
    recipe, *overrides = job.arguments[1:]
    arguments = [recipe, *(word for word in overrides if "=" in word)]
    done = subprocess.run(
        ["sbatch", "--parsable", *SMALL, f"--output={tmp_path}/log", str(SCRIPT), *arguments],
        env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def scontrol(number: str) -> dict[str, str]:
    said = subprocess.run(["scontrol", "show", "job", number, "-o"], capture_output=True, text=True, timeout=30).stdout
    return dict(pair.split("=", 1) for pair in said.split() if "=" in pair)


def wait_for(number: str, true: Callable[[dict[str, str]], bool], log: Path) -> dict[str, str]:
    deadline = time.monotonic() + SECONDS
    while not true(found := scontrol(number)):
        assert time.monotonic() < deadline, f"{found.get('JobState')}: {log.read_text()[-2000:]}"
        time.sleep(0.1)
    return found


def ended(found: dict[str, str]) -> bool:
    return found["JobState"] in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


def test_the_shipped_script_does_what_torchrun_does(
    job: Callable[..., Any], reference: Callable[..., Any], tmp_path: Path
) -> None:
    one = job("slurm")
    number = submit(one, tmp_path)
    assert wait_for(number, ended, tmp_path / "log")["JobState"] == "COMPLETED"
    assert "2 ranks by Slurm on 1 host" in (tmp_path / "log").read_text()
    assert one.left() == reference(2)


def test_a_preempted_job_goes_back_into_the_queue_and_ends_as_if_nothing_had_happened(
    job: Callable[..., Any], reference: Callable[..., Any], tmp_path: Path
) -> None:
    one = job("preempted", 200)
    number = submit(one, tmp_path)
    wait_for(number, lambda _: one.status.get("step", 0) >= 25, tmp_path / "log")
    subprocess.run(["scancel", "--signal=TERM", number], check=True, timeout=30)
    wait_for(number, lambda found: found["Restarts"] == "1", tmp_path / "log")
    assert one.status["state"] == "queued"
    assert "back into the queue" in (tmp_path / "log").read_text()
    assert wait_for(number, ended, tmp_path / "log")["JobState"] == "COMPLETED"
    assert one.left() == reference(2, 200)
