from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dist_stilts.preflight.compare_links import (
    compare_bandwidth,
    compare_clocks,
    compare_folder,
    compare_interfaces,
    compare_port,
    connected,
    offsets,
)
from dist_stilts.preflight.ssh import Lost, Reply

Changed = Callable[..., dict[str, dict[str, Any]]]
FREE = {"error": None, "holder": None}


def routes(**changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    good = {"to": "10.0.0.1", "address": "10.0.0.2", "interface": "eth0", "error": None}
    return {name: good | changes.get(name, {}) for name in "abc"}


def test_a_lost_host_is_told_beside_those_that_answered() -> None:
    reached, lost = connected("ab", {"b": Lost("refuses", "Start sshd")}, "ssh")
    assert (reached.state, reached.hosts) == ("ok", ("a",))
    assert (lost.state, lost.hosts, lost.what, lost.fix) == ("FAIL", ("b",), "refuses", "Start sshd")
    assert len(connected("b", {"b": Lost("refuses", "")}, "ssh")) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"error": "Network is unreachable", "interface": None, "address": None}, "Network is unreachable"),
        ({"address": "127.0.0.1", "interface": "lo"}, "loopback"),
        ({"interface": None}, "no interface"),
    ],
)
def test_a_host_without_a_way_to_the_master_fails(change: dict[str, Any], said: str, facts: Changed) -> None:
    [finding] = compare_interfaces(facts(), routes(b=change))
    assert (finding.state, finding.hosts) == ("FAIL", ("b",))
    assert said in finding.what


def test_loopback_is_a_way_between_names_of_one_machine(facts: Changed) -> None:
    own = {"to": "127.0.0.1", "address": "127.0.0.1", "interface": "lo"}
    ways = routes(a=own, b=own, c=own)
    same = {"host": "a"}
    assert [finding.state for finding in compare_interfaces(facts(b=same, c=same), ways)] == ["ok"]


@pytest.mark.parametrize(
    ("given", "state"),
    [("eth0", "ok"), ("eth", "ok"), ("ib0,eth0", "ok"), ("^docker", "ok"), ("=eth", "FAIL"), ("ib0", "FAIL")],
)
def test_a_prescribed_interface_must_be_there(given: str, state: str, facts: Changed) -> None:
    variables = facts()["a"]["variables"] | {"NCCL_SOCKET_IFNAME": given}
    found = compare_interfaces(facts(b={"variables": variables}), routes())
    assert [finding.state for finding in found] == [state]


def test_an_offset_is_taken_from_the_middle_of_the_shortest_round() -> None:
    rounds = {"a": [Reply(10.0, 14.0, {"now": 99.0}), Reply(20.0, 20.2, {"now": 23.1})]}
    ahead, uncertainty = offsets(rounds)["a"]
    assert ahead == pytest.approx(3.0)
    assert uncertainty == pytest.approx(0.1)


@pytest.mark.parametrize(("ahead", "state"), [(1.5, "ok"), (2.5, "warning"), (-2.5, "warning")])
def test_a_clock_two_seconds_from_the_first_hosts_warns(ahead: float, state: str) -> None:
    finding = compare_clocks({"a": (100.0, 0.1), "b": (100.1, 0.1), "c": (100.0 + ahead, 0.2)})
    assert finding.state == state
    if state == "warning":
        assert finding.hosts == ("c",)
        assert f"{ahead:+.2f} s (± 0.30 s)" in finding.what


def test_a_folder_is_shared_if_words_are_seen_both_ways() -> None:
    words = {"a": "x", "b": "y", "c": "z"}
    errors = dict.fromkeys(words)
    all_seen = dict.fromkeys(words, words)
    assert [finding.state for finding in compare_folder("/out", errors, words, all_seen)] == ["ok"]
    [finding] = compare_folder("/out", errors, words, all_seen | {"b": words | {"a": None}})
    assert (finding.state, finding.hosts) == ("FAIL", ("b",))
    [finding] = compare_folder("/out", errors, words, all_seen | {"a": words | {"c": "of last week"}})
    assert (finding.state, finding.hosts) == ("FAIL", ("c",))


def test_hosts_that_cannot_write_are_told_beside_those_that_do_not_share() -> None:
    words = {"a": "x", "b": "y", "c": "z"}
    errors: dict[str, str | None] = {"a": "Permission denied", "b": None, "c": None}
    seen = {"b": {"b": "y", "c": None}, "c": {"b": None, "c": "z"}}
    first, second = compare_folder("/out", errors, words, seen)
    assert (first.hosts, second.hosts) == (("a",), ("c",))
    assert "Permission denied" in first.what
    errors = {"a": "Read-only file system", "b": "Permission denied"}
    assert len(compare_folder("/out", errors, {"a": "x", "b": "y"}, {})) == 2


TAKEN = {"error": "Address already in use", "holder": "python (process 7)"}


@pytest.mark.parametrize(
    ("state", "reached", "alone", "expected", "hosts"),
    [
        (FREE, {"b": {"10.0.0.1": None}}, False, "ok", ("a", "b")),
        (TAKEN, {}, True, "warning", ("a",)),
        (TAKEN, {}, False, "FAIL", ("a",)),
    ],
)
def test_a_port_passes_if_it_is_free_and_reached(
    state: dict[str, Any], reached: dict[str, Any], alone: bool, expected: str, hosts: tuple[str, ...]
) -> None:
    [finding] = compare_port(29500, "10.0.0.1", state, reached, "a", alone)
    assert (finding.state, finding.hosts) == (expected, hosts)
    assert (state["holder"] or "") in finding.what


def test_where_another_address_is_reached_it_is_recommended() -> None:
    errors = {"172.17.0.1": "Connection refused", "10.0.0.1": None}
    [finding] = compare_port(29500, "172.17.0.1", FREE, {"b": errors}, "a", alone=False)
    assert (finding.state, finding.hosts) == ("FAIL", ("b",))
    assert "--master_addr 10.0.0.1" in finding.fix
    [finding] = compare_port(29500, "172.17.0.1", FREE, {"b": dict.fromkeys(errors, "timed out")}, "a", alone=False)
    assert "firewall" in finding.fix


def test_bandwidth_is_given_by_size_of_message_or_what_ranks_said_instead() -> None:
    figures = [{"bytes": 1024, "bus_gb_s": 0.0004}, {"bytes": 64 * 2**20, "bus_gb_s": 1.234}]
    [finding] = compare_bandwidth(figures, {"a": None}, 2)
    assert finding.what == "2 ranks, bus bandwidth in GB/s: 1 KiB 0.0004, 64 MiB 1.23"
    [finding] = compare_bandwidth(None, {"a": None, "b": "rank 1 ended with code 1 and said: error: no route"}, 2)
    assert (finding.state, finding.hosts) == ("FAIL", ("b",))
    assert "no route" in finding.what
    [silent] = compare_bandwidth(None, {"a": None, "b": None}, 2)
    assert silent.state == "FAIL"
