"""What this host's network looks like: ports that are free, and the interface by which a peer is reached."""

from __future__ import annotations

import errno
import random
import socket
from contextlib import suppress
from ipaddress import ip_address

from dist_stilts.errors import UserError

LISTENING_PORTS = range(20_000, 32_768)
"""Below the ports of outgoing connections (Linux: 32768 and up)."""
LOOPBACK = "127.0.0.1"
BACKLOG = 4096
"""Ranks that may knock at once; the system has a limit of its own."""


def free_port() -> int:
    """A TCP port that is free on this host now.

    Not one of those that the system gives to outgoing connections: between now and the first rank's listening any
    program could be given it, or a rank that dials it too early could be, and would then be talking to itself.
    """
    for port in random.SystemRandom().sample(LISTENING_PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def listener(address: str, port: int, one_host: bool) -> socket.socket | None:
    """A socket that listens on this host's own address of that name, and on no other.

    Args:
        one_host: whether all who will call are on this host.

    Returns:
        None where others may know the name by another address: one that is not this host's own (of a load balancer,
        say), or a loopback address that only this host gives to its name.

    Raises:
        OSError: another program listens there.
    """
    meant = targets(address, port)
    inward = all(ip_address(str(host).partition("%")[0]).is_loopback for _, (host, _) in meant)
    certain = one_host or address in ("localhost", *(host for _, (host, _) in meant)) if inward else len(meant) == 1
    for family, target in meant if certain else ():
        try:
            return socket.create_server(target, family=family, backlog=BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
    return None


def targets(address: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    """Families and addresses that a host's name or address has here, each once; none if it is unknown."""
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys((family, (str(target[0]), int(target[1]))) for family, *_, target in found))


def check_port(port: int) -> int:
    """Return ``port`` if it can be listened on; UserError if another program holds it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except (OSError, OverflowError):
            raise UserError(
                f"port {port} is taken", fix="Give another one with --port, or none to pick a free one"
            ) from None
    return port


def route_to(address: str) -> tuple[str, str | None]:
    """The own address and the interface from which this host would send to ``address``, by its routing table.

    Nothing is sent: a datagram socket only looks up where it would send from. An address of this host's own is on the
    interface that carries it, so all hosts of a job, the master among them, name their side of the same network.

    Raises:
        OSError: there is no route, or no such host.
    """
    import psutil

    family, kind, _, _, target = socket.getaddrinfo(address, 9, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(target)
        mine = str(probe.getsockname()[0])
    for name, entries in psutil.net_if_addrs().items():
        if any(entry.address.partition("%")[0] == mine for entry in entries):
            return mine, str(name)
    return mine, None


def interface_towards(address: str) -> str | None:
    """The interface that leads to ``address``; None if there is none."""
    try:
        return route_to(address)[1]
    except OSError:
        return None


def own_addresses() -> list[str]:
    """IPv4 addresses of this host's interfaces that are up, loopback left out."""
    import psutil

    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    return [
        entry.address
        for name, entries in psutil.net_if_addrs().items()
        for entry in entries
        if name in up and entry.family == socket.AF_INET and not entry.address.startswith("127.")
    ]
