"""A host's share of a small job: as many processes as it has slots meet those of the other hosts and sum tensors.

Each process is this program again, with the variables that a launcher sets. All are gone when the function returns.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from tempfile import TemporaryFile
from typing import IO, Any

from dist_stilts.import_path import of_children

RANK_SECONDS = 120.0
"""How long the small job may take, from its start to its end."""
GRACE_SECONDS = 5.0
"""How long the others may go on once one has failed: they often say why."""
FIGURES = "bandwidth of all ranks: "
"""How the line of the rank starts that prints the figures."""


def run_ranks(
    slots: int, first_rank: int, world_size: int, address: str, port: int, seconds: float = RANK_SECONDS
) -> dict[str, Any]:
    """Start this host's ranks and wait for them.

    Returns:
        ``figures`` (of rank 0's host, else None) and ``trouble``, None if every rank ended well, else what one said.
    """
    command = [sys.executable, "-u", "-m", "dist_stilts", "preflight", "--facts", "bandwidth"]
    with ExitStack() as opened:
        said = [opened.enter_context(TemporaryFile("w+", encoding="utf-8", errors="replace")) for _ in range(slots)]
        ranks: list[subprocess.Popen[bytes]] = []
        try:
            for local, file in enumerate(said):
                place = {"RANK": first_rank + local, "WORLD_SIZE": world_size, "LOCAL_RANK": local}
                place |= {"LOCAL_SIZE": slots, "LOCAL_WORLD_SIZE": slots}
                meeting = {"MASTER_ADDR": address, "MASTER_PORT": str(port)}
                ranks.append(
                    subprocess.Popen(
                        command,
                        env=of_children() | {name: str(number) for name, number in place.items()} | meeting,
                        stdin=subprocess.DEVNULL,
                        stdout=file,
                        stderr=file,
                        start_new_session=True,
                    )
                )
            late = _wait(ranks, seconds)
        finally:
            for rank in ranks:
                _end(rank)
        texts = [_text(file) for file in said]
    return {"figures": _figures(texts), "trouble": _trouble(ranks, texts, first_rank, late, seconds)}


def measure_and_print() -> None:
    """What each rank does: join the group, measure; rank 0 prints the figures."""
    from dist_stilts.parallel.bandwidth import measure
    from dist_stilts.parallel.world import started

    with started(timeout_seconds=int(RANK_SECONDS)) as world:
        figures = measure()
        if world.is_main:
            print(FIGURES + json.dumps([asdict(figure) for figure in figures]))


def _wait(ranks: Sequence[subprocess.Popen[bytes]], seconds: float) -> list[int]:
    """Wait until all have ended, or one has failed, or the time is up; returns who ran on at the end, by number."""
    deadline = time.monotonic() + seconds
    failed = False
    while None in (codes := [rank.poll() for rank in ranks]) and time.monotonic() < deadline:
        if not failed and any(codes):
            failed, deadline = True, min(deadline, time.monotonic() + GRACE_SECONDS)
        time.sleep(0.05)
    return [] if failed else [number for number, rank in enumerate(ranks) if rank.poll() is None]


def _end(rank: subprocess.Popen[bytes]) -> None:
    """Kill a rank that still runs, and whatever it has started: its session is its own."""
    if rank.poll() is None:
        os.killpg(rank.pid, signal.SIGKILL)
        rank.wait()


def _text(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _figures(texts: Sequence[str]) -> list[dict[str, float]] | None:
    found = [line for text in texts for line in text.splitlines() if line.startswith(FIGURES)]
    return json.loads(found[0].removeprefix(FIGURES)) if found else None


def _trouble(
    ranks: Sequence[subprocess.Popen[bytes]], texts: Sequence[str], first_rank: int, late: Sequence[int], seconds: float
) -> str | None:
    """One line on the rank that failed by itself, or that did not end."""
    for number, rank in enumerate(ranks):
        if rank.returncode and rank.returncode != -signal.SIGKILL:
            words = [line for line in texts[number].splitlines() if line.strip()] or ["nothing"]
            errors = [line for line in words if line.startswith("error: ")] or words
            return f"rank {first_rank + number} ended with code {rank.returncode} and said: {errors[-1].strip()}"
    if late:
        return f"rank {first_rank + late[0]} was not done after {seconds:g} s"
    killed = [number for number, rank in enumerate(ranks) if rank.returncode]
    return f"rank {first_rank + killed[0]} was killed" if killed else None
