"""The course of a preflight, on made-up hosts that answer at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dist_stilts.preflight.examine import Examination
from dist_stilts.preflight.ssh import Lost, Reply
from dist_stilts.preflight.ways import Way

Changed = Callable[..., dict[str, dict[str, Any]]]


class Imagined(Way):
    """Hosts with given facts; ``loses`` names the question at which a host is lost."""

    how, secret = "by imagination", "secret"

    def __init__(self, facts: dict[str, dict[str, Any]], loses: Mapping[str, str]) -> None:
        self.slots = dict.fromkeys(facts, 2)
        self.lost: dict[str, Lost] = {}
        self.facts, self.loses, self.summed_at = facts, loses, ""

    def ask(self, questions: Mapping[str, dict[str, Any]], seconds: float) -> dict[str, Reply]:
        for host, question in questions.items():
            if self.loses.get(host) == question["what"]:
                self.lost[host] = Lost("gone", "Find it")
        left = {host: question for host, question in questions.items() if host not in self.lost}
        return {host: Reply(10.0, 10.1, self._answer(host, **question)) for host, question in left.items()}

    def _answer(self, host: str, what: str, **question: Any) -> dict[str, Any]:
        return {
            "facts": self.facts[host],
            "clock": {"now": 10.0},
            "read": {"words": {key: f"{'abc'[int(key[-1])]} {key}" for key in question.get("keys", ())}},
            "route": {"address": "10.0.0.2", "interface": "eth0", "error": None},
            "reach": {"errors": dict.fromkeys(question.get("addresses", ()))},
        }.get(what, {"error": None, "holder": None})

    def all_reduce(self, address: str, port: int) -> dict[str, dict[str, Any]]:
        self.summed_at = f"{address}:{port}"
        return {host: {"figures": [{"bytes": 1024, "bus_gb_s": 1.0}], "trouble": None} for host in self.slots}

    def close(self) -> None:
        """Nothing was done."""


def examined(facts: dict[str, dict[str, Any]], loses: Mapping[str, str] | None = None) -> tuple[Imagined, Examination]:
    way = Imagined(facts, loses or {})
    examination = Examination(way, "/shared/runs", 29500, lambda _: None)
    examination.run()
    return way, examination


def states(examination: Examination) -> dict[str, str]:
    return {finding.check: finding.state for finding in examination.findings}


def test_hosts_that_are_well_sum_at_the_address_that_the_launcher_would_take(facts: Changed) -> None:
    way, examination = examined(facts())
    assert set(states(examination).values()) == {"ok"}
    assert way.summed_at == "10.0.0.1:29500"
    assert examination.results()["passed"]


@pytest.mark.parametrize("when", ["facts", "clock", "leave", "read", "route", "listen", "reach", "hush"])
@pytest.mark.parametrize("host", ["a", "b"])
def test_a_host_lost_at_any_question_is_told_and_no_ranks_are_started(host: str, when: str, facts: Changed) -> None:
    way, examination = examined(facts(), {host: when})
    if host in way.lost:  # not every host is asked everything
        assert not way.summed_at
        assert states(examination)["connection"] == "FAIL"
        assert states(examination)["all-reduce"] == "warning"
        assert set(examination.results()["hosts"]) == {"a", "b", "c"}
    else:
        assert (host, when) in {("a", "reach"), ("b", "listen"), ("b", "hush")}


@pytest.mark.parametrize(
    ("change", "starts"), [({"code": "x"}, False), ({"nccl": "2.0"}, False), ({"disk_free": 0}, True)]
)
def test_ranks_are_started_unless_what_failed_would_stop_them_or_no_host_is_left(
    change: dict[str, Any], starts: bool, facts: Changed
) -> None:
    way, examination = examined(facts(b=change))
    assert bool(way.summed_at) == starts
    assert not examination.results()["passed"]
    _, examination = examined(facts(), dict.fromkeys("abc", "facts"))
    assert states(examination) == {"connection": "FAIL"}
    assert not examination.results()["passed"]
