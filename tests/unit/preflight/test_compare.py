from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dist_stilts.preflight import compare_links as links
from dist_stilts.preflight import compare_rooms as rooms
from dist_stilts.preflight import compare_software as software
from dist_stilts.preflight.ssh import Lost, Reply

Changed = Callable[..., dict[str, dict[str, Any]]]
SLOTS = {"a": 2, "b": 2, "c": 2}
LOCK = {"path": "/cache/op/lock"}
GPU = {"name": "NVIDIA H100", "id": "0", "memory": 80 * 2**30}
HIDDEN = {"CUDA_VISIBLE_DEVICES": "", "GLOO_SOCKET_IFNAME": None, "NCCL_SOCKET_IFNAME": None}


def test_equal_hosts_with_everything_pass_every_check(facts: Changed) -> None:
    findings = software.compare_software(facts())
    assert {finding.state for finding in [*findings, *rooms.compare_rooms(facts(), SLOTS)]} == {"ok"}
    assert {finding.check for finding in findings} == {"hosts", "Python", "packages", "CUDA, NCCL", "code", "variables"}


def test_the_host_with_another_version_is_blamed_and_told_the_command(facts: Changed) -> None:
    packages = {"torch": "2.12.0", "deepspeed": "0.19.8", "mpi4py": "4.1.2"}
    [finding] = software.compare_packages(facts(b={"packages": packages}))
    assert (finding.state, finding.hosts) == ("FAIL", ("b",))
    assert finding.what == "torch 2.13.0 on a, c; 2.12.0 on b"
    assert finding.fix == "There: /env/bin/python -m pip install torch==2.13.0"


def test_who_differs_from_most_is_blamed_and_of_two_it_is_not_the_first(facts: Changed) -> None:
    changed = facts(a={"code": "x"})
    assert software.compare_code(changed).hosts == ("a",)
    assert software.compare_code({name: changed[name] for name in "ab"}).hosts == ("b",)


@pytest.mark.parametrize(("package", "state"), [("deepspeed", "FAIL"), ("mpi4py", "warning")])
def test_a_missing_package_fails_unless_only_mpirun_needs_it(package: str, state: str, facts: Changed) -> None:
    have = facts()["c"]["packages"]
    [finding] = software.compare_packages(facts(c={"packages": have | {package: None}}))
    assert (finding.state, finding.hosts) == (state, ("c",))
    assert f"{package}=={have[package]}" in finding.fix


def test_two_names_of_one_machine_are_told(facts: Changed) -> None:
    finding = software.compare_machines(facts(c={"host": "b"}))
    assert (finding.state, finding.hosts) == ("warning", ("b", "c"))


@pytest.mark.parametrize(
    ("there", "here", "hosts", "fix"),
    [
        ({"GLOO_SOCKET_IFNAME": "eth1"}, {}, ("b",), ""),
        ({"CUDA_VISIBLE_DEVICES": "0"}, {}, None, ""),
        ({}, {"NCCL_SOCKET_IFNAME": "eth0", "HOME": "/root"}, ("a", "b", "c"), ".deepspeed_env"),
    ],
    ids=["differs between hosts", "visible GPUs may", "is not passed on"],
)
def test_a_variable_that_is_not_the_same_everywhere_warns(
    there: dict[str, str], here: dict[str, str], hosts: tuple[str, ...] | None, fix: str, facts: Changed
) -> None:
    variables = facts()["a"]["variables"] | there
    [finding] = software.compare_variables(facts(b={"variables": variables}), here)
    assert finding.state == ("warning" if hosts else "ok")
    assert hosts in (None, finding.hosts)
    assert fix in finding.fix


