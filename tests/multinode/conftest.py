"""One job, started by every launcher; what it leaves is compared bit by bit."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from one_job import RECIPE, SECONDS, Job, environment
from two_hosts import TwoHosts, missing
from warm_ranks import Ranks


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with the world and the tokenised data in it, to be copied."""
    out = tmp_path_factory.mktemp("prepared")
    done = subprocess.run(
        [sys.executable, "-m", "dist_stilts", "prepare", str(RECIPE), f"out={out}"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def reference(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, object]]:
    """``reference(ranks, steps=)``: what so many ranks on this host leave that no launcher started."""

    @functools.cache
    def left(ranks: int = 2, steps: int = 30) -> dict[str, object]:
        folder = tmp_path_factory.mktemp("reference")
        job = Job(folder / "out", steps)
        shutil.copytree(prepared, job.out)
        started = Ranks(job.arguments, folder / "logs", ranks)
        assert started.wait(SECONDS) == [0] * ranks, started.stderr()
        return job.left()

    return left


@pytest.fixture
def job(prepared: Path, tmp_path: Path) -> Callable[..., Job]:
    """``job(name, steps=)``: a fresh one."""

    def job_(name: str, steps: int = 30) -> Job:
        shutil.copytree(prepared, tmp_path / name)
        return Job(tmp_path / name, steps)

    return job_


Run = Callable[..., str]


@pytest.fixture(scope="session")
def run() -> Run:
    """``run(command, seconds=, env=)``: to its end, with everything it started; returns what it said."""

    def run_(command: list[str], seconds: float = SECONDS, env: dict[str, str] | None = None, code: int = 0) -> str:
        process = subprocess.Popen(
            command, env=env or environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            said = process.communicate(timeout=seconds)[0].decode(errors="replace")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        assert process.returncode == code, said[-4000:]
        return said

    return run_


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHosts]:
    """Two hosts with a cable between them."""
    if why := missing():
        pytest.skip(why)
    two = TwoHosts(tmp_path_factory.mktemp("hosts"))
    two.down()  # what an interrupted test run has left
    try:
        two.up()
    except AssertionError as error:
        two.down()
        pytest.skip(f"no namespaces of the network here: {error}")
    yield two
    two.down()


@pytest.fixture
def quiet(hosts: TwoHosts) -> Iterator[TwoHosts]:
    """The hosts, with nothing running on them before and after."""
    hosts.clear()
    yield hosts
    hosts.clear()
