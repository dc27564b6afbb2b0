"""The master's table: it listens where ranks are told to call, and nowhere else."""

from __future__ import annotations

import psutil
import pytest

from dist_stilts.errors import UserError
from dist_stilts.parallel.launchers import Launch
from dist_stilts.parallel.network import free_port, listener
from dist_stilts.parallel.store import connection, open_store

ALL = {"0.0.0.0", "::"}


def at(port: int) -> set[str]:
    own = psutil.Process().net_connections()
    return {each.laddr.ip for each in own if each.laddr.port == port and each.status == psutil.CONN_LISTEN}


def launch(address: str, rank: int = 0) -> Launch:
    return Launch("none", rank, 2, rank, address, free_port())


def test_the_store_listens_on_the_masters_address_only() -> None:
    first = launch("127.0.0.1")
    store = open_store(first, 5)
    assert at(first.master_port) == {"127.0.0.1"}
    store.set("key", "value")
    assert connection(first, 5).get("key") == b"value"
    with pytest.raises(UserError, match=r"cannot listen at .*another program holds it"):
        open_store(first, 5)


def test_localhost_is_one_of_loopbacks_addresses() -> None:
    first = launch("localhost")
    store = open_store(first, 5)
    assert at(first.master_port) <= {"127.0.0.1", "::1"}
    store.set("key", "value")
    assert connection(first, 5).get("key") == b"value"


def test_an_address_that_is_not_this_hosts_own_is_left_to_all_of_them() -> None:
    """As that of a load balancer, or of a service: who calls it comes out at one of this host's."""
    assert listener("192.0.2.77", free_port(), one_host=False) is None
    assert listener("no-such-host.invalid", free_port(), one_host=False) is None
