from __future__ import annotations

import socket

import psutil
import pytest

from dist_stilts.parallel.network import free_port
from dist_stilts.preflight.network import Listener, holder, reach, route_to


def test_the_way_to_loopback_is_loopback_and_no_way_is_said_in_the_systems_words() -> None:
    route = route_to("127.0.0.1")
    assert (route["address"], route["interface"]) == ("127.0.0.1", "lo")
    nowhere = route_to("no-such-host.invalid")
    assert nowhere["interface"] is None
    assert nowhere["error"]


def listening_at(port: int) -> set[str]:
    return {each.laddr.ip for each in psutil.Process().net_connections() if each.laddr.port == port}


def test_a_listener_is_reached_by_who_knows_its_word_until_it_is_closed() -> None:
    port = free_port()
    for _ in range(3):  # the port is free again at once
        listener = Listener(["127.0.0.1", "localhost", "192.0.2.200", "no-such-host.invalid"], port, "word")
        try:
            assert reach("127.0.0.1", port, "word") is None
            assert reach("localhost", port, "word") is None
            assert not {"0.0.0.0", "::"} & listening_at(port)
            assert reach("127.0.0.1", port, "another word") == "another program answers there"
        finally:
            listener.close()
        assert reach("127.0.0.1", port, "word") == "Connection refused"


def test_a_taken_port_is_refused_and_its_holder_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            Listener(["127.0.0.1"], port, "word")
        assert "process" in (holder(port) or "")
