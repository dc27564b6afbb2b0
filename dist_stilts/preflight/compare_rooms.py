"""Whether hosts have what a job needs: GPUs, disk, shared memory, compiler, limits. Pure functions on facts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from dist_stilts.conventions import GIB, MIB
from dist_stilts.preflight.findings import Facts, Finding, by_value, fail, listed, odd_ones, ok, warning

LITTLE_DISK = 20 * GIB
"""A checkpoint of XLM-R Large with its optimiser's moments is about 8 GiB, and two are there at a time."""
NO_DISK = GIB
LITTLE_SHM = GIB
STALE_SECONDS = 15 * 60
"""An operator compiles within minutes."""
FEW_FILES = 1024


def compare_rooms(facts: Facts, slots: Mapping[str, int]) -> list[Finding]:
    """All of them, a line each."""
    return [
        *compare_gpus(facts, slots),
        compare_disk(facts),
        compare_shared_memory(facts),
        *compare_tools(facts),
        compare_locks(facts),
        *compare_limits(facts, sum(slots.values())),
    ]


def compare_gpus(facts: Facts, slots: Mapping[str, int]) -> list[Finding]:
    """As many GPUs as slots, of one kind; none at all is training on CPUs, and said."""
    seen = {name: len(host["gpus"]) for name, host in facts.items()}
    blind = [name for name, host in facts.items() if host["driver"] and not host["gpus"]]
    found = [_unseen(name, facts[name]) for name in blind]
    if not any(seen.values()):
        return found or [ok("GPUs", facts, "none on any host: training runs on CPUs, over gloo")]
    without = [name for name, count in seen.items() if not count and name not in blind]
    if without:
        fix = "Reserve GPUs there, or leave the host out"
        found.append(fail("GPUs", without, "none, while others have some", fix))
    for name, count in seen.items():
        if 0 < count < slots[name]:
            what = f"{slots[name]} slots, {count} GPUs seen{_visible(facts[name])}"
            found.append(fail("GPUs", [name], what, f"Write slots={count}, or show it more GPUs"))
        elif count > slots[name]:
            what = f"{slots[name]} slots, {count} GPUs seen: some stay idle"
            found.append(warning("GPUs", [name], what, f"Write slots={count} to use them all"))
    kinds = by_value({name: _kind(host) for name, host in facts.items() if host["gpus"]})
    if len(kinds) > 1:
        fix = "The slowest sets the pace, the smallest the batch: prefer GPUs of one kind"
        found.append(warning("GPUs", odd_ones(kinds), listed(kinds), fix))
    return found or [ok("GPUs", facts, listed(by_value({n: f"{seen[n]} x {_kind(facts[n])}" for n in facts})))]


def compare_disk(facts: Facts) -> Finding:
    """Room for checkpoints where runs go."""
    free = {name: host["disk_free"] or 0 for name, host in facts.items()}
    least = min(free.values())
    what = f"{least / GIB:.1f} GiB free where runs go"
    if least < NO_DISK:
        short = [name for name, size in free.items() if size < NO_DISK]
        return fail("disk", short, what, "Make room, or name another folder with --out (in a recipe: out=DIR)")
    if least < LITTLE_DISK:
        short = [name for name, size in free.items() if size < LITTLE_DISK]
        fix = "Large encoders need more: two checkpoints of XLM-R Large take 16 GiB"
        return warning("disk", short, what, fix)
    return ok("disk", facts, what)


def compare_shared_memory(facts: Facts) -> Finding:
    """Room in /dev/shm, over which the ranks of one host exchange tensors."""
    short = {name: host["shm_free"] or 0 for name, host in facts.items() if (host["shm_free"] or 0) < LITTLE_SHM}
    if short:
        fix = "In a container: --shm-size=8g (Kubernetes: an emptyDir with medium Memory)"
        what = f"{min(short.values()) / MIB:.0f} MiB free in /dev/shm; when it is full, ranks die of a bus error"
        return warning("shared memory", short, what, fix)
    return ok("shared memory", facts, f"{min(host['shm_free'] for host in facts.values()) / GIB:.1f} GiB free")


