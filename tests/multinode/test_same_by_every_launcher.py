"""On one host, deepspeed, torchrun and mpirun do the same as ranks that no launcher started.

Weights, predictions and scores are equal bit by bit.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from one_job import BIN

from dist_stilts.parallel.network import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def deepspeed(ranks: int) -> list[str]:
    options = ["--num_gpus", str(ranks), "--master_port", str(free_port()), "--no_local_rank", "--module"]
    return [str(BIN / "deepspeed"), *options, "dist_stilts"]


def torchrun(ranks: int) -> list[str]:
    return [str(BIN / "torchrun"), "--standalone", "--nproc-per-node", str(ranks), "-m", "dist_stilts"]


def mpirun(ranks: int) -> list[str]:
    if not shutil.which("mpirun"):
        pytest.skip("mpirun is not installed")
    root = ["--allow-run-as-root"] if "Open MPI" in version() else []
    spread = ["--oversubscribe", "--bind-to", "none"] if root else []
    return ["mpirun", *root, *spread, "-np", str(ranks), sys.executable, "-m", "dist_stilts"]


def version() -> str:
    return subprocess.run(["mpirun", "--version"], capture_output=True, text=True, timeout=30).stdout


@pytest.mark.parametrize(
    ("launcher", "who"), [(deepspeed, "deepspeed"), (torchrun, "torchrun"), (mpirun, "Open MPI|MPICH")]
)
def test_every_launcher_does_the_same(
    launcher: Callable[[int], list[str]], who: str, job: Callable[..., Any], run: Callable[..., str], reference: Any
) -> None:
    one = job("one")
    said = run([*launcher(2), *one.arguments])
    assert re.search(rf"2 ranks by ({who}) on 1 host \(.*\), cpu, master (127.0.0.1|localhost):\d+ over lo, gloo", said)
    assert one.status["state"] == "done"
    assert one.left() == reference(2)


def test_a_plain_start_is_one_process_and_asks_for_no_mpi(job: Callable[..., Any], run: Callable[..., str]) -> None:
    one = job("plain")
    said = run([sys.executable, "-X", "importtime", "-m", "dist_stilts", *one.arguments])
    assert one.status["world_size"] == 1
    assert not re.search(r"\bmpi4py\.MPI\b", said)


def test_hosts_are_checked_inside_mpirun(run: Callable[..., str], tmp_path: Path) -> None:
    said = run([*mpirun(2), "preflight", "--out", str(tmp_path)])
    assert re.search(r"all-reduce .*2 ranks, bus bandwidth in GB/s", said)
    assert re.search(r"\b0 failed", said)
