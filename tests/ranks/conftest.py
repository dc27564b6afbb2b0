"""Starts worker scripts as the ranks of one process group on this host; nothing that it starts outlives the call."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import warm

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
    script: str,
    ranks: int,
    out: Path,
    *args: str,
    timeout: float = TIMEOUT,
    check: bool = True,
    cold: bool = False,
    gpu: bool = False,
) -> list[Ended]:
    """Run ``tests/ranks/<script> OUT *ARGS`` once per rank and wait for all.

    With ``check``, the first rank that fails ends the others and raises AssertionError with its stderr; without it,
    every rank is left to end by itself. At the time-out all are killed and TimeoutError is raised. See
    :func:`warm.start` for ``cold``; ranks on a GPU are.
    """
    port = free_port()
    processes: list[BaseProcess] = []
    ended: dict[int, float] = {}
    try:
        for rank in range(ranks):
            arguments = (str(HERE / script), str(out), *args)
            environment = _environment(rank, ranks, port, gpu)
            processes.append(warm.start(warm.script, arguments, environment, out / f"stderr-{rank}", cold=cold or gpu))
        _wait(processes, ended, out, time.monotonic() + timeout, check)
    finally:
        for process in processes:
            _kill(process)
    return [Ended(_code(process), ended[rank], _tail(out, rank)) for rank, process in enumerate(processes)]


def _wait(processes: list[BaseProcess], ended: dict[int, float], out: Path, deadline: float, check: bool) -> None:
    while len(ended) < len(processes):
        for rank, process in enumerate(processes):
            if rank not in ended and process.exitcode is not None:
                ended[rank] = time.time()
                if check and process.exitcode != 0:
                    raise AssertionError(_report(rank, processes, out))
        if time.monotonic() > deadline:
            left = [rank for rank in range(len(processes)) if rank not in ended]
            raise TimeoutError(f"ranks {left} were still running; rank {left[0]} said:\n{_tail(out, left[0])}")
        time.sleep(0.05)


def _report(failed: int, processes: list[BaseProcess], out: Path) -> str:
    """What all ranks said: the first to fail is often the victim of another."""
    time.sleep(2)
    said = [f"--- rank {rank} (code {p.exitcode}):\n{_tail(out, rank)}" for rank, p in enumerate(processes)]
    return f"rank {failed} ended with code {processes[failed].exitcode}\n" + "\n".join(said)


def _code(process: BaseProcess) -> int:
    assert process.exitcode is not None
    return process.exitcode


def _kill(process: BaseProcess) -> None:
    """End a rank, and what it may have started: its session is its own."""
    if process.exitcode is None and process.pid:
        with contextlib.suppress(ProcessLookupError):  # it may not have its session yet
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join(10)


def _environment(rank: int, ranks: int, port: int, gpu: bool) -> dict[str, str]:
    return {
        **({} if gpu else warm.ON_CPU),
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
    """``run_ranks(script, ranks, out, *args, timeout=, check=, cold=, gpu=)``; see :func:`_run_ranks`."""
    return _run_ranks


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[Any]]:
    """``saved(script, ranks, *arguments)``: what each rank of a worker saved.

    A worker runs once per session, size and arguments. If it failed, every test that asks for it fails alike, without a
    new run.
    """
    import torch

    @functools.cache
    def run(script: str, ranks: int, *args: str) -> list[Any] | AssertionError | TimeoutError:
        out = tmp_path_factory.mktemp(f"{script.removesuffix('.py')}-{ranks}")
        try:
            _run_ranks(script, ranks, out, *args)
        except (AssertionError, TimeoutError) as error:
            return error
        return [torch.load(out / f"rank-{rank}.pt", weights_only=False) for rank in range(ranks)]

    def results(script: str, ranks: int, *args: str) -> list[Any]:
        found = run(script, ranks, *args)
        if isinstance(found, Exception):
            raise found
        return found

    return results


@pytest.fixture(scope="session", autouse=True)
def _server_of_forks() -> None:
    """It imports for seconds, which no test is to pay for."""
    warm.server()