@pytest.mark.parametrize(
    ("compare", "change", "state", "said"),
    [
        (software.compare_python, {"python": "3.12.1"}, "FAIL", ""),
        (software.compare_python, {"python": "3.11.9"}, "warning", ""),  # a patch release
        (software.compare_libraries, {"nccl": "2.26.2"}, "FAIL", ""),
        (software.compare_libraries, {"cuda": None, "nccl": None}, "FAIL", ""),
        (software.compare_libraries, {"cuda": "12.6"}, "FAIL", ""),
        (software.compare_packages, {"torch_error": "OSError: libcudart.so.12: not there"}, "FAIL", "libcudart.so.12"),
        (rooms.compare_disk, {"disk_free": 2**29}, "FAIL", ""),
        (rooms.compare_disk, {"disk_free": 2**33}, "warning", ""),
        (rooms.compare_disk, {"disk_free": 2**36}, "ok", ""),
        (rooms.compare_disk, {"disk_free": None}, "FAIL", ""),
        (rooms.compare_shared_memory, {"shm_free": 2**26}, "warning", "64 MiB"),  # Docker's default
        (rooms.compare_tools, {"compiler": None}, "warning", ""),
        (rooms.compare_tools, {"ninja": None}, "warning", ""),
        (rooms.compare_locks, {"locks": [LOCK | {"age": 3600.0}]}, "FAIL", LOCK["path"]),
        (rooms.compare_locks, {"locks": [LOCK | {"age": 60.0}]}, "warning", LOCK["path"]),  # it may be at work
    ],
)
def test_a_host_that_differs_or_lacks_something_is_told(
    compare: Callable[..., Any], change: dict[str, Any], state: str, said: str, facts: Changed
) -> None:
    found = compare(facts(b=change))
    [finding] = found if isinstance(found, list) else [found]
    assert finding.state == state
    assert state == "ok" or finding.hosts == ("b",)
    assert said in finding.what


@pytest.mark.parametrize(
    ("change", "slots", "state", "said"),
    [
        ({"gpus": [GPU]}, 2, "FAIL", "2 slots, 1 GPUs"),
        ({}, 1, "warning", "some stay idle"),
        ({"gpus": [], "driver": None}, 2, "FAIL", "none, while others"),
        ({"gpus": []}, 2, "FAIL", "torch sees none"),
        ({"gpus": [], "variables": HIDDEN}, 2, "FAIL", "(CUDA_VISIBLE_DEVICES=)"),
        ({"gpus": [GPU | {"name": "NVIDIA A100"}] * 2}, 2, "warning", "NVIDIA A100"),
    ],
)
def test_gpus_that_do_not_fit_the_slots_are_told(
    change: dict[str, Any], slots: int, state: str, said: str, facts: Changed
) -> None:
    [finding] = rooms.compare_gpus(facts(b=change), SLOTS | {"b": slots})
    assert (finding.state, finding.hosts) == (state, ("b",))
    assert said in finding.what


def test_a_driver_too_old_a_torch_without_cuda_and_hosts_without_gpus_are_told_apart(facts: Changed) -> None:
    none = {"gpus": [], "driver": None}
    for changed, said in (
        (facts(b={"gpus": []}), "Update the driver"),
        (facts(b={"gpus": [], "cuda": None}), "for CPUs"),
        (facts(a=none, b=none, c=none), "CPU"),
    ):
        [finding] = rooms.compare_gpus(changed, SLOTS)
        assert said in finding.what + finding.fix
        assert finding.state == ("ok" if said == "CPU" else "FAIL")


def test_limits_matter_where_they_are_met(facts: Changed) -> None:
    low, locked = {"open_files": 1024}, {"locked_memory": 2**16}
    for change, ranks, hosts in (
        (low, 6, None),
        (low, 512, ("b",)),
        ({"open_files": None}, 512, None),
        (locked, 6, None),
        (locked | {"infiniband": True}, 6, ("b",)),
    ):
        [finding] = rooms.compare_limits(facts(b=change), ranks)
        assert finding.state == ("warning" if hosts else "ok")
        assert hosts in (None, finding.hosts)


FREE = {"error": None, "holder": None}
TAKEN = {"error": "Address already in use", "holder": "python (process 7)"}


def routes(**changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    good = {"to": "10.0.0.1", "address": "10.0.0.2", "interface": "eth0", "error": None}
    return {name: good | changes.get(name, {}) for name in "abc"}


def test_a_lost_host_is_told_beside_those_that_answered() -> None:
    reached, lost = links.connected("ab", {"b": Lost("refuses", "Start sshd")}, "ssh")
    assert (reached.state, reached.hosts) == ("ok", ("a",))
    assert (lost.state, lost.hosts, lost.what, lost.fix) == ("FAIL", ("b",), "refuses", "Start sshd")
    assert len(links.connected("b", {"b": Lost("refuses", "")}, "ssh")) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"error": "Network is unreachable", "interface": None, "address": None}, "Network is unreachable"),
        ({"address": "127.0.0.1", "interface": "lo"}, "loopback"),
        ({"interface": None}, "no interface"),
    ],
)
def test_a_host_without_a_way_to_the_master_fails(change: dict[str, Any], said: str, facts: Changed) -> None:
    [finding] = links.compare_interfaces(facts(), routes(b=change))
    assert (finding.state, finding.hosts) == ("FAIL", ("b",))
    assert said in finding.what


