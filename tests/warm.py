"""Processes that start in a moment: forked from one that has imported everything. Linux only.

The imports of a rank take far longer than a tiny training; here they are done once. Each process has a session of its
own, and none outlives the one that started it.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

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
ON_CPU = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}
"""One thread, so that forking is safe; no accelerator, which a fork cannot use."""
PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


def start(
    work: Callable[..., None],
    arguments: tuple[Any, ...],
    environment: Mapping[str, str],
    out: Path,
    err: Path | None = None,
    cold: bool = False,
) -> BaseProcess:
    """Start a process that does ``work(*arguments)``.

    Args:
        work: of a module that imports nothing heavy.
        environment: added to that of the server of forks; cold: to that of this process.
        out: gets standard output; err: gets what goes to standard error, or else that goes to ``out`` too.
        cold: a new interpreter, which imports everything itself and is taken down as any other at its end.
    """
    logs = (out, err or out)
    for log in logs:
        log.write_bytes(b"")
    context = multiprocessing.get_context("spawn") if cold else server()
    process = context.Process(target=begin, args=(work, arguments, dict(environment), logs))
    process.start()
    return process


def script(path: str, *arguments: str) -> None:
    """Do what ``python PATH ARGUMENTS`` does."""
    sys.argv = [path, *arguments]
    sys.path.insert(0, str(Path(path).parent))
    runpy.run_path(path, run_name="__main__")


def program(*arguments: str) -> None:
    """Do what ``dist-stilts ARGUMENTS`` does."""
    from dist_stilts.__main__ import main

    sys.argv = ["dist-stilts", *arguments]
    main()


def begin(
    work: Callable[..., None], arguments: tuple[Any, ...], environment: dict[str, str], logs: tuple[Path, Path]
) -> None:
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.environ.update(environment)
    for stream, log in enumerate(logs, 1):
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), stream)
    work(*arguments)


def server() -> ForkServerContext:
    """The process that others are forked from; it starts with the first of them and ends with this one."""
    context = multiprocessing.get_context("forkserver")
    if not _started:
        _started.append(True)
        context.set_forkserver_preload(PRELOADED)
        with _in_environment({**ON_CPU, "PYTHONWARNINGS": "ignore"}):
            context.Process(target=int).start()
    return context


_started: list[bool] = []


@contextmanager
def _in_environment(changes: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
