"""Ways between hosts: the interface that leads to another one, a port to listen on, a port to reach.

A listener greets who comes with a word that only this preflight knows, so that another program on the port, or another
host under the address, is not taken for it.
"""

from __future__ import annotations

import socket
import threading
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
    """Listens on a port of all addresses and greets who comes, until closed."""

    def __init__(self, port: int, greeting: str) -> None:
        """OSError: the port is taken or not for this user."""
        if socket.has_dualstack_ipv6():
            self._socket = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        else:
            self._socket = socket.create_server(("", port))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._greet, args=(greeting.encode(),), daemon=True).start()

    def _greet(self, greeting: bytes) -> None:
        with suppress(OSError):  # closed
            while True:
                guest, _ = self._socket.accept()
                with guest, suppress(OSError):
                    guest.sendall(greeting)

    def close(self) -> None:
        """Free the port."""
        with suppress(OSError):  # wakes the thread that waits in accept, which would else hold the port
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


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
