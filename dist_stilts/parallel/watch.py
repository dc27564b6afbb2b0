"""While ranks work, each looks after the others: one that falls silent ends the job on every host, and is named.

A rank that dies closes its connections, and the others' next exchange fails at once. One whose host is cut off, frozen
or without power says nothing at all, and an exchange with it would wait as long as for a slow one. So every rank counts
upwards in the master's store, from a thread of its own, and ends if the count of another stands still, or if the
launcher that started it is gone. Where the store itself says nothing, nothing is known of any rank but the one that
keeps it; and a rank that finds that it stood still itself (stopped, or suspended) knows nothing of the others either:
it listens anew, as they may have been stopped with it, and blames none that have ended without it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from dist_stilts.errors import EXIT_FAILED
from dist_stilts.parallel.launchers import SILENCE_SECONDS, Launch
from dist_stilts.parallel.master import number
from dist_stilts.parallel.store import Store, connection, kept_by_agent

PATIENCE_SECONDS = 60
"""How long a rank may be silent before the others end; DIST_STILTS_SILENCE_SECONDS says otherwise, 0 is for ever."""
LOOKS = 6
"""A rank speaks and listens so often in this time."""
SECONDS_BETWEEN_LOOKS = 0.05
"""At the end."""
LEFT = b"left"
"""What a rank says last that has come to its end."""

KEEPER = 0
"""The rank that keeps the store, unless torchrun's agent does."""

_last_words: list[Callable[[str], None]] = []
_watches: list[_Watch] = []


def silence_seconds() -> int:
    """How long a rank may be silent before the others end; 0: for ever."""
    return number(os.environ.get(SILENCE_SECONDS, str(PATIENCE_SECONDS)), SILENCE_SECONDS)


@contextmanager
def last_words(speak: Callable[[str], None]) -> Iterator[None]:
    """Have ``speak(reason)`` called, by the thread that watches, when this process ends because of another rank."""
    _last_words.append(speak)
    try:
        yield
    finally:
        _last_words.remove(speak)


def stood_still() -> str:
    """What is to be said of this rank, if it stood still for longer than the others wait; else nothing."""
    standstill = max((watch.standstill() for watch in _watches), default=0.0)
    return f"it stood still for {standstill:.0f} s itself, and the others do not wait so long" if standstill else ""


@contextmanager
def watching(launch: Launch, hosts: Sequence[str], seconds: float) -> Iterator[None]:
    """Watch the other ranks while the block runs; nothing to do for one rank."""
    if launch.world_size == 1 or not seconds:
        yield
        return
    watch = _Watch(launch, hosts, seconds)
    watch.exchange()  # now that the master is known to live: the job may be over before the first look
    threads = [threading.Thread(target=work, name=work.__name__) for work in (watch.talk, watch.judge)]
    for thread in threads:
        thread.start()
    _watches.append(watch)
    try:
        yield
        watch.whole = True
    finally:
        _watches.remove(watch)
        watch.done.set()
        for thread in threads:
            thread.join()  # what it waits for has a time-out; Python may not end while torch holds a thread of it


