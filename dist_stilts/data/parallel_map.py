"""Apply a function to many chunks in several processes, results in order, few chunks in memory at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing import get_context
from typing import Any

from dist_stilts.import_path import of_children

FEWEST_CHUNKS = 10
"""With fewer, starting workers takes longer than they save."""
MOST_WORKERS = 32

_work: Callable[[Sequence[Any]], Any]


def in_order(work: Callable[[Sequence[Any]], Any], chunks: Iterator[Sequence[Any]]) -> Iterator[tuple[Any, int]]:
    """Yield ``work(chunk)`` and the chunk's length for every chunk.

    Args:
        work: pickled once per worker. A few chunks are done in this process.
    """
    workers = min(len(os.sched_getaffinity(0)), MOST_WORKERS)
    first = list(islice(chunks, FEWEST_CHUNKS))
    chunks = chain(first, chunks)
    if workers == 1 or len(first) < FEWEST_CHUNKS:
        yield from ((work(chunk), len(chunk)) for chunk in chunks)
        return
    # Fresh processes: a fork of one that has threads (torch, tokenizers) may hang.
    with _starting(), ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (work,)) as pool:
        waiting: deque[tuple[Future[Any], int]] = deque()
        for chunk in islice(chunks, 2 * workers):
            waiting.append((pool.submit(_call, chunk), len(chunk)))
        while waiting:
            future, size = waiting.popleft()
            yield future.result(), size
            for chunk in islice(chunks, 1):
                waiting.append((pool.submit(_call, chunk), len(chunk)))


@contextmanager
def _starting() -> Iterator[None]:
    """While the block runs, processes that are started import nothing from the current folder."""
    before = dict(os.environ)
    os.environ.update(of_children())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _start_worker(work: Callable[[Sequence[Any]], Any]) -> None:
    global _work
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one process per core is enough
    _work = work


def _call(chunk: Sequence[Any]) -> Any:
    return _work(chunk)
