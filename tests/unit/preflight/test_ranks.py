"""What starts the ranks of the tiny job; here a shell script is the interpreter, so that no rank takes long."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from dist_stilts.preflight.ranks import FIGURES, run_ranks


@pytest.fixture
def ranks_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Let every rank run a shell script instead; returns the folder where it stands."""

    def ranks_do_(script: str) -> Path:
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\ncd {tmp_path}\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setattr("sys.executable", str(program))
        return tmp_path

    return ranks_do_


def test_each_rank_gets_its_place_and_rank_zeros_figures_come_back(ranks_do: Callable[[str], Path]) -> None:
    said = f"""echo "$RANK $LOCAL_RANK $WORLD_SIZE $LOCAL_WORLD_SIZE $MASTER_ADDR $MASTER_PORT $*" > place-$RANK
        [ $RANK -ne 2 ] || echo 'noise
{FIGURES}[{{"bytes": 1024}}]'"""
    folder = ranks_do(said)
    answer = run_ranks(slots=2, first_rank=2, world_size=6, address="node-1", port=29500)
    assert answer == {"figures": [{"bytes": 1024}], "trouble": None}
    for rank, local in ((2, 0), (3, 1)):
        place, _, arguments = (folder / f"place-{rank}").read_text().strip().partition(" -u ")
        assert place == f"{rank} {local} 6 2 node-1 29500"
        assert arguments == "-m dist_stilts preflight --facts bandwidth"


def test_the_rank_that_fails_or_is_killed_is_told_and_the_others_end_soon(
    ranks_do: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dist_stilts.preflight.ranks.GRACE_SECONDS", 0.3)
    folder = ranks_do(
        "[ $RANK -eq 1 ] && { echo 'error: no route'; echo later; exit 3; }; echo $$ > pid-$RANK; sleep 60 & wait"
    )
    start = time.monotonic()
    answer = run_ranks(slots=2, first_rank=0, world_size=2, address="node-1", port=29500)
    assert time.monotonic() - start < 5
    assert answer["trouble"] == "rank 1 ended with code 3 and said: error: no route"
    assert not psutil.pid_exists(int((folder / "pid-0").read_text()))
    ranks_do("kill -9 $$")
    killed = run_ranks(slots=1, first_rank=0, world_size=1, address="node-1", port=29500)
    assert killed["trouble"] == "rank 0 was killed"


def test_ranks_that_wait_for_ever_are_ended_with_all_they_started(ranks_do: Callable[[str], Path]) -> None:
    folder = ranks_do("sleep 60 & echo $! > child; wait")
    answer = run_ranks(slots=1, first_rank=4, world_size=8, address="node-1", port=29500, seconds=0.5)
    assert answer == {"figures": None, "trouble": "rank 4 was not done after 0.5 s"}
    child = int((folder / "child").read_text())
    deadline = time.monotonic() + 5
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
