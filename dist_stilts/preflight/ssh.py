"""A host over ssh: one connection, questions and answers as lines; and why there is none, in words for people.

The host's side is this program under the same interpreter, in the same folder, with the variables that the deepspeed
launcher would set: what is checked is what a job would find there.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from tempfile import TemporaryFile

from dist_stilts.preflight.agent import ANSWER, Answer, Question
from dist_stilts.preflight.environment_file import export_command

CONNECT_SECONDS = 10
OPTIONS = (
    *("-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}"),
    *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"),
)
SSH_FAILED = 255
"""Exit code of ssh where it is ssh itself that failed."""
NO_FOLDER, NO_PYTHON = 91, 92
"""Exit codes of the command on the host where its folder or its interpreter is missing."""


class Lost(Exception):
    """The host does not answer, or not any more: what it or ssh said, and how to mend it."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


@dataclass(frozen=True)
class Reply:
    """An answer, with this host's clock when the question left and when the answer came."""

    sent: float
    received: float
    content: Answer


def remote_command(here: Path, python: str, variables: Mapping[str, str]) -> str:
    """The command line for the host's shell."""
    folder, program = shlex.quote(str(here)), shlex.quote(python)
    checks = [f"cd {folder} || exit {NO_FOLDER}", f"test -x {program} || exit {NO_PYTHON}"]
    exports = [export_command(name, value) for name, value in variables.items()]
    return "; ".join([*checks, *exports, f"exec {program} -u -m dist_stilts preflight --facts serve"])


class Connection:
    """An open connection to a host; :meth:`hang_up`, :meth:`end` and :meth:`release` it, whatever happens."""

    def __init__(self, host: str, command: str) -> None:
        """Lost: there is no ssh here."""
        self.host = host
        self._errors = TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 (closed in release)
        self._unread = b""
        try:
            self._ssh = subprocess.Popen(
                ["ssh", *OPTIONS, "--", host, command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
            )
        except OSError as error:
            self._errors.close()
            raise Lost(f"ssh cannot be started here ({error.strerror})", "Install openssh-client") from None

    def ask(self, question: Question, seconds: float) -> Reply:
        """The host's answer; Lost if there is none in time."""
        assert self._ssh.stdin is not None
        sent = time.time()
        with suppress(BrokenPipeError):  # the end of its output says why
            self._ssh.stdin.write(json.dumps(question).encode() + b"\n")
        deadline = time.monotonic() + seconds
        while not (line := self._line(deadline, question)).startswith(ANSWER):
            continue
        return Reply(sent, time.time(), json.loads(line.removeprefix(ANSWER)))

    def hang_up(self) -> None:
        """Let the host's side end: it does with its input."""
        assert self._ssh.stdin is not None
        with suppress(OSError):
            self._ssh.stdin.close()

    def end(self, deadline: float) -> None:
        """Wait for ssh to end, and kill it at the deadline; who waits for an answer is told so."""
        try:
            self._ssh.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._ssh.kill()
            self._ssh.wait()

    def release(self) -> None:
        """Close files, once nobody waits for an answer."""
        assert self._ssh.stdout is not None
        self._ssh.stdout.close()
        self._errors.close()

    def _line(self, deadline: float, question: Question) -> str:
        assert self._ssh.stdout is not None
        with DefaultSelector() as selector:
            selector.register(self._ssh.stdout, EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self._ssh.kill()
                    raise Lost(
                        f"no answer to '{question['what']}' in time",
                        f"See that it is not overloaded: ssh {self.host} uptime",
                    )
                part = os.read(self._ssh.stdout.fileno(), 65536)
                if not part:
                    raise explain(self.host, self._ssh.wait(), self._said())
                self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read()


OF_SSH = (
    (
        r"Could not resolve hostname",
        "the name does not resolve",
        "Correct it in the hostfile, or add it to /etc/hosts, DNS or ~/.ssh/config",
    ),
    (
        r"Connection refused",
        "refuses connections: no ssh server listens there",
        "Start sshd on {host}, or give its port in ~/.ssh/config",
    ),
    (
        r"timed out|[Tt]imeout|No route to host|Network is unreachable|not responding",
        f"cannot be reached within {CONNECT_SECONDS} s",
        "See that {host} is up and that no firewall drops the ssh port",
    ),
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key has changed",
        "If you know why, forget the old one: ssh-keygen -R {host}; then accept the new one: ssh {host} true",
    ),
    (
        r"Host key verification failed|host key is known",
        "its host key is not known",
        "Compare and accept it once, by hand: ssh {host} true",
    ),
    (
        r"Permission denied|Too many authentication failures",
        "permission denied: no key of yours is accepted without a password",
        "Put your public key there: ssh-copy-id {host}",
    ),
)
"""What OpenSSH prints, what it means, how to mend it; the first that fits counts."""
OF_PYTHON = (
    (
        r"No module named '?dist_stilts",
        "dist_stilts is not installed there",
        "Install it there into the environment of {python}, or start in a folder that all hosts share",
    ),
    (
        r"No module named '?([\w.]+)",
        "the Python package {found} is missing there",
        "Install it there: {python} -m pip install {found}",
    ),
    (
        r"No such option",
        "another dist_stilts is installed there, without this check",
        "Install the same dist_stilts on every host, or start in a folder that all hosts share",
    ),
)
"""The same for the program on the host."""


def explain(host: str, code: int, said: str) -> Lost:
    """Why a host gave no answer, from ssh's exit code and from what was printed."""
    python = shlex.quote(sys.executable)
    if code == NO_FOLDER:
        return Lost(f"the folder {Path.cwd()} is missing there", "Start in a folder that all hosts share")
    if code == NO_PYTHON:
        return Lost(f"there is no {python}", "Make the same environment under the same path on every host")
    for pattern, what, fix in OF_SSH if code == SSH_FAILED else OF_PYTHON:
        if match := re.search(pattern, said):
            words = {"host": host, "python": python, "found": match[1] if match.groups() else ""}
            return Lost(what.format(**words), fix.format(**words))
    last = ([line.strip() for line in said.splitlines() if line.strip()] or ["nothing"])[-1]
    return Lost(f"ended with code {code} and said: {last}", f"Try by hand: ssh {host} true")
