"""Ranks that start in a second (see :mod:`warm`), each of which runs the program's ``main``.

What a rank does is what ``python -m dist_stilts train`` does, in a process and a session of its own.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import BinaryIO

import warm

from dist_stilts.parallel.network import free_port

LOOK = signal.SIGURG
"""A signal that nothing else means: those that clusters send are obeyed by the program."""
SECONDS_TO_LOOK = 5.0
STACK_ENDS = "end of stack\n"

Before = Callable[[], None]


class Ranks:
    """The ranks of one start of ``dist-stilts ARGUMENTS``.

    Args:
        logs: folder for ``rank-0.err`` and the like; older ones are overwritten.
        before: called in each rank before the program starts (it must pickle), to break something in it.
    """

    def __init__(self, arguments: list[str], logs: Path, size: int = 2, before: Before | None = None) -> None:
        self.logs = logs
        logs.mkdir(parents=True, exist_ok=True)
        common = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        self.started = time.time()
        self.processes: list[BaseProcess] = []
        for rank in range(size):
            stacks = logs / f"rank-{rank}.stacks"
            stacks.write_bytes(b"")
            environment = {**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            self.processes.append(
                warm.start(_main, (arguments, stacks, before), environment, logs / f"rank-{rank}.err")
            )

    @property
    def codes(self) -> list[int | None]:
        """Exit code per rank; minus the signal that killed it; None while it runs."""
        return [process.exitcode for process in self.processes]

    @property
    def running(self) -> bool:
        """Whether no rank has ended yet."""
        return all(code is None for code in self.codes)

    def stderr(self) -> str:
        """What all ranks said so far."""
        paths = [self.logs / f"rank-{rank}.err" for rank in range(len(self.processes))]
        return "".join(path.read_text(errors="replace") for path in paths if path.exists())

    def send(self, number: int, ranks: list[int] | None = None) -> None:
        """Send a signal to some ranks, or to all."""
        for rank, process in enumerate(self.processes):
            if process.is_alive() and process.pid and (ranks is None or rank in ranks):
                os.kill(process.pid, number)

    def wait(self, seconds: float) -> list[int | None]:
        """Wait for the end of all ranks; returns their exit codes.

        Raises:
            TimeoutError: some still ran; they are killed.
        """
        deadline = time.monotonic() + seconds
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
        late = [rank for rank, code in enumerate(self.codes) if code is None]
        if late:
            stacks = "\n".join(self.stacks())
            self.kill()
            raise TimeoutError(f"ranks {late} still ran after {seconds} s:\n{stacks}\n{self.stderr()[-3000:]}")
        return self.codes

    def kill(self) -> None:
        """End what still runs."""
        self.send(signal.SIGKILL)
        for process in self.processes:
            process.join(10)

    def stacks(self) -> list[str]:
        """Where each rank is in its program now, innermost call first; empty before its start and after its end."""
        paths = [self.logs / f"rank-{rank}.stacks" for rank in range(len(self.processes))]
        sizes = [path.stat().st_size for path in paths]
        ready = [rank for rank, size in enumerate(sizes) if size]  # the signal would end the others
        self.send(LOOK, ready)
        return [self._stack(rank, paths[rank], sizes[rank]) if rank in ready else "" for rank in range(len(paths))]

    def _stack(self, rank: int, path: Path, size: int) -> str:
        deadline = time.monotonic() + SECONDS_TO_LOOK
        while time.monotonic() < deadline and self.processes[rank].exitcode is None:
            with path.open("rb") as file:
                file.seek(size)
                stack = file.read().decode(errors="replace")
            if stack.endswith(STACK_ENDS):
                return stack
            time.sleep(0.0005)
        return ""


def answer_looks(file: BinaryIO) -> None:
    """Write the main thread's stack at every LOOK; from Python, as faulthandler may crash if called so often."""

    def write(_: int, frame: FrameType | None) -> None:
        places = [f"{at.f_code.co_filename}:{line} {at.f_code.co_name}\n" for at, line in traceback.walk_stack(frame)]
        file.write("".join([*places, STACK_ENDS]).encode())

    signal.signal(LOOK, write)
    file.write(STACK_ENDS.encode())


def _main(arguments: list[str], stacks: Path, before: Before | None) -> None:
    answer_looks(stacks.open("ab", buffering=0))
    if before:
        before()
    warm.program(*arguments)
