"""The process group: who am I, how many are we, on which hosts and device; started once, ended always.

Everything else asks :func:`current`, and is right with one process.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist

from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.parallel import allocator
from dist_stilts.parallel.launchers import Launch, detect, threads
from dist_stilts.parallel.meeting import meet, start_seconds
from dist_stilts.parallel.store import open_store
from dist_stilts.parallel.watch import silence_seconds, stood_still, watching

TIMEOUT_SECONDS = 600
"""How long a collective waits for ranks that live but do not come before the job ends; one that is lost is missed
sooner (:mod:`dist_stilts.parallel.watch`)."""
LOST = ("closed by peer", "reset by peer", "Timed out waiting", "timed out", "Broken pipe", "NCCL")
"""Words by which torch's backends say that another rank is gone."""


@dataclass(frozen=True)
class World:
    """This process among its peers.

    Attributes:
        hosts: names of the ranks' hosts, by rank.
    """

    rank: int
    size: int
    local_rank: int
    device: torch.device
    hosts: tuple[str, ...] = ()

    @property
    def is_main(self) -> bool:
        """Whether this is the rank that speaks and writes."""
        return self.rank == 0

    @property
    def group(self) -> Any:
        """The torch process group of all ranks, with our time-out, for libraries that would else make their own."""
        return dist.group.WORLD


ALONE = World(0, 1, 0, torch.device("cpu"))
_world = ALONE


def current() -> World:
    """The world as started; one process on the CPU before that."""
    return _world


def lost_rank(error: BaseException) -> UserError | None:
    """What torch's backends say when another rank is gone, in words for people; None if the error is another."""
    if not isinstance(error, RuntimeError) or not any(sign in str(error) for sign in LOST):
        return None
    own, see = stood_still(), "See what that rank said"
    return UserError(
        f"rank {_world.rank} lost the connection to another rank" + (f": {own}" if own else ""),
        code=EXIT_FAILED,
        everywhere=False,
        fix=f"{'It was stopped or suspended' if own else see}; the same command continues from the last checkpoint",
    )


@contextmanager
def started(timeout_seconds: int = TIMEOUT_SECONDS) -> Iterator[World]:
    """Join the process group of whichever launcher started us, and leave it at the end.

    On an error the group is left without a barrier: the other ranks see the connection close and end too.
    """
    global _world
    launch = detect()
    launch.export()
    device, backend = _device(launch)
    # Imported later, its functions' defaults would hold the group and its threads past the end: aborts at exit.
    import_module("torch.distributed.nn.functional")
    seconds = start_seconds()
    store = open_store(launch, seconds)
    hosts = meet(launch, store, seconds)
    if launch.rank == 0 and launch.world_size > 1:
        print(_found(launch, hosts, device, backend), file=sys.stderr, flush=True)
    with watching(launch, hosts, silence_seconds()):
        dist.init_process_group(
            backend,
            store=store,
            rank=launch.rank,
            world_size=launch.world_size,
            timeout=datetime.timedelta(seconds=timeout_seconds),
        )
        _world = World(launch.rank, launch.world_size, launch.local_rank, device, hosts)
        try:
            yield _world
        except RuntimeError as error:
            if (lost := lost_rank(error)) is None:
                raise
            raise lost from error
        finally:
            _world = ALONE
            dist.destroy_process_group()


def _device(launch: Launch) -> tuple[torch.device, str]:
    """This rank's GPU and torch's backends; without a GPU its share of the host's cores."""
    if torch.cuda.is_available():
        device = torch.device("cuda", launch.local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
        return device, "cpu:gloo,cuda:nccl"
    torch.set_num_threads(threads() or max(1, (os.cpu_count() or 1) // launch.world_size))
    allocator.keep_freed()
    return torch.device("cpu"), "gloo"


def _found(launch: Launch, hosts: tuple[str, ...], device: torch.device, backend: str) -> str:
    """Launcher, hosts, master, interface and backend, in one line for people."""
    places = list(dict.fromkeys(hosts))
    over = f" over {launch.interface}" if launch.interface else ""
    return (
        f"{launch.world_size} ranks by {launch.launcher} on {len(places)} host{'s' if len(places) > 1 else ''} "
        f"({', '.join(places[:8])}{', …' if len(places) > 8 else ''}), {device.type}, master "
        f"{launch.master_addr}:{launch.master_port}{over}, {backend}"
    )
