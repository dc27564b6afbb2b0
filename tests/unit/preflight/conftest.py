"""Fixtures of the preflight's tests: facts of made-up hosts that are as they should be, and a stand-in for ssh."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GOOD: dict[str, Any] = {
    "python": "3.11.7",
    "executable": "/env/bin/python",
    "packages": {"torch": "2.13.0", "deepspeed": "0.19.8", "mpi4py": "4.1.2"},
    "cuda": "12.8",
    "nccl": "2.27.5",
    "torch_error": None,
    "code": "0123456789ab",
    "addresses": {"lo": ["127.0.0.1"], "eth0": ["10.0.0.1"]},
    "listed_addresses": ["10.0.0.1"],
    "gpus": [{"name": "NVIDIA H100", "id": str(number), "memory": 80 * 2**30} for number in range(2)],
    "driver": {"version": "570.1", "gpus": 2},
    "infiniband": False,
    "disk_free": 2**40,
    "shm_free": 2**34,
    "compiler": "/usr/bin/c++",
    "ninja": "/usr/bin/ninja",
    "locks": [],
    "open_files": 65536,
    "locked_memory": None,
    "variables": {"CUDA_VISIBLE_DEVICES": None, "GLOO_SOCKET_IFNAME": None, "NCCL_SOCKET_IFNAME": None},
}
Changed = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def facts() -> Changed:
    """``facts(b={"python": "3.12.1"})``: hosts a, b and c, all well but for what is changed."""

    def changed(**changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
        return {name: copy.deepcopy(GOOD) | {"host": name} | changes.get(name, {}) for name in "abc"}

    return changed


FAKE_SSH = r"""#!/bin/sh
# Fails as OpenSSH does, by the name of the host, or runs the command here.
while [ "$1" != -- ]; do shift; done
host=$2; command=$3
case $host in
unknown) echo "ssh: Could not resolve hostname unknown: Name or service not known" >&2; exit 255;;
refusing) echo "ssh: connect to host refusing port 22: Connection refused" >&2; exit 255;;
far) echo "ssh: connect to host far port 22: Connection timed out" >&2; exit 255;;
unreachable) echo "ssh: connect to host unreachable port 22: No route to host" >&2; exit 255;;
stranger) echo "Host key verification failed." >&2; exit 255;;
strict)
    printf 'No ED25519 host key is known for strict and you have requested strict checking.\r\n' >&2
    printf 'Host key verification failed.\r\n' >&2
    exit 255;;
changed)
    printf '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n' >&2
    printf 'Host key verification failed.\r\n' >&2
    exit 255;;
locked) printf 'me@locked: Permission denied (publickey,password).\r\n' >&2; exit 255;;
odd) echo "kex_exchange_identification: Connection closed by remote host" >&2; exit 255;;
silent) exec sleep 60;;
moved) command="cd /nowhere/at/all || exit 91; $command";;
naked) command="test -x /nowhere/python || exit 92; $command";;
bare) command="unset PYTHONPATH; exec $PYTHON -c 'import psutil_not_there'";;
noisy) echo "Welcome to noisy"; command="echo of the shell; $command";;
other) command=$(echo "$command" | sed "s|export PYTHONPATH=\"|&$OTHER_PACKAGES:|");;
esac
exec sh -c "$command"
"""
LOOPBACK_ONLY = """#!/bin/sh
echo 127.0.0.1
"""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program ``ssh`` before the system's, and let hosts have no address but loopback, whatever this one has.

    Returns the folder of packages that host ``other`` sees first.
    """
    programs, packages = tmp_path / "bin", tmp_path / "packages"
    for folder in (programs, packages):
        folder.mkdir()
    for name, text in (("ssh", FAKE_SSH), ("hostname", LOOPBACK_ONLY)):
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setenv("PYTHON", sys.executable)
    monkeypatch.setenv("OTHER_PACKAGES", str(packages))
    return packages
