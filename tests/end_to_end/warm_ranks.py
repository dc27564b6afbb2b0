"""Ranks that start in a second: forked from a process that has imported everything, each runs the program's ``main``.

What a rank does is what ``python -m dist_stilts train`` does, in a process and a session of its own; only the imports,
which take far longer than a tiny training, are done once. Linux only. Nothing started here outlives this process.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from dist_stilts.parallel.network import free_port

PRELOADED = [
    "dist_stilts.__main__",
    "dist_stilts.experiment.phases",
    "datasets",
    "deepspeed.ops",
    "deepspeed.runtime.zero.muon.muon_optimizer",  # DeepSpeed's engine imports it when it starts: 2 s
    "deepspeed.runtime.zero.stage_1_and_2",
    "tensorboard.summary.writer.event_file_writer",
    "torch.distributed.nn.functional",
    "transformers.models.xlm_roberta.modeling_xlm_roberta",
]
PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>
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
            (logs / f"rank-{rank}.stacks").write_bytes(b"")
            environment = {**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            process = server().Process(target=_main, args=(arguments, environment, logs, rank, before))
            process.start()
            self.processes.append(process)

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


def server() -> ForkServerContext:
    """The process that ranks are forked from; it starts with the first of them and ends with this process."""
    context = multiprocessing.get_context("forkserver")
    if "warm_ranks" not in _started:
        _started.add("warm_ranks")
        context.set_forkserver_preload(PRELOADED)
        # One thread, so that forking is safe; no accelerator, which a fork cannot use.
        quiet = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
        with _environment({**quiet, "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}):
            context.Process(target=int).start()
    return context


_started: set[str] = set()


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def answer_looks(file: BinaryIO) -> None:
    """Write the main thread's stack at every LOOK; from Python, as faulthandler may crash if called so often."""

    def write(_: int, frame: FrameType | None) -> None:
        places = [f"{at.f_code.co_filename}:{line} {at.f_code.co_name}\n" for at, line in traceback.walk_stack(frame)]
        file.write("".join([*places, STACK_ENDS]).encode())

    signal.signal(LOOK, write)
    file.write(STACK_ENDS.encode())


def _main(arguments: list[str], environment: dict[str, str], logs: Path, rank: int, before: Before | None) -> None:
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.environ.update(environment)
    log = os.open(logs / f"rank-{rank}.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    answer_looks((logs / f"rank-{rank}.stacks").open("ab", buffering=0))
    sys.argv = ["dist-stilts", *arguments]
    from dist_stilts.__main__ import main

    if before:
        before()
    main()
