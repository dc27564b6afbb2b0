"""Whether hosts reach each other and agree: interface, clock, shared folder, master port, bandwidth. Pure functions."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from dist_stilts.conventions import KIB, MIB
from dist_stilts.preflight.findings import Facts, Finding, by_value, fail, listed, ok, warning
from dist_stilts.preflight.ssh import Lost, Reply

MAX_SKEW_SECONDS = 2.0
"""Above it the times in status files and locks of several hosts cannot be compared."""


def connected(hosts: Iterable[str], lost: Mapping[str, Lost], how: str) -> list[Finding]:
    """A line for the hosts that answered, and one per host that did not, or not to the end."""
    found = [fail("connection", [host], trouble.what, trouble.fix) for host, trouble in lost.items()]
    reached = [host for host in hosts if host not in lost]
    return ([ok("connection", reached, how)] if reached else []) + found


def compare_interfaces(facts: Facts, routes: Facts) -> list[Finding]:
    """Every host has a way to the master, by an interface that exists; what is prescribed exists, too."""
    found = []
    several = len({said["host"] for said in facts.values()}) > 1
    for host, route in routes.items():
        if route["error"] or not route["interface"]:
            what = f"no route to the master {route['to']} ({route['error'] or 'from no interface that is up'})"
            found.append(fail("interface", [host], what, "Give the host an address in the master's network"))
        elif several and is_loopback(route["address"]):
            what = f"the way to the master {route['to']} is loopback"
            fix = f"Let the master's name mean an address that other hosts reach, on {host} too (/etc/hosts)"
            found.append(fail("interface", [host], what, fix))
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        for host, said in facts.items():
            given = said["variables"][name]
            if given and not _exists(given, said["addresses"]):
                fix = f"Unset it, or give one of: {', '.join(said['addresses'])}"
                found.append(fail("interface", [host], f"{name}={given} is no interface of this host", fix))
    ways = by_value({host: f"{route['interface']} ({route['address']})" for host, route in routes.items()})
    return found or [ok("interface", facts, listed(ways))]


def offsets(rounds: Mapping[str, Sequence[Reply]]) -> dict[str, tuple[float, float]]:
    """How many seconds each host's clock is ahead of ours, and how far that may be wrong.

    A clock was read between question and answer: it is compared with the middle, and half of the time between is the
    uncertainty; of several rounds the shortest counts (Cristian 1989, Probabilistic clock synchronization).
    """
    found = {}
    for host, replies in rounds.items():
        best = min(replies, key=lambda reply: reply.received - reply.sent)
        middle, half = (best.received + best.sent) / 2, (best.received - best.sent) / 2
        found[host] = (best.content["now"] - middle, half)
    return found


def compare_clocks(clocks: Mapping[str, tuple[float, float]]) -> Finding:
    """No host's clock is far from the first host's."""
    first, uncertainty = next(iter(clocks.values()))
    apart = {host: (ahead - first, half + uncertainty) for host, (ahead, half) in clocks.items()}
    worst = max(apart, key=lambda host: abs(apart[host][0]))
    skew, half = apart[worst]
    if abs(skew) > MAX_SKEW_SECONDS:
        off = [host for host, (seconds, _) in apart.items() if abs(seconds) > MAX_SKEW_SECONDS]
        what = f"{skew:+.2f} s (± {half:.2f} s) from the first host's clock"
        return warning("clock", off, what, "Let a time service run there: timedatectl set-ntp true")
    if len(clocks) == 1:
        return ok("clock", clocks, "one host")
    return ok("clock", clocks, f"at most {abs(skew):.3f} s (± {half:.3f} s) from the first host's")


def compare_folder(
    out: str, errors: Mapping[str, str | None], words: Mapping[str, str], seen: Mapping[str, Mapping[str, str | None]]
) -> list[Finding]:
    """The folder of the runs is one folder for all, and all can write to it.

    Args:
        out: the folder.
        errors: for each host why it could not leave its word there, or None.
        words: the word of each host.
        seen: the words that each host that could write has found there, by host.
    """
    found = [
        fail("shared folder", [host], f"cannot write to {out} ({error})", "Let the same user own it on every host")
        for host, error in errors.items()
        if error
    ]
    first, *others = [host for host in seen if not errors[host]] or [""]
    for host in others:
        if seen[host][first] != words[first] or seen[first][host] != words[host]:
            what = f"{out} is another folder here than on {first}"
            fix = "Name one that all hosts mount (NFS, Lustre) with --out (in a recipe: out=DIR)"
            found.append(fail("shared folder", [host], what, fix))
    said = "written and read by every host" if len(words) > 1 else "written and read"
    return found or [ok("shared folder", words, f"{out}: {said}")]


def compare_port(
    port: int,
    master: str,
    taken: Mapping[str, Any],
    reached: Mapping[str, Mapping[str, str | None]],
    named: str,
    alone: bool,
) -> list[Finding]:
    """The master's port is free there, and every other host reaches it.

    Args:
        port: the port.
        master: the address that the deepspeed launcher takes.
        taken: the first host's answer when it was to listen there.
        reached: for each other host and each address tried why it was not reached, or None.
        named: the first host's name.
        alone: whether there is this host only, where the port is picked anew at every start.
    """
    if taken["error"]:
        who = f", by {taken['holder']}" if taken["holder"] else ""
        what = f"port {port} cannot be listened on ({taken['error']}{who})"
        fix = "End that program, or choose another port: deepspeed --master_port, else MASTER_PORT"
        return [(warning if alone else fail)("master port", [named], what, fix)]
    found = []
    for host, errors in reached.items():
        if error := errors[master]:
            others = [address for address, trouble in errors.items() if trouble is None]
            fix = f"Start with deepspeed --master_addr {others[0]}" if others else _open_port(port, named, host)
            found.append(fail("master port", [host], f"does not reach {master}:{port} on {named} ({error})", fix))
    free = f"{port} is free on {named}"
    return found or [ok("master port", [named, *reached], f"{free}, reached at {master}" if reached else free)]


def compare_bandwidth(
    figures: Sequence[Mapping[str, float]] | None, troubles: Mapping[str, str | None], ranks: int
) -> list[Finding]:
    """What the all-reduce of all slots gave, or why it gave nothing."""
    fix = "Set GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME to the interface above; NCCL_DEBUG=INFO says more"
    found = [fail("all-reduce", [host], trouble, fix) for host, trouble in troubles.items() if trouble]
    if found or figures is None:
        return found or [fail("all-reduce", troubles, "the ranks ended without a figure", fix)]
    if ranks == 1:
        return [ok("all-reduce", troubles, "one process: nothing to send")]
    parts = ", ".join(f"{_size(row['bytes'])} {_speed(row['bus_gb_s'])}" for row in figures)
    return [ok("all-reduce", troubles, f"{ranks} ranks, bus bandwidth in GB/s: {parts}")]


def is_loopback(address: str) -> bool:
    """Whether an address means the host itself."""
    with suppress(ValueError):
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    return address == "localhost"


def _exists(given: str, interfaces: Mapping[str, Any]) -> bool:
    """Whether a list of interfaces, as NCCL and gloo read it, names one that there is; ``^`` and ``=`` are NCCL's."""
    if given.startswith("^"):
        return True
    exact = given.startswith("=")
    names = given.removeprefix("=").split(",")
    return any(name == known or (not exact and known.startswith(name)) for name in names for known in interfaces)


def _open_port(port: int, named: str, host: str) -> str:
    return f"Open port {port} and those above 1024 on {named} for {host} (firewall), or give both a common network"


def _size(size: float) -> str:
    return f"{size / MIB:g} MiB" if size >= MIB else f"{size / KIB:g} KiB"


def _speed(value: float) -> str:
    return f"{value:.3g}" if value >= 0.001 else f"{value:.1g}"
