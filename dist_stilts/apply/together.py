"""What rank 0 does for all ranks: they hear what it found, or the error that it met, however long it takes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from dist_stilts.errors import UserError
from dist_stilts.parallel import preemption
from dist_stilts.parallel.collectives import broadcast_value
from dist_stilts.parallel.world import World

T = TypeVar("T")
SECONDS_BETWEEN_LOOKS = 0.1


def on_main(world: World, work: Callable[[], T], *, share: bool = True) -> T | None:
    """Have rank 0 do something; all ranks get what it returns (or, without ``share``, None), or raise its error."""
    found: T | None = None
    error: UserError | None = None
    if world.is_main:
        try:
            found = work()
        except UserError as met:
            error = met
    error = broadcast_value(error)
    if error is not None:
        raise error
    return broadcast_value(found) if share else found


def while_waiting(world: World, work: Callable[[], T]) -> T:
    """As :func:`on_main`, for what may take long: the ranks keep talking, and stop if one of them is asked to."""
    met: list[BaseException] = []
    found: list[T] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:  # raised below, in the thread that can be seen
            met.append(error)

    thread = threading.Thread(target=run, daemon=True)
    if world.is_main:
        thread.start()
    while broadcast_value(_running(thread)):
        preemption.check()

    def outcome() -> T:
        if met:
            raise met[0]
        return found[0]

    result = on_main(world, outcome)
    assert result is not None
    return result


def _running(thread: threading.Thread) -> bool:
    if thread.ident is None:  # another rank's is
        return False
    thread.join(SECONDS_BETWEEN_LOOKS)
    return thread.is_alive()
