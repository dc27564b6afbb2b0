"""A preflight from its first question to its last: facts, clocks, folder, routes, port, all-reduce.

Every question has a time-out, and a host that is lost is left out of what follows. On a process group every rank runs
this and comes to the same findings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dist_stilts.parallel.network import free_port
from dist_stilts.preflight.agent import Question
from dist_stilts.preflight.compare_links import (
    compare_bandwidth,
    compare_clocks,
    compare_folder,
    compare_interfaces,
    compare_port,
    connected,
    offsets,
)
from dist_stilts.preflight.compare_rooms import compare_rooms
from dist_stilts.preflight.compare_software import compare_software
from dist_stilts.preflight.findings import Finding, failed, ok, warning
from dist_stilts.preflight.ssh import Reply
from dist_stilts.preflight.ways import LOOPBACK, Way

FACTS_SECONDS = 90.0
"""The first answer: the connection, Python's start, and torch from a slow file system."""
SECONDS = 30.0
"""Any other answer."""
CLOCK_ROUNDS = 5
Tell = Callable[[str], None]


class Examination:
    """What is known so far: ``facts`` by host, ``findings``, ``figures`` of the all-reduce."""

    def __init__(
        self,
        way: Way,
        out: str,
        port: int,
        tell: Tell,
        here: Mapping[str, str] | None = None,
        known: Sequence[Finding] = (),
    ) -> None:
        """Begin.

        Args:
            way: how hosts are asked.
            out: the folder where runs go.
            port: where the first host is to listen.
            tell: says what is being waited for.
            here: the variables of the process that asks, where the hosts' own are others.
            known: what was found before.
        """
        self.way, self.out, self.port, self.tell, self.here = way, out, port, tell, here
        self.facts: dict[str, dict[str, Any]] = {}
        self.figures: list[dict[str, Any]] | None = None
        self._found = list(known)

    def run(self) -> None:
        """Ask and judge everything, in this order."""
        self._compare_facts()
        if not self.facts:
            return
        self._compare_clocks()
        self._compare_folder()
        master = self._master()
        self._compare_routes(master)
        self._compare_port(master)
        self._all_reduce(master)

    @property
    def findings(self) -> list[Finding]:
        """All findings so far; which hosts were reached, known last, comes first."""
        return [*connected(self.way.slots, self.way.lost, self.way.how), *self._found]

    def results(self) -> dict[str, Any]:
        """Everything, for machines."""
        return {
            "passed": not failed(self.findings),
            "hosts": {name: {"slots": slots, **self.facts.get(name, {})} for name, slots in self.way.slots.items()},
            "findings": [asdict(finding) for finding in self.findings],
            "bandwidth": self.figures,
        }

    def _ask(self, question: Question, seconds: float = SECONDS) -> dict[str, Reply]:
        return self.way.ask(dict.fromkeys(self.facts or self.way.slots, question), seconds)

    def _compare_facts(self) -> None:
        self.tell(f"asking {', '.join(self.way.slots)} for facts (at most {FACTS_SECONDS:g} s)")
        replies = self._ask({"what": "facts", "out": self.out}, FACTS_SECONDS)
        self.facts = {host: dict(reply.content) for host, reply in replies.items()}
        if self.facts:
            self._found += [*compare_software(self.facts, self.here), *compare_rooms(self.facts, self.way.slots)]

    def _compare_clocks(self) -> None:
        rounds: dict[str, list[Reply]] = {}
        for _ in range(CLOCK_ROUNDS):
            for host, reply in self._ask({"what": "clock"}).items():
                rounds.setdefault(host, []).append(reply)
        clocks = offsets(rounds)
        for host, (ahead, uncertainty) in clocks.items():
            self.facts[host]["clock"] = {"ahead": ahead, "uncertainty": uncertainty}
        if clocks:
            self._found.append(compare_clocks(clocks))

    def _compare_folder(self) -> None:
        self.tell(f"writing to {self.out} from every host, and reading it from every other")
        keys = {host: f"{self.way.secret}-{number}" for number, host in enumerate(self.facts)}
        words = {host: f"{host} {key}" for host, key in keys.items()}
        leave = {h: {"what": "leave", "out": self.out, "key": keys[h], "word": words[h]} for h in self.facts}
        errors = {host: reply.content["error"] for host, reply in self.way.ask(leave, SECONDS).items()}
        wrote = {host: keys[host] for host, error in errors.items() if not error}
        read: Question = {"what": "read", "out": self.out, "keys": list(wrote.values())}
        seen = {
            reader: {host: reply.content["words"][key] for host, key in wrote.items()}
            for reader, reply in self.way.ask(dict.fromkeys(wrote, read), SECONDS).items()
        }
        self._ask({"what": "remove"})
        if errors:
            self._found += compare_folder(self.out, errors, words, seen)

    def _master(self) -> str:
        """Where the ranks meet, or would: as the deepspeed launcher chooses, the first that ``hostname -I`` lists."""
        if self.way.met:
            return self.way.met[0]
        if self.way.alone:
            return LOOPBACK
        first, facts = next(iter(self.facts.items()))
        listed: list[str] = facts["listed_addresses"]
        return (listed or [first if len(self.way.slots) > 1 else LOOPBACK])[0]

    def _compare_routes(self, master: str) -> None:
        routes = {
            host: {"to": master, **reply.content}
            for host, reply in self._ask({"what": "route", "address": master}).items()
        }
        for host, route in routes.items():
            self.facts[host]["route"] = route
        self._found += compare_interfaces(self.facts, routes)

    def _compare_port(self, master: str) -> None:
        """Let the first host listen and the others come, to the address of :meth:`_master` and to its other ones."""
        if self.way.met:
            self._found.append(ok("master port", self.way.slots, f"all ranks have met at {master}:{self.way.met[1]}"))
            return
        first, *others = self.facts
        self.tell(f"listening on port {self.port} of {first}")
        listed = [] if self.way.alone else [*self.facts[first]["listed_addresses"], first]
        addresses = list(dict.fromkeys([master, *listed]))[:4]
        listen = {"what": "listen", "addresses": addresses, "port": self.port, "greeting": self.way.secret}
        taken = self.way.ask({first: listen}, SECONDS)
        if first not in taken:
            return
        reach = {"what": "reach", "addresses": addresses, "port": self.port, "greeting": self.way.secret}
        reached = {} if taken[first].content["error"] else self.way.ask(dict.fromkeys(others, reach), SECONDS)
        self.way.ask({first: {"what": "hush"}}, SECONDS)
        errors = {host: reply.content["errors"] for host, reply in reached.items()}
        self._found += compare_port(self.port, master, taken[first].content, errors, first, self.way.alone)

    def _all_reduce(self, master: str) -> None:
        ranks = sum(self.way.slots.values())
        stops = {"Python", "packages", "CUDA, NCCL", "code", "interface", "master port"}
        if self.way.lost or failed(finding for finding in self._found if finding.check in stops):
            self._found.append(warning("all-reduce", self.way.slots, "not tried", "Mend first what failed above"))
            return
        self.tell(f"summing over {ranks} ranks")
        answers = self.way.all_reduce(master, free_port() if self.way.alone else self.port)
        self.figures = next((answer["figures"] for answer in answers.values() if answer["figures"]), None)
        troubles = {host: answer["trouble"] for host, answer in answers.items()}
        self._found += compare_bandwidth(self.figures, troubles, ranks)
