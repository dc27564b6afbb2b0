from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dist_stilts.preflight.compare_rooms import (
    compare_disk,
    compare_gpus,
    compare_limits,
    compare_locks,
    compare_rooms,
    compare_shared_memory,
    compare_tools,
)

Changed = Callable[..., dict[str, dict[str, Any]]]
SLOTS = {"a": 2, "b": 2, "c": 2}
GPU = {"name": "NVIDIA H100", "id": "0", "memory": 80 * 2**30}
HIDDEN = {"CUDA_VISIBLE_DEVICES": "", "GLOO_SOCKET_IFNAME": None, "NCCL_SOCKET_IFNAME": None}


def test_hosts_with_everything_pass_every_check(facts: Changed) -> None:
    findings = compare_rooms(facts(), SLOTS)
    assert {finding.state for finding in findings} == {"ok"}


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
    [finding] = compare_gpus(facts(b=change), SLOTS | {"b": slots})
    assert (finding.state, finding.hosts) == (state, ("b",))
    assert said in finding.what


def test_a_driver_too_old_a_torch_without_cuda_and_hosts_without_gpus_are_told_apart(facts: Changed) -> None:
    none = {"gpus": [], "driver": None}
    for changed, said in (
        (facts(b={"gpus": []}), "Update the driver"),
        (facts(b={"gpus": [], "cuda": None}), "for CPUs"),
        (facts(a=none, b=none, c=none), "CPU"),
    ):
        [finding] = compare_gpus(changed, SLOTS)
        assert said in finding.what + finding.fix
        assert finding.state == ("ok" if said == "CPU" else "FAIL")


@pytest.mark.parametrize(("free", "state"), [(2**29, "FAIL"), (2**33, "warning"), (2**36, "ok"), (None, "FAIL")])
def test_a_disk_without_room_fails_one_with_little_warns(free: int | None, state: str, facts: Changed) -> None:
    assert compare_disk(facts(c={"disk_free": free})).state == state


def test_little_shared_memory_or_a_missing_tool_warns(facts: Changed) -> None:
    finding = compare_shared_memory(facts(b={"shm_free": 2**26}))
    assert (finding.state, finding.hosts) == ("warning", ("b",))
    assert "64 MiB" in finding.what, "Docker's default"
    for tool in ("compiler", "ninja"):
        [finding] = compare_tools(facts(c={tool: None}))
        assert (finding.state, finding.hosts) == ("warning", ("c",))


@pytest.mark.parametrize(("age", "state"), [(3600.0, "FAIL"), (60.0, "warning")])
def test_an_old_build_lock_fails_a_new_one_may_be_at_work(age: float, state: str, facts: Changed) -> None:
    finding = compare_locks(facts(b={"locks": [{"path": "/cache/op/lock", "age": age}]}))
    assert (finding.state, finding.hosts) == (state, ("b",))
    assert "/cache/op/lock" in finding.what


def test_limits_matter_where_they_are_met(facts: Changed) -> None:
    low, locked = {"open_files": 1024}, {"locked_memory": 2**16}
    for change, ranks, hosts in (
        (low, 6, None),
        (low, 512, ("b",)),
        ({"open_files": None}, 512, None),
        (locked, 6, None),
        (locked | {"infiniband": True}, 6, ("b",)),
    ):
        [finding] = compare_limits(facts(b=change), ranks)
        assert finding.state == ("warning" if hosts else "ok")
        assert hosts in (None, finding.hosts)
