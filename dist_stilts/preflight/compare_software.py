"""Whether hosts run the same: Python, packages, CUDA, NCCL, this package's code, variables. Pure functions on facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dist_stilts.preflight.findings import Facts, Finding, by_value, fail, listed, odd_ones, ok, warning

OF_MPI_ONLY = ("mpi4py",)
"""Packages that are needed under mpirun and nowhere else."""


def compare_software(facts: Facts, here: Mapping[str, str] | None = None) -> list[Finding]:
    """All of them, a line each."""
    return [
        compare_machines(facts),
        compare_python(facts),
        *compare_packages(facts),
        compare_libraries(facts),
        compare_code(facts),
        *compare_variables(facts, here),
    ]


def compare_machines(facts: Facts) -> Finding:
    """Whether every name is a machine of its own."""
    groups = by_value({name: host["host"] for name, host in facts.items()})
    if twice := {host: names for host, names in groups.items() if len(names) > 1}:
        names = [name for group in twice.values() for name in group]
        fix = "If they are one machine, give it one line with the slots that it has"
        return warning("hosts", names, f"several names for what calls itself {', '.join(twice)}", fix)
    return ok("hosts", facts, ", ".join(groups))


def compare_python(facts: Facts) -> Finding:
    """The same Python, to the last digit of its version."""
    groups = by_value({name: host["python"] for name, host in facts.items()})
    if len(groups) == 1:
        return ok("Python", facts, next(iter(groups)))
    fix = f"Make the environment with Python {next(iter(groups))} on every host"
    minors = {version.rpartition(".")[0] for version in groups}
    judge = fail if len(minors) > 1 else warning
    return judge("Python", odd_ones(groups), listed(groups), fix)


def compare_packages(facts: Facts) -> list[Finding]:
    """The same version of every package, and none missing."""
    found = []
    for package in next(iter(facts.values()))["packages"]:
        groups = by_value({name: host["packages"][package] for name, host in facts.items()})
        if without := groups.pop("None", []):
            judge = warning if package in OF_MPI_ONLY else fail
            what = f"{package} is not installed{' (needed under mpirun only)' if package in OF_MPI_ONLY else ''}"
            found.append(judge("packages", without, what, _install(package, groups, facts, without)))
        if len(groups) > 1:
            others = odd_ones(groups)
            fix = _install(package, groups, facts, others)
            found.append(fail("packages", others, f"{package} {listed(groups)}", fix))
    broken = {name: host["torch_error"] for name, host in facts.items() if host["torch_error"]}
    if broken and all(facts[name]["packages"]["torch"] for name in broken):
        fix = "Install torch again there, for its driver and CUDA"
        found.append(fail("packages", broken, f"torch cannot be imported: {listed(by_value(broken))}", fix))
    versions = next(iter(facts.values()))["packages"].items()
    return found or [ok("packages", facts, ", ".join(f"{package} {version}" for package, version in versions))]


def compare_libraries(facts: Facts) -> Finding:
    """Torch built for the same CUDA, with the same NCCL: ranks with two NCCL versions cannot talk."""
    groups = by_value({name: _libraries(host) for name, host in facts.items()})
    if len(groups) == 1:
        return ok("CUDA, NCCL", facts, next(iter(groups)))
    return fail("CUDA, NCCL", odd_ones(groups), listed(groups), "Install the same build of torch on every host")


def compare_code(facts: Facts) -> Finding:
    """The same code of this package, byte for byte."""
    groups = by_value({name: host["code"] for name, host in facts.items()})
    if len(groups) == 1:
        return ok("code", facts, f"dist_stilts {next(iter(groups))}")
    fix = "Install the same dist_stilts on every host, or start in a folder that all share"
    return fail("code", odd_ones(groups), f"dist_stilts differs: {listed(groups)}", fix)


def compare_variables(facts: Facts, here: Mapping[str, str] | None = None) -> list[Finding]:
    """The variables that change a job have the same values on all hosts, and those that are set here, if given.

    ``CUDA_VISIBLE_DEVICES`` is each host's own affair.
    """
    found = []
    names = [name for name in next(iter(facts.values()))["variables"] if name != "CUDA_VISIBLE_DEVICES"]
    fix = "Write {}=VALUE into .deepspeed_env, or set it the same everywhere"
    for name in names:
        groups = by_value({host: said["variables"][name] for host, said in facts.items()})
        if len(groups) > 1:
            found.append(warning("variables", odd_ones(groups), f"{name} is {listed(groups)}", fix.format(name)))
        elif here and name in here and here[name] != next(iter(groups)):
            what = f"{name}={here[name]} is set here and is {next(iter(groups))} on the hosts"
            found.append(warning("variables", facts, what, fix.format(name)))
    given = ", ".join(f"{name}={value}" for name, value in next(iter(facts.values()))["variables"].items() if value)
    return found or [ok("variables", facts, given or "none set")]


def _libraries(host: Mapping[str, Any]) -> str:
    return f"CUDA {host['cuda']}, NCCL {host['nccl']}" if host["cuda"] else "torch for CPUs"


def _install(package: str, groups: Mapping[str, list[str]], facts: Facts, hosts: list[str]) -> str:
    """The command that gives hosts the package as most have it."""
    wanted = f"{package}=={next(iter(groups))}" if groups else package
    return f"There: {facts[hosts[0]]['executable']} -m pip install {wanted}"
