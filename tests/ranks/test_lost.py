"""Law 10: a rank that is lost, in whatever way, ends all the others within a bounded time, and is named."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dist_stilts.errors import EXIT_FAILED
from dist_stilts.parallel.network import free_port

pytestmark = pytest.mark.timeout(120)
RunRanks = Callable[..., list[Any]]
WORKER = "worker_lost.py"
HOST = socket.gethostname()


@pytest.fixture
def run(run_ranks: RunRanks) -> RunRanks:
    """As :func:`run_ranks`, each rank left to its end."""
    return functools.partial(run_ranks, WORKER, check=False, timeout=80)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIST_STILTS_START_SECONDS", "6")
    monkeypatch.setenv("DIST_STILTS_SILENCE_SECONDS", "6")


@pytest.mark.parametrize("frozen", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_rank_that_freezes_is_missed_and_named_and_says_so_when_it_thaws(
    run: RunRanks, tmp_path: Path, frozen: int
) -> None:
    """As when a host is cut off: nothing is closed, nothing fails, an exchange would wait for its whole time-out.

    Rank 0 keeps the table by which ranks watch each other; while it is frozen nothing is known of anybody else.
    """
    ended = run(3, tmp_path, "frozen", str(frozen))
    others = [rank for rank in range(3) if rank != frozen]
    names = {rank: "not heard of for 6 s" in ended[rank].stderr for rank in others}
    assert any(names.values())
    for rank in others:
        assert ended[rank].code == EXIT_FAILED
        assert ended[rank].at < ended[frozen].at
        # Who is a moment later may find the connection to the other gone.
        assert names[rank] or "lost the connection to another rank" in ended[rank].stderr
        assert not names[rank] or f"rank {rank} on {HOST}: rank {frozen} on {HOST}: not" in ended[rank].stderr
        assert not names[rank] or f"rank {frozen} on" in (tmp_path / f"reason-{rank}").read_text()
    assert ended[frozen].code == EXIT_FAILED
    assert "it stood still for" in ended[frozen].stderr
    assert "not heard of" not in ended[frozen].stderr


@pytest.mark.slow
def test_ranks_that_are_suspended_together_go_on_together(run: RunRanks, tmp_path: Path) -> None:
    """As by a cluster that gives the nodes to another job for a while."""
    ended = run(3, tmp_path, "suspended")
    assert [rank.code for rank in ended] == [0, 0, 0], ended


def test_a_rank_that_is_killed_ends_the_others_at_once(run: RunRanks, tmp_path: Path) -> None:
    ended = run(3, tmp_path, "killed")
    assert ended[2].code == -signal.SIGKILL
    for rank in (0, 1):
        assert ended[rank].code == EXIT_FAILED
        assert ended[rank].at - ended[2].at < 5
        assert "lost the connection to another rank" in ended[rank].stderr


@pytest.mark.parametrize("cold", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_ranks_that_come_to_their_end_one_after_another_all_end_well(run: RunRanks, tmp_path: Path, cold: bool) -> None:
    """The first rank, which keeps the table by which they watch each other, goes before the others have looked.

    A new interpreter is taken down in another way than a fork.
    """
    ended = run(3, tmp_path, "unequal", cold=cold)
    assert [rank.code for rank in ended] == [0, 0, 0], ended
    assert ended[2].at - ended[0].at > 0.5


def test_a_rank_that_never_comes_is_named_with_those_that_came(run: RunRanks, tmp_path: Path) -> None:
    ended = run(3, tmp_path, "absent")
    assert [rank.code for rank in ended] == [EXIT_FAILED, EXIT_FAILED, 0]
    assert "rank 2 of 3 did not come within 6 s; ranks 0, 1 came, on" in ended[0].stderr
    assert "error: rank 1 on" in ended[1].stderr
    assert "Traceback" not in ended[0].stderr + ended[1].stderr


def test_ranks_whose_master_goes_before_all_have_come_do_not_wait(run: RunRanks, tmp_path: Path) -> None:
    ended = run(2, tmp_path, "gone first")
    assert ended[1].code == EXIT_FAILED
    assert "rank 0 has gone" in ended[1].stderr
    assert ended[1].at - ended[0].at < 5


def test_a_rank_whose_launcher_is_killed_is_asked_to_save_and_end(tmp_path: Path) -> None:
    """It would else train on with nobody to end it, and hold its GPU."""
    environment = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    program = f"{sys.executable} {Path(__file__).with_name(WORKER)} {tmp_path} orphaned"
    ranks = "; ".join(f"RANK={rank} LOCAL_RANK={rank} {program} & echo $! >{tmp_path}/pid-{rank}" for rank in (0, 1))
    launcher = subprocess.Popen(["sh", "-c", f"{ranks}; wait"], env=environment, start_new_session=True)
    try:
        _wait_for_both(tmp_path, "works")
        launcher.kill()
        _wait_for_both(tmp_path, "asked")
    finally:
        for pid in tmp_path.glob("pid-*"):
            try:
                os.kill(int(pid.read_text()), signal.SIGKILL)
            except ProcessLookupError:
                continue


def _wait_for_both(folder: Path, name: str) -> None:
    """Until each of two ranks has written its file of that name."""
    deadline = time.monotonic() + 40
    while not all((folder / f"{name}-{rank}").exists() for rank in (0, 1)):
        assert time.monotonic() < deadline, f"no {name} of both ranks within 40 s"
        time.sleep(0.2)