@dataclass
class _Watch:
    """One thread talks, and may wait for a master that is cut off; the other judges by the clock."""

    launch: Launch
    hosts: Sequence[str]
    seconds: float
    done: threading.Event = field(default_factory=threading.Event)
    whole: bool = False
    """Whether this rank came to its end; one that failed is silent, so that nobody waits for it."""
    store: Store | None = None
    beats: int = 0
    heard: dict[int, tuple[bytes, float]] = field(default_factory=dict)
    """By rank: what it said last, and when we heard it first."""
    answered: float = field(default_factory=time.monotonic)
    """When the store answered last."""
    looked: float = field(default_factory=time.monotonic)
    """When this rank looked last whether another is lost."""
    longest: float = 0.0
    """For how long it once did not, where that was longer than a rank may be silent."""
    parent: int = field(default_factory=os.getppid)

    def __post_init__(self) -> None:
        self.heard = {rank: (b"", self.looked) for rank in range(self.launch.world_size) if rank != self.launch.rank}

    def talk(self) -> None:
        """Until the work is done: say that we live, and hear who else does."""
        while not self.done.wait(self.seconds / LOOKS):
            self.exchange()
        if self.whole and self.store is not None:
            self._say(LEFT)
            self._let_the_others_leave()

    def judge(self) -> None:
        """Until the work is done: end this process if a rank is lost."""
        while not self.done.wait(self.seconds / LOOKS):
            if self.standstill() > self.longest:
                self.longest = self.standstill()
                self.answered = time.monotonic()
                self.heard = {rank: (said, self.answered) for rank, (said, _) in self.heard.items()}
            self.looked = time.monotonic()
            if silent := self._silent():
                self._end(silent)
            self._look_for_the_launcher()

    def standstill(self) -> float:
        """For how many seconds this rank stood still at most, if that was longer than a rank may be silent; else 0."""
        since = time.monotonic() - self.looked
        return max(self.longest, since if since > self.seconds else 0.0)

    def _silent(self) -> list[int]:
        """The ranks that are lost; of those whose words the store keeps nothing is known while it does not answer."""
        now = time.monotonic()
        if now - self.answered > self.seconds:
            return [KEEPER]
        return [rank for rank, (_, at) in self.heard.items() if now - at > self.seconds]

    def _let_the_others_leave(self) -> None:
        """The first rank may keep the table, and goes last: what the others say would else meet a closed door."""
        deadline = time.monotonic() + self.seconds / LOOKS
        while self.launch.rank == 0 and self.store is not None and time.monotonic() < deadline:
            if all(self._hear(rank) == LEFT for rank in self.heard):
                return
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def exchange(self) -> None:
        """Count on, and note whose count has changed; a master that does not answer has not changed."""
        self.beats += 1
        self._say(str(self.beats).encode())
        for rank in self.heard:
            said = self._hear(rank) if self.store is not None else None
            if said is not None and (said != self.heard[rank][0] or said == LEFT):
                self.heard[rank] = (said, time.monotonic())
        if self.store is not None:
            self.answered = time.monotonic()

    def _connection(self) -> Store:
        """A connection of our own: the main thread's may be waiting in it."""
        if self.store is None:
            self.store = connection(self.launch, max(1.0, self.seconds / LOOKS))
        return self.store

    def _say(self, what: bytes) -> None:
        try:
            self._connection().set(f"alive/{self.launch.rank}", what)
        except RuntimeError:
            self.store = None

    def _hear(self, rank: int) -> bytes | None:
        """What the rank said last; None if the master does not answer, or the rank has not spoken yet."""
        try:
            key = f"alive/{rank}"
            store = self._connection()
            return bytes(store.get(key)) if store.check([key]) else None
        except RuntimeError:
            self.store = None  # an answer that comes too late would be taken for that to the next question
            return None

    def _end(self, silent: Sequence[int]) -> None:
        """Say who is lost and end: the main thread may wait in an exchange and cannot be woken."""
        names = ", ".join(f"rank {rank} on {self.hosts[rank]}" for rank in silent[:10])
        if silent == [KEEPER] and kept_by_agent():
            names = f"torchrun's agent on {self.launch.master_addr}, which keeps what ranks say"
        reason, why = f"{names}: not heard of for {self.seconds:.0f} s", "Its host or the network is down, or it hangs"
        if own := stood_still():
            reason, why = own, "It was stopped or suspended"
        print(
            f"error: rank {self.launch.rank} on {self.hosts[self.launch.rank]}: {reason}. {why}; the same command "
            "continues from the last checkpoint",
            file=sys.stderr,
            flush=True,
        )
        for speak in _last_words:
            speak(reason)
        os._exit(EXIT_FAILED)

    def _look_for_the_launcher(self) -> None:
        """A rank whose launcher was killed must not hold its GPU for ever: it saves and ends as if asked to."""
        if os.getppid() != self.parent:
            self.parent = os.getppid()
            print(f"rank {self.launch.rank}: the launcher is gone; saving and ending", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
