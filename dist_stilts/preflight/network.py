"""Ways between hosts: the interface that leads to another one, a port to listen on, a port to reach.

A listener greets who comes with a word that only this preflight knows, so that another program on the port, or another
host under the address, is not taken for it.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress

import psutil

from dist_stilts.parallel import network

CONNECT_SECONDS = 5.0


def route_to(address: str) -> dict[str, str | None]:
    """This host's address and interface that packets to ``address`` leave by, or why there are none."""
    try:
        mine, interface = network.route_to(address)
    except OSError as error:
        return {"address": None, "interface": None, "error": error.strerror or str(error)}
    return {"address": mine, "interface": interface, "error": None}


class Listener:
    """Listens on a port of this host's addresses among those given and greets who comes, until closed."""

    def __init__(self, addresses: Sequence[str], port: int, greeting: str) -> None:
        """OSError: the port is taken or not for this user, or none of the addresses is this host's."""
        self._sockets = []
        trouble: OSError | None = None
        for family, target in {target for each in addresses for target in network.targets(each, port)}:
            try:
                self._sockets.append(socket.create_server(target, family=family))
            except OSError as error:
                trouble = trouble if trouble and error.errno == errno.EADDRNOTAVAIL else error
        if not self._sockets or (trouble and trouble.errno != errno.EADDRNOTAVAIL):
            self.close()
            raise trouble or OSError(f"none of {', '.join(addresses)} is an address of this host")
        for opened in self._sockets:
            threading.Thread(target=_greet, args=(opened, greeting.encode()), daemon=True).start()

    def close(self) -> None:
        """Free the port."""
        for opened in self._sockets:
            with suppress(OSError):  # wakes the thread that waits in accept, which would else hold the port
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()


def _greet(opened: socket.socket, greeting: bytes) -> None:
    with suppress(OSError):  # closed
        while True:
            guest, _ = opened.accept()
            with guest, suppress(OSError):
                guest.sendall(greeting)


def reach(address: str, port: int, greeting: str) -> str | None:
    """None if the listener with this greeting answers at the address, else why not."""
    try:
        with socket.create_connection((address, port), timeout=CONNECT_SECONDS) as connection:
            heard = b""
            while part := connection.recv(1024):
                heard += part
    except TimeoutError:
        return f"no answer within {CONNECT_SECONDS:g} s"
    except OSError as error:
        return error.strerror or str(error)
    return None if heard == greeting.encode() else "another program answers there"


def holder(port: int) -> str | None:
    """The program that listens on a port of this host, where this user may know."""
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return None
