from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest

from dist_stilts.errors import UserError
from dist_stilts.parallel.network import check_port, free_port, interface_towards, own_addresses


def test_a_port_that_is_taken_is_refused_and_free_again_afterwards() -> None:
    for address, port in (("", 0), ("127.0.0.1", free_port())):
        with socket.socket() as other:
            other.bind((address, port))
            other.listen()
            port = other.getsockname()[1]
            with pytest.raises(UserError, match=f"port {port} is taken.*--port"):
                check_port(port)
        assert check_port(port) == port
    with pytest.raises(UserError, match="70000"):
        check_port(70_000)


def test_a_free_port_is_not_one_that_an_outgoing_connection_may_get() -> None:
    lowest, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    if lowest < 32_768:
        pytest.skip(f"this system gives out ports from {lowest}")
    assert all(free_port() < lowest for _ in range(20))


def test_every_own_address_is_reached_by_the_interface_that_carries_it() -> None:
    for address in ("127.0.0.1", *own_addresses()):
        carried = psutil.net_if_addrs()[interface_towards(address) or ""]
        assert address in {entry.address for entry in carried}
    assert interface_towards("no-such-host.invalid") is None