def compare_tools(facts: Facts) -> list[Finding]:
    """A compiler and ninja, with which DeepSpeed builds its own operators at first use."""
    found = []
    for tool, name, package in (("compiler", "C++ compiler", "g++"), ("ninja", "ninja", "ninja-build")):
        if without := [host for host, said in facts.items() if not said[tool]]:
            fix = f"For offload install one: apt-get install {package}; with .deepspeed_env, PATH must lead to it"
            what = f"no {name}: DeepSpeed cannot build its operators (offload, fused optimisers)"
            found.append(warning("tools", without, what, fix))
    return found or [
        ok("tools", facts, listed(by_value({n: f"{h['compiler']}, {h['ninja']}" for n, h in facts.items()})))
    ]


def compare_locks(facts: Facts) -> Finding:
    """No lock that a killed compilation left: whoever wants the operator would wait for ever."""
    locks = {(lock["path"], name): lock["age"] for name, host in facts.items() for lock in host["locks"]}
    if stale := [(path, name) for (path, name), age in locks.items() if age > STALE_SECONDS]:
        paths = " ".join(sorted({path for path, _ in stale}))
        command = shlex.join(["rm", *sorted({path for path, _ in stale})])
        what = f"a killed build left {paths}: every start that needs the operator waits for ever"
        return fail("build locks", sorted({name for _, name in stale}), what, f"There: {command}")
    if locks:
        paths = " ".join(sorted({path for path, _ in locks}))
        hosts = sorted({name for _, name in locks})
        return warning("build locks", hosts, f"{paths} is new", "If nothing compiles now, delete it")
    return ok("build locks", facts, "none")


def compare_limits(facts: Facts, ranks: int) -> list[Finding]:
    """Open files for files and a connection to every rank; memory that InfiniBand may lock."""
    needed = max(FEW_FILES, 8 * ranks)
    few = {n: h["open_files"] for n, h in facts.items() if h["open_files"] is not None and h["open_files"] < needed}
    found = []
    if few:
        what = f"{min(few.values())} open files allowed, fewer than {needed}"
        found.append(warning("limits", few, what, f"Raise it: ulimit -n {4 * needed}, or /etc/security/limits.conf"))
    bound = [name for name, host in facts.items() if host["infiniband"] and host["locked_memory"] is not None]
    if bound:
        what = "InfiniBand is here, but the memory that a process may lock is limited: NCCL cannot register its buffers"
        fix = "Set 'memlock unlimited' in /etc/security/limits.conf (container: --ulimit memlock=-1)"
        found.append(warning("limits", bound, what, fix))
    least = min((h["open_files"] for h in facts.values() if h["open_files"] is not None), default=None)
    return found or [ok("limits", facts, f"{least or 'any number of'} open files")]


def _unseen(name: str, host: Mapping[str, Any]) -> Finding:
    """GPUs that the driver has and torch does not see: hidden, or torch is a build without, or too new, a CUDA."""
    what = f"the driver {host['driver']['version']} has {host['driver']['gpus']} GPUs, torch sees none{_visible(host)}"
    if host["variables"]["CUDA_VISIBLE_DEVICES"] is not None:
        return fail("GPUs", [name], what, "Unset CUDA_VISIBLE_DEVICES there")
    if host["cuda"]:
        return fail("GPUs", [name], what, f"Update the driver, or install torch for an older CUDA than {host['cuda']}")
    return fail("GPUs", [name], what, "This torch is for CPUs: install one for CUDA")


def _visible(host: Mapping[str, Any]) -> str:
    visible = host["variables"]["CUDA_VISIBLE_DEVICES"]
    return "" if visible is None else f" (CUDA_VISIBLE_DEVICES={visible})"


def _kind(host: Mapping[str, Any]) -> str:
    """``NVIDIA H100 80 GiB, driver 535.1``; several kinds of one host are joined."""
    kinds = sorted({f"{gpu['name']} {gpu['memory'] / GIB:.0f} GiB" for gpu in host["gpus"]})
    return " and ".join(kinds) + (f", driver {host['driver']['version']}" if host["driver"] else "")
