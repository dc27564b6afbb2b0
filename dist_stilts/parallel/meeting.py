"""The ranks meet at the master before anything else: who does not come is named, within a bounded time.

Every rank leaves its host's name in the master's store and waits until all have; only then is a process group made,
whose own start would wait without saying for whom.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from datetime import timedelta

from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.parallel.launchers import START_SECONDS, Launch
from dist_stilts.parallel.master import number
from dist_stilts.parallel.store import Store

PATIENCE_SECONDS = 90
"""How long ranks wait for each other; DIST_STILTS_START_SECONDS says otherwise."""
SECONDS_BETWEEN_LOOKS = 0.2
NAMED = 10
EVERYONE = "everyone"


def start_seconds() -> int:
    """How long ranks wait for each other at the start."""
    return number(os.environ.get(START_SECONDS, str(PATIENCE_SECONDS)), START_SECONDS)


def meet(launch: Launch, store: Store, seconds: float) -> tuple[str, ...]:
    """Wait for all ranks; returns the names of their hosts, by rank.

    Raises:
        UserError: some have not come in time; rank 0 says which.
    """
    ranks = range(launch.world_size)
    store.set(_place(launch.rank), socket.gethostname())
    if launch.rank == 0:
        _await_all(store, ranks, seconds)
        store.set(EVERYONE, "")
    else:
        began = time.monotonic()
        try:
            store.wait([EVERYONE], timedelta(seconds=seconds + 5))  # rank 0 speaks first
        except RuntimeError as error:
            waited = time.monotonic() - began
            why = "not all ranks came" if waited > seconds else "rank 0 has gone"
            what = f"rank {launch.rank} on {socket.gethostname()} waited {waited:.0f} s at the start: {why}"
            raise UserError(what, fix="See what rank 0 said", code=EXIT_FAILED, everywhere=False) from error
    return tuple(store.get(_place(rank)).decode() for rank in ranks)


def _await_all(store: Store, ranks: Sequence[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    missing = list(ranks)
    while missing := [rank for rank in missing if not store.check([_place(rank)])]:
        if time.monotonic() > deadline:
            come = [rank for rank in ranks if rank not in missing]
            hosts = sorted({store.get(_place(rank)).decode() for rank in come})
            raise UserError(
                f"{_names(missing)} of {len(ranks)} did not come within {seconds:.0f} s; "
                f"{_names(come)} came, on {', '.join(hosts)}",
                fix="See what the missing ones say; `dist-stilts preflight`; or raise DIST_STILTS_START_SECONDS",
                code=EXIT_FAILED,
                everywhere=False,
            )
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _place(rank: int) -> str:
    return f"here/{rank}"


def _names(ranks: Sequence[int]) -> str:
    """``rank 3``, ``ranks 1, 2, 5``; the first few of them."""
    shown = ", ".join(map(str, ranks[:NAMED])) + (f" and {len(ranks) - NAMED} more" if len(ranks) > NAMED else "")
    return f"rank{'s' if len(ranks) > 1 else ''} {shown}"
