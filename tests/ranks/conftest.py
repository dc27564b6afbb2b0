"""Starts worker scripts as the ranks of one process group on this host; nothing that it starts outlives the call."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dist_stilts.parallel.network import free_port

HERE = Path(__file__).resolve().parent
TIMEOUT = 300.0  # seconds; below pytest's own limit for a test, so that the ranks' messages are seen
TAIL = 3000  # characters of a failed rank's stderr that are shown


@dataclass(frozen=True)
class Ended:
    """How one rank ended; ``at`` is the wall-clock time."""

    code: int
    at: float
    stderr: str


RunRanks = Callable[..., list[Ended]]


def _run_ranks(
    script: str, ranks: int, out: Path, *args: str, timeout: float = TIMEOUT, check: bool = True, gpu: bool = False
) -> Any:
    """Run ``tests/ranks/<script> OUT *ARGS`` once per rank and wait for all.

    With ``check``, the first rank that fails ends the others and raises AssertionError with its stderr; without it,
    every rank is left to end by itself. At the time-out all are killed and TimeoutError is raised.
    """
    port = free_port()
    processes: list[subprocess.Popen[bytes]] = []
    ended: dict[int, float] = {}
    try:
        for rank in range(ranks):
            with (out / f"stderr-{rank}").open("wb") as stderr:
                process = subprocess.Popen(
                    [sys.executable, str(HERE / script), str(out), *args],
                    env=_environment(rank, ranks, port, gpu),
                    stdout=stderr,
                    stderr=stderr,
                    start_new_session=True,
                )
            processes.append(process)
        _wait(processes, ended, out, time.monotonic() + timeout, check)
    finally:
        for process in processes:
            _kill(process)
    return [Ended(process.returncode, ended[rank], _tail(out, rank)) for rank, process in enumerate(processes)]


def _wait(
    processes: list[subprocess.Popen[bytes]], ended: dict[int, float], out: Path, deadline: float, check: bool
) -> None:
    while len(ended) < len(processes):
        for rank, process in enumerate(processes):
            if rank not in ended and process.poll() is not None:
                ended[rank] = time.time()
                if check and process.returncode != 0:
                    raise AssertionError(_report(rank, processes, out))
        if time.monotonic() > deadline:
            left = [rank for rank in range(len(processes)) if rank not in ended]
            raise TimeoutError(f"ranks {left} were still running; rank {left[0]} said:\n{_tail(out, left[0])}")
        time.sleep(0.05)


def _report(failed: int, processes: list[subprocess.Popen[bytes]], out: Path) -> str:
    """What all ranks said: the first to fail is often the victim of another."""
    time.sleep(2)
    said = [f"--- rank {rank} (code {p.poll()}):\n{_tail(out, rank)}" for rank, p in enumerate(processes)]
    return f"rank {failed} ended with code {processes[failed].returncode}\n" + "\n".join(said)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a rank, and what it may have started: its session is its own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _environment(rank: int, ranks: int, port: int, gpu: bool) -> dict[str, str]:
    on_cpu = {"DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    return {
        **({} if gpu else on_cpu),
        **os.environ,
        "RANK": str(rank),
        "WORLD_SIZE": str(ranks),
        "LOCAL_RANK": str(rank),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }


def _tail(out: Path, rank: int) -> str:
    return (out / f"stderr-{rank}").read_text(encoding="utf-8", errors="replace")[-TAIL:]


@pytest.fixture(scope="session")
def run_ranks() -> RunRanks:
    """``run_ranks(script, ranks, out, *args, timeout=, check=, gpu=)``; see :func:`_run_ranks`."""
    return _run_ranks


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[Any]]:
    """``saved(script, ranks)``: what each rank of a worker saved.

    A worker runs once per session and size. If it failed, every test that asks for it fails alike, without a new run.
    """
    import torch

    @functools.cache
    def run(script: str, ranks: int) -> list[Any] | AssertionError | TimeoutError:
        out = tmp_path_factory.mktemp(f"{script.removesuffix('.py')}-{ranks}")
        try:
            _run_ranks(script, ranks, out)
        except (AssertionError, TimeoutError) as error:
            return error
        return [torch.load(out / f"rank-{rank}.pt", weights_only=False) for rank in range(ranks)]

    def results(script: str, ranks: int) -> list[Any]:
        found = run(script, ranks)
        if isinstance(found, Exception):
            raise found
        return found

    return results