def test_loopback_is_a_way_between_names_of_one_machine(facts: Changed) -> None:
    own = {"to": "127.0.0.1", "address": "127.0.0.1", "interface": "lo"}
    ways = routes(a=own, b=own, c=own)
    same = {"host": "a"}
    assert [finding.state for finding in links.compare_interfaces(facts(b=same, c=same), ways)] == ["ok"]


@pytest.mark.parametrize(
    ("given", "state"),
    [("eth0", "ok"), ("eth", "ok"), ("ib0,eth0", "ok"), ("^docker", "ok"), ("=eth", "FAIL"), ("ib0", "FAIL")],
)
def test_a_prescribed_interface_must_be_there(given: str, state: str, facts: Changed) -> None:
    variables = facts()["a"]["variables"] | {"NCCL_SOCKET_IFNAME": given}
    found = links.compare_interfaces(facts(b={"variables": variables}), routes())
    assert [finding.state for finding in found] == [state]


def test_an_offset_is_taken_from_the_middle_of_the_shortest_round() -> None:
    rounds = {"a": [Reply(10.0, 14.0, {"now": 99.0}), Reply(20.0, 20.2, {"now": 23.1})]}
    ahead, uncertainty = links.offsets(rounds)["a"]
    assert ahead == pytest.approx(3.0)
    assert uncertainty == pytest.approx(0.1)


@pytest.mark.parametrize(("ahead", "state"), [(1.5, "ok"), (2.5, "warning"), (-2.5, "warning")])
def test_a_clock_two_seconds_from_the_first_hosts_warns(ahead: float, state: str) -> None:
    finding = links.compare_clocks({"a": (100.0, 0.1), "b": (100.1, 0.1), "c": (100.0 + ahead, 0.2)})
    assert finding.state == state
    if state == "warning":
        assert finding.hosts == ("c",)
        assert f"{ahead:+.2f} s (± 0.30 s)" in finding.what


def test_a_folder_is_shared_if_words_are_seen_both_ways_and_who_cannot_write_is_told_beside() -> None:
    words = {"a": "x", "b": "y", "c": "z"}
    errors = dict.fromkeys(words)
    all_seen = dict.fromkeys(words, words)
    assert [finding.state for finding in links.compare_folder("/out", errors, words, all_seen)] == ["ok"]
    for host, seen in (("b", {"b": words | {"a": None}}), ("c", {"a": words | {"c": "of last week"}})):
        [finding] = links.compare_folder("/out", errors, words, all_seen | seen)
        assert (finding.state, finding.hosts) == ("FAIL", (host,))
    errors = {"a": "Permission denied", "b": None, "c": None}
    seen = {"b": {"b": "y", "c": None}, "c": {"b": None, "c": "z"}}
    first, second = links.compare_folder("/out", errors, words, seen)
    assert (first.hosts, second.hosts) == (("a",), ("c",))
    assert "Permission denied" in first.what
    errors = {"a": "Read-only file system", "b": "Permission denied"}
    assert len(links.compare_folder("/out", errors, {"a": "x", "b": "y"}, {})) == 2


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
    [finding] = links.compare_port(29500, "10.0.0.1", state, reached, "a", alone)
    assert (finding.state, finding.hosts) == (expected, hosts)
    assert (state["holder"] or "") in finding.what


def test_where_another_address_is_reached_it_is_recommended() -> None:
    errors = {"172.17.0.1": "Connection refused", "10.0.0.1": None}
    [finding] = links.compare_port(29500, "172.17.0.1", FREE, {"b": errors}, "a", alone=False)
    assert (finding.state, finding.hosts) == ("FAIL", ("b",))
    assert "--master_addr 10.0.0.1" in finding.fix
    [finding] = links.compare_port(
        29500, "172.17.0.1", FREE, {"b": dict.fromkeys(errors, "timed out")}, "a", alone=False
    )
    assert "firewall" in finding.fix


def test_bandwidth_is_given_by_size_of_message_or_what_ranks_said_instead() -> None:
    figures = [{"bytes": 1024, "bus_gb_s": 0.0004}, {"bytes": 64 * 2**20, "bus_gb_s": 1.234}]
    [finding] = links.compare_bandwidth(figures, {"a": None}, 2)
    assert finding.what == "2 ranks, bus bandwidth in GB/s: 1 KiB 0.0004, 64 MiB 1.23"
    [finding] = links.compare_bandwidth(None, {"a": None, "b": "rank 1 ended with code 1 and said: error: no route"}, 2)
    assert (finding.state, finding.hosts) == ("FAIL", ("b",))
    assert "no route" in finding.what
    [silent] = links.compare_bandwidth(None, {"a": None, "b": None}, 2)
    assert silent.state == "FAIL"
