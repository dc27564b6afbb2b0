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


def test_a_driver_too_old_and_a_torch_without_cuda_are_mended_differently(facts: Changed) -> None:
    [old] = compare_gpus(facts(b={"gpus": []}), SLOTS)
    [without] = compare_gpus(facts(b={"gpus": [], "cuda": None}), SLOTS)
    assert "Update the driver" in old.fix
    assert "for CPUs" in without.fix


def test_no_gpu_anywhere_is_training_on_cpus(facts: Changed) -> None:
    none = {"gpus": [], "driver": None}
    [finding] = compare_gpus(facts(a=none, b=none, c=none), SLOTS)
    assert finding.state == "ok"
    assert "CPU" in finding.what


@pytest.mark.parametrize(("free", "state"), [(2**29, "FAIL"), (2**33, "warning"), (2**36, "ok"), (None, "FAIL")])
def test_a_disk_without_room_fails_one_with_little_warns(free: int | None, state: str, facts: Changed) -> None:
    assert compare_disk(facts(c={"disk_free": free})).state == state


def test_dockers_default_of_shared_memory_warns(facts: Changed) -> None:
    finding = compare_shared_memory(facts(b={"shm_free": 2**26}))
    assert (finding.state, finding.hosts) == ("warning", ("b",))
    assert "64 MiB" in finding.what


@pytest.mark.parametrize("tool", ["compiler", "ninja"])
def test_a_missing_tool_warns(tool: str, facts: Changed) -> None:
    [finding] = compare_tools(facts(c={tool: None}))
    assert (finding.state, finding.hosts) == ("warning", ("c",))


@pytest.mark.parametrize(("age", "state"), [(3600.0, "FAIL"), (60.0, "warning")])
def test_an_old_build_lock_fails_a_new_one_may_be_at_work(age: float, state: str, facts: Changed) -> None:
    finding = compare_locks(facts(b={"locks": [{"path": "/cache/op/lock", "age": age}]}))
    assert (finding.state, finding.hosts) == (state, ("b",))
    assert "/cache/op/lock" in finding.what


def test_few_open_files_warn_more_so_with_many_ranks(facts: Changed) -> None:
    low = facts(b={"open_files": 1024})
    assert compare_limits(low, 6)[0].state == "ok"
    assert compare_limits(low, 512)[0].hosts == ("b",)
    assert compare_limits(facts(b={"open_files": None}), 512)[0].state == "ok"


def test_a_limit_on_locked_memory_matters_with_infiniband_only(facts: Changed) -> None:
    assert compare_limits(facts(b={"locked_memory": 2**16}), 6)[0].state == "ok"
    [finding] = compare_limits(facts(b={"locked_memory": 2**16, "infiniband": True}), 6)
    assert (finding.state, finding.hosts) == ("warning", ("b",))
