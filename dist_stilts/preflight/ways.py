"""How hosts are asked: over ssh, through the process group that a launcher started, or this host by itself.

What is asked and how it is judged does not depend on the way; :class:`Way` is what they have in common.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dist_stilts.parallel.hostfile import Host
from dist_stilts.preflight.agent import Agent, Answer, Question
from dist_stilts.preflight.ranks import RANK_SECONDS
from dist_stilts.preflight.ssh import Connection, Lost, Reply, remote_command

MARGIN_SECONDS = 15.0
"""How much longer than a host's own time-out its answer is waited for."""
END_SECONDS = 5.0
"""How long hosts may take to end their side."""
LOOPBACK = "127.0.0.1"


class Way(ABC):
    """How the hosts of a job are asked."""

    slots: dict[str, int]
    """Processes by host; the first host is the master."""
    lost: dict[str, Lost]
    """Hosts that do not answer, or not any more, and why."""
    how: str
    """How hosts are reached, said where all is well."""
    secret: str
    """A word that no other preflight knows."""
    met: tuple[str, int] | None = None
    """Address and port where the ranks have met already, if they have."""
    alone = False
    """Whether there is this host only, where a job picks its port anew at every start."""

    @abstractmethod
    def ask(self, questions: Mapping[str, Question], seconds: float) -> dict[str, Reply]:
        """Ask hosts at once; the answers of those that answer in time, in the order of the questions."""

    @abstractmethod
    def all_reduce(self, address: str, port: int) -> dict[str, Answer]:
        """``figures`` and ``trouble`` by host, of an all-reduce over all slots whose master is at the address."""

    @abstractmethod
    def close(self) -> None:
        """Undo on all hosts what was done there."""


class OverSsh(Way):
    """One connection per host, all asked at once."""

    how = "ssh without a password; Python and dist_stilts are there"

    def __init__(self, hosts: Sequence[Host], variables: Mapping[str, str]) -> None:
        self.slots = {host.name: host.slots for host in hosts}
        self.lost: dict[str, Lost] = {}
        self.secret = secrets.token_hex(8)
        self._command = remote_command(Path.cwd(), sys.executable, variables)
        self._connections: dict[str, Connection] = {}
        self._threads = ThreadPoolExecutor(len(hosts))

    def ask(self, questions: Mapping[str, Question], seconds: float) -> dict[str, Reply]:
        """See :class:`Way`; a host that is lost is not asked again."""
        left = {host: question for host, question in questions.items() if host not in self.lost}
        replies = self._threads.map(lambda host: self._ask(host, left[host], seconds), left)
        return {host: reply for host, reply in zip(left, replies, strict=True) if reply}

    def all_reduce(self, address: str, port: int) -> dict[str, Answer]:
        """See :class:`Way`; every host starts its own ranks."""
        size, first, questions = sum(self.slots.values()), 0, {}
        for host, slots in self.slots.items():
            questions[host] = _ranks(slots, first, size, address, port)
            first += slots
        return {host: reply.content for host, reply in self.ask(questions, RANK_SECONDS + MARGIN_SECONDS).items()}

    def close(self) -> None:
        """See :class:`Way`; also where answers are still waited for, after Ctrl-C."""
        connections = list(self._connections.values())
        deadline = time.monotonic() + END_SECONDS
        for connection in connections:
            connection.hang_up()
        for connection in connections:
            connection.end(deadline)
        self._threads.shutdown(cancel_futures=True)
        for connection in connections:
            connection.release()

    def _ask(self, host: str, question: Question, seconds: float) -> Reply | None:
        try:
            if host not in self._connections:
                self._connections[host] = Connection(host, self._command)
            return self._connections[host].ask(question, seconds)
        except Lost as lost:
            self.lost[host] = lost
            return None


class Alone(Way):
    """This host, without a launcher: as many processes as it has GPUs, at least one."""

    how = "this host alone, without a launcher"
    alone = True

    def __init__(self, slots: int) -> None:
        self._name = socket.gethostname()
        self.slots = {self._name: slots}
        self.lost: dict[str, Lost] = {}
        self.secret = secrets.token_hex(8)
        self._agent = Agent()

    def ask(self, questions: Mapping[str, Question], seconds: float) -> dict[str, Reply]:
        """See :class:`Way`; what is asked has its own time-outs."""
        return {host: _answered(self._agent, question) for host, question in questions.items()}

    def all_reduce(self, address: str, port: int) -> dict[str, Answer]:
        """See :class:`Way`."""
        slots = self.slots[self._name]
        return {self._name: self._agent.answer(_ranks(slots, 0, slots, address, port))}

    def close(self) -> None:
        """See :class:`Way`."""
        self._agent.close()


class InGroup(Way):
    """The hosts of a started process group: each host's first rank answers, and every rank hears all answers.

    Every rank must ask the same questions. A rank that is lost ends the job, with the group's own words.
    """

    how = "the launcher's process group"

    def __init__(self) -> None:
        from dist_stilts.parallel.collectives import broadcast_value, gather_values
        from dist_stilts.parallel.world import current

        self._name = socket.gethostname()
        by_rank = gather_values(self._name)
        self.slots = {name: by_rank.count(name) for name in by_rank}
        self.lost: dict[str, Lost] = {}
        self.secret = broadcast_value(secrets.token_hex(8))
        self.met = broadcast_value((os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])))
        self._speaks = by_rank.index(self._name) == current().rank
        self._agent = Agent()

    def ask(self, questions: Mapping[str, Question], seconds: float) -> dict[str, Reply]:
        """See :class:`Way`; every answer is made between rank 0's ``sent`` and its ``received``."""
        from dist_stilts.parallel.collectives import barrier, broadcast_value, gather_values

        sent = time.time()
        barrier()
        mine = self._agent.answer(questions[self._name]) if self._speaks and self._name in questions else None
        answers = {host: answer for host, answer in gather_values((self._name, mine)) if answer is not None}
        sent, received = broadcast_value((sent, time.time()))
        if any(question["what"] == "facts" for question in questions.values()):
            for host, gpus in self._gpus().items():
                answers[host]["gpus"] = gpus
        return {host: Reply(sent, received, answers[host]) for host in questions}

    def all_reduce(self, address: str, port: int) -> dict[str, Answer]:
        """See :class:`Way`; the group itself is measured."""
        from dist_stilts.parallel.bandwidth import measure

        figures = [asdict(figure) for figure in measure()]
        return {host: {"figures": figures, "trouble": None} for host in self.slots}

    def close(self) -> None:
        """See :class:`Way`."""
        self._agent.close()

    def _gpus(self) -> dict[str, list[dict[str, Any]]]:
        """The GPUs that the ranks of each host see together: a launcher may show each rank its own only."""
        from dist_stilts.parallel.collectives import gather_values
        from dist_stilts.preflight.facts import gpus

        together: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in self.slots}
        for name, seen in gather_values((self._name, gpus())):
            together[name] |= {gpu["id"]: gpu for gpu in seen}
        return {name: list(seen.values()) for name, seen in together.items()}


def _ranks(slots: int, first_rank: int, world_size: int, address: str, port: int) -> Question:
    place = {"slots": slots, "first_rank": first_rank, "world_size": world_size}
    return {"what": "ranks", **place, "address": address, "port": port}


def _answered(agent: Agent, question: Question) -> Reply:
    sent = time.time()
    content = agent.answer(question)
    return Reply(sent, time.time(), content)
