"""Asked to stop: a signal sets a flag, the loops look at it at every step and every batch, and all ranks stop together.

Slurm, Kubernetes and the launchers end a job with SIGTERM (or, where asked to, SIGUSR1 or SIGUSR2) and kill it some
seconds later.
Whichever rank gets the signal, all ranks hear of it in the next :func:`check` and leave from the same place, so that a
checkpoint can be taken there. A second Ctrl-C is obeyed at once.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from dist_stilts.errors import EXIT_AGAIN, UserError
from dist_stilts.parallel.collectives import any_rank

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)


class Preempted(UserError):
    """All ranks were asked to stop, and did; what was done so far is safe. Exit code 75: start me again."""

    def __init__(self, what: str = "asked to stop") -> None:
        super().__init__(what, fix="The same command continues from here", code=EXIT_AGAIN)


_received: set[int] = set()


@contextmanager
def listening() -> Iterator[None]:
    """Note the signals to stop instead of dying of them, while the block runs."""
    before = {number: signal.signal(number, _note) for number in SIGNALS}
    try:
        yield
    finally:
        _received.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def requested() -> bool:
    """Whether this rank was asked to stop; the others may not know yet."""
    return bool(_received)


def check() -> None:
    """Raise :class:`Preempted` on all ranks if any was asked to stop; every rank must call it equally often."""
    if any_rank(requested()):
        raise Preempted


def _note(number: int, _: object) -> None:
    if number == signal.SIGINT and number in _received:
        raise KeyboardInterrupt
    _received.add(number)
