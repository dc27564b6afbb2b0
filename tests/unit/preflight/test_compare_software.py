from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dist_stilts.preflight.compare_software import (
    compare_code,
    compare_libraries,
    compare_machines,
    compare_packages,
    compare_python,
    compare_software,
    compare_variables,
)

Changed = Callable[..., dict[str, dict[str, Any]]]


def test_equal_hosts_pass_every_check(facts: Changed) -> None:
    findings = compare_software(facts())
    assert {finding.state for finding in findings} == {"ok"}
    assert {finding.check for finding in findings} == {"hosts", "Python", "packages", "CUDA, NCCL", "code", "variables"}


def test_the_host_with_another_version_is_blamed_and_told_the_command(facts: Changed) -> None:
    packages = {"torch": "2.12.0", "deepspeed": "0.19.8", "mpi4py": "4.1.2"}
    [finding] = compare_packages(facts(b={"packages": packages}))
    assert (finding.state, finding.hosts) == ("FAIL", ("b",))
    assert finding.what == "torch 2.13.0 on a, c; 2.12.0 on b"
    assert finding.fix == "There: /env/bin/python -m pip install torch==2.13.0"


def test_who_differs_from_most_is_blamed_and_of_two_it_is_not_the_first(facts: Changed) -> None:
    changed = facts(a={"code": "x"})
    assert compare_code(changed).hosts == ("a",)
    assert compare_code({name: changed[name] for name in "ab"}).hosts == ("b",)


@pytest.mark.parametrize(("package", "state"), [("deepspeed", "FAIL"), ("mpi4py", "warning")])
def test_a_missing_package_fails_unless_only_mpirun_needs_it(package: str, state: str, facts: Changed) -> None:
    have = facts()["c"]["packages"]
    [finding] = compare_packages(facts(c={"packages": have | {package: None}}))
    assert (finding.state, finding.hosts) == (state, ("c",))
    assert f"{package}=={have[package]}" in finding.fix


def test_a_torch_that_does_not_load_is_said_in_its_words(facts: Changed) -> None:
    [finding] = compare_packages(facts(b={"torch_error": "OSError: libcudart.so.12: cannot open"}))
    assert (finding.state, finding.hosts) == ("FAIL", ("b",))
    assert "libcudart.so.12" in finding.what


@pytest.mark.parametrize(("version", "state"), [("3.12.1", "FAIL"), ("3.11.9", "warning")])
def test_another_python_fails_a_patch_release_warns(version: str, state: str, facts: Changed) -> None:
    finding = compare_python(facts(b={"python": version}))
    assert (finding.state, finding.hosts) == (state, ("b",))


@pytest.mark.parametrize("change", [{"nccl": "2.26.2"}, {"cuda": None, "nccl": None}, {"cuda": "12.6"}])
def test_another_nccl_or_cuda_fails(change: dict[str, Any], facts: Changed) -> None:
    finding = compare_libraries(facts(c=change))
    assert (finding.state, finding.hosts) == ("FAIL", ("c",))


def test_two_names_of_one_machine_are_told(facts: Changed) -> None:
    finding = compare_machines(facts(c={"host": "b"}))
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
    [finding] = compare_variables(facts(b={"variables": variables}), here)
    assert finding.state == ("warning" if hosts else "ok")
    assert hosts in (None, finding.hosts)
    assert fix in finding.fix
