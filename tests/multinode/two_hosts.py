"""Two hosts on one machine: network namespaces with addresses, names, routes and an sshd of their own.

Everything lies in one folder and in the namespaces; nothing of the machine's own ssh is touched. ``ip netns exec``
lays /etc/netns/NAME over /etc, which gives each host its names and its ssh client's settings.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

NEEDS = ("ip", "sshd", "ssh-keygen", "ssh", "pdsh", "unshare")
NAMES = ("ds-one", "ds-two")
ADDRESSES = ("10.78.0.1", "10.78.0.2")
CARD = "eth0"
SSH = """Host *
  IdentityFile {folder}/id
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  StrictHostKeyChecking yes
  ConnectTimeout 5
"""
SSHD = """Port 22
ListenAddress {address}
HostKey {folder}/{name}
AuthorizedKeysFile {folder}/id.pub
PidFile {folder}/{name}.pid
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
PrintMotd no
LogLevel ERROR
"""


def missing() -> str:
    """Why two hosts cannot be made here, or nothing."""
    if os.geteuid():
        return "namespaces of the network need root"
    absent = [name for name in NEEDS if not shutil.which(name) and not Path("/usr/sbin", name).exists()]
    return f"not installed: {', '.join(absent)}" if absent else ""


def call(*command: str) -> str:
    """Run a program that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class TwoHosts:
    """Both hosts, up; ``folder`` holds keys and logs."""

    folder: Path

    def up(self) -> None:
        """Make both, join them by a cable, start their sshd."""
        self.folder.mkdir(parents=True, exist_ok=True)
        Path("/run/sshd").mkdir(exist_ok=True)
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "id"))
        for name in NAMES:
            call("ip", "netns", "add", name)
        call("ip", "link", "add", CARD, "netns", NAMES[0], "type", "veth", "peer", "name", CARD, "netns", NAMES[1])
        for name, address in zip(NAMES, ADDRESSES, strict=True):
            self._network(name, address)
        for name, address in zip(NAMES, ADDRESSES, strict=True):
            self._sshd(name, address)
        hosts = zip(NAMES, ADDRESSES, strict=True)
        known = [f"{n},{a} {' '.join((self.folder / f'{n}.pub').read_text().split()[:2])}" for n, a in hosts]
        (self.folder / "known_hosts").write_text("\n".join(known) + "\n")

    def _network(self, name: str, address: str) -> None:
        call("ip", "-n", name, "link", "set", "lo", "up")
        call("ip", "-n", name, "address", "add", f"{address}/24", "dev", CARD)
        call("ip", "-n", name, "link", "set", CARD, "up")
        etc = Path("/etc/netns", name)
        (etc / "ssh").mkdir(parents=True, exist_ok=True)
        names = "".join(f"{a} {n}\n" for n, a in zip(NAMES, ADDRESSES, strict=True))
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
        (etc / "resolv.conf").write_text("")  # no name server: what is not in hosts is unknown at once
        (etc / "ssh/ssh_config").write_text(SSH.format(folder=self.folder))

    def _sshd(self, name: str, address: str) -> None:
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name))
        settings = self.folder / f"{name}.conf"
        settings.write_text(SSHD.format(folder=self.folder, name=name, address=address))
        call(*self.on(name, "/usr/sbin/sshd", "-f", str(settings), "-E", str(self.folder / f"{name}.log")))

    def on(self, name: str, *command: str) -> list[str]:
        """The command that runs ``command`` on a host, with its network, names and host name."""
        inner = 'hostname "$0"; exec "$@"'
        return ["ip", "netns", "exec", name, "unshare", "--uts", "sh", "-c", inner, name, *command]

    def start(self, name: str, *command: str, env: Mapping[str, str], log: Path, cwd: Path) -> subprocess.Popen[bytes]:
        """Start a command on a host; what it says goes to ``log``."""
        with log.open("ab") as said:
            return subprocess.Popen(
                self.on(name, *command), env=dict(env), cwd=cwd, stdout=said, stderr=said, start_new_session=True
            )

    def processes(self, name: str) -> list[psutil.Process]:
        """All that runs on a host, its sshd left out."""
        found = []
        for pid in map(int, call("ip", "netns", "pids", name).split()):
            try:
                process = psutil.Process(pid)
                if process.name() != "sshd":
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    def ranks(self, name: str) -> list[psutil.Process]:
        """The processes on a host that train."""
        return [process for process in self.processes(name) if is_rank(process)]

    def cable(self, state: str) -> None:
        """Pull it out (``down``) or plug it in (``up``)."""
        for name in NAMES:
            call("ip", "-n", name, "link", "set", CARD, state)

    def sshd(self, name: str, running: bool) -> None:
        """Stop a host's sshd, or start it again."""
        if running:
            call(*self.on(name, "/usr/sbin/sshd", "-f", str(self.folder / f"{name}.conf")))
        else:
            os.kill(int((self.folder / f"{name}.pid").read_text()), signal.SIGTERM)

    def clear(self) -> None:
        """End everything on both hosts but sshd, and mend the cable."""
        self.cable("up")
        for name in NAMES:
            for process in self.processes(name):
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue

    def down(self) -> None:
        """End everything and take both hosts away."""
        for name in NAMES:
            if not Path("/run/netns", name).exists():
                continue
            for pid in map(int, call("ip", "netns", "pids", name).split()):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            call("ip", "netns", "delete", name)
            shutil.rmtree(Path("/etc/netns", name), ignore_errors=True)


def is_rank(process: psutil.Process) -> bool:
    """Whether it is a rank: the program itself, and no launcher, shell or ssh that names it."""
    try:
        words: Sequence[str] = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    if not words or "python" not in Path(words[0]).name:
        return False
    rest = [word for word in words[1:] if word != "-u"]
    return rest[:3] == ["-m", "dist_stilts", "train"]


def wait_until_gone(hosts: TwoHosts, seconds: float) -> float:
    """Wait until nothing runs on either host; returns how long it took.

    Raises:
        AssertionError: something still runs after ``seconds``; what, and where.
    """
    began = time.monotonic()
    while left := {name: hosts.processes(name) for name in NAMES if hosts.processes(name)}:
        took = time.monotonic() - began
        assert took < seconds, f"after {took:.0f} s there still run {left}"
        time.sleep(0.2)
    return time.monotonic() - began
