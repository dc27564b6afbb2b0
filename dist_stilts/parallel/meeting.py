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

import torch.distributed as dist

from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.parallel.launchers import Launch
from dist_stilts.parallel.master import number

START_SECONDS = 90
"""How long ranks wait for each other; DIST_STILTS_START_SECONDS says otherwise."""
SECONDS_BETWEEN_LOOKS = 0.2
NAMED = 10
EVERYONE = "everyone"


def start_seconds() -> int:
    """How long ranks wait for each other at the start."""
    name = "DIST_STILTS_START_SECONDS"
    return number(os.environ.get(name, str(START_SECONDS)), name)


def open_store(launch: Launch, seconds: float) -> dist.Store:
    """A connection to the master's store: rank 0 keeps it, or torchrun's agent does.

    Raises:
        UserError: the port is taken; the master does not answer in time.
    """
    if launch.world_size == 1:
        return dist.HashStore()
    ours = launch.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    where = f"{launch.master_addr}:{launch.master_port}"
    try:
        return dist.TCPStore(
            launch.master_addr,
            launch.master_port,
            is_master=ours,
            timeout=timedelta(seconds=seconds),
            wait_for_workers=False,
        )
    except (RuntimeError, ValueError) as error:
        if ours:
            what = f"rank 0 on {socket.gethostname()} cannot listen at {where}: {_reason(error)}"
            fix = "Set MASTER_PORT to a free port and MASTER_ADDR to an address of the first host"
        else:
            what = f"rank {launch.rank} on {socket.gethostname()} got no answer from {where} within {seconds:.0f} s"
            fix = "See whether rank 0 started, and whether its port can be reached: `dist-stilts preflight`"
        raise UserError(what, fix=fix, code=EXIT_FAILED, everywhere=False) from error


def meet(launch: Launch, store: dist.Store, seconds: float) -> tuple[str, ...]:
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
        try:
            store.wait([EVERYONE], timedelta(seconds=seconds + 5))  # rank 0 speaks first
        except RuntimeError as error:
            what = f"rank {launch.rank} on {socket.gethostname()} waited {seconds:.0f} s: not all ranks came"
            raise UserError(what, fix="See rank 0's message", code=EXIT_FAILED, everywhere=False) from error
    return tuple(store.get(_place(rank)).decode() for rank in ranks)


def _await_all(store: dist.Store, ranks: Sequence[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    missing = list(ranks)
    while missing := [rank for rank in missing if not store.check([_place(rank)])]:
        if time.monotonic() > deadline:
            come = [rank for rank in ranks if rank not in missing]
            hosts = sorted({store.get(_place(rank)).decode() for rank in come})
            raise UserError(
                f"{_names(missing)} of {len(ranks)} did not come within {seconds:.0f} s; "
                f"{_names(come)} came, on {', '.join(hosts)}",
                fix="See what the hosts that are missing say, `dist-stilts preflight`, or raise DIST_STILTS_START_SECONDS",
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


def _reason(error: BaseException) -> str:
    """torch's message, which ends in a stack, in a few words."""
    if "in use" in str(error) or "EADDRINUSE" in str(error):
        return "another program holds the port"
    return str(error).splitlines()[0].removeprefix("The server socket has failed to listen on any local network address. ")
