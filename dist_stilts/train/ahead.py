"""The coming step's batches, made by a thread while this step computes; nothing about them depends on that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from dist_stilts.data.batches import Step

Make = Callable[[int], Step]


@contextmanager
def ahead(make: Make, steps: int) -> Iterator[Make]:
    """``make``, called with one step after another; the next one, if it is below ``steps``, is already on its way."""
    coming: dict[int, Future[Step]] = {}
    with ThreadPoolExecutor(1, "batches") as pool:

        def take(step: int) -> Step:
            made = coming.pop(step) if step in coming else pool.submit(make, step)
            if step + 1 < steps:
                coming[step + 1] = pool.submit(make, step + 1)
            return made.result()

        yield take
