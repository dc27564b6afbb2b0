"""The master's small table of keys and values, by which ranks find each other before and beside their process group."""

from __future__ import annotations

import os
import socket
import threading
from datetime import timedelta
from typing import Any, TypeAlias

import torch.distributed as dist

from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.parallel.launchers import Launch
from dist_stilts.parallel.network import listener

Store: TypeAlias = Any
"""A torch store; type checkers do not know it."""
SECONDS_TO_REPORT = 5
"""Past its time-out torch has this long to say so itself."""


def open_store(launch: Launch, seconds: float) -> Store:
    """The rank's connection for the start: rank 0 keeps the table, unless torchrun's agent does.

    Raises:
        UserError: the port is taken; the master does not answer in time.
    """
    if launch.world_size == 1:
        return dist.HashStore()  # type: ignore[attr-defined]
    serves = launch.rank == 0 and not kept_by_agent()
    try:
        return connection(launch, seconds, serves)
    except (OSError, RuntimeError, ValueError) as error:
        where, host = f"{launch.master_addr}:{launch.master_port}", socket.gethostname()
        if serves:
            what = f"rank 0 on {host} cannot listen at {where}: {_reason(error)}"
            fix = "Set MASTER_PORT to a free port and MASTER_ADDR to an address of the first host"
        else:
            what = f"rank {launch.rank} on {host} got no answer from {where} within {seconds:.0f} s"
            fix = "See whether rank 0 started, and whether its port can be reached: `dist-stilts preflight`"
        raise UserError(what, fix=fix, code=EXIT_FAILED, everywhere=False) from error


def connection(launch: Launch, seconds: float, serves: bool = False) -> Store:
    """A connection of the caller's own; OSError, RuntimeError or ValueError if there is none within ``seconds``.

    Who serves listens on the master's address only: torch by itself would on all of the host's.

    torch limits the time to connect, but not the wait for the first answer: another program at that port, which takes
    connections and says nothing, would hold a rank for ever. So another thread waits, and is left behind.
    """
    outcome: list[Store | Exception] = []
    listening = listener(launch.master_addr, launch.master_port, on_one_host(launch)) if serves else None

    def connect() -> None:
        try:
            store = dist.TCPStore(  # type: ignore[attr-defined]
                launch.master_addr,
                launch.master_port,
                is_master=serves,
                timeout=timedelta(seconds=seconds),
                wait_for_workers=False,
                master_listen_fd=listening.detach() if listening else None,
            )
        except (RuntimeError, ValueError) as error:
            outcome.append(error)
        else:
            outcome.append(store)

    thread = threading.Thread(target=connect, name="connect", daemon=True)
    thread.start()
    thread.join(seconds + SECONDS_TO_REPORT)
    if not outcome:
        raise RuntimeError("connected, but no answer came")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def kept_by_agent() -> bool:
    """Whether torchrun's agent keeps the table, and not rank 0."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def on_one_host(launch: Launch) -> bool:
    """Whether the launcher says that it started all ranks on this host."""
    given = (os.environ.get(name) for name in ("LOCAL_WORLD_SIZE", "LOCAL_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"))
    return str(launch.world_size) in given


def _reason(error: BaseException) -> str:
    """torch's message, which ends in a stack, in a few words."""
    if any(sign in str(error) for sign in ("in use", "EADDRINUSE")):
        return "another program holds it"
    return str(error).splitlines()[0]
