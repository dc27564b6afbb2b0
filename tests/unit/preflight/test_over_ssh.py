"""Hosts over ssh: why one does not answer, and what those find that do; ssh is a stand-in with OpenSSH's words."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dist_stilts.parallel.hostfile import Host
from dist_stilts.parallel.network import free_port
from dist_stilts.preflight.environment_file import passed_on
from dist_stilts.preflight.examine import Examination
from dist_stilts.preflight.findings import Finding
from dist_stilts.preflight.ssh import Connection, Lost, explain
from dist_stilts.preflight.ways import OverSsh

CLOCK = {"what": "clock"}
ROOT = Path(__file__).parents[3]


@contextmanager
def asking(*names: str) -> Iterator[OverSsh]:
    variables = passed_on({"PYTHONPATH": os.environ.get("PYTHONPATH", "")}, {})
    with closing(OverSsh([Host(name, 1) for name in names], variables)) as way:
        yield way


def found_by(examination: Examination) -> Mapping[tuple[str, str], Finding]:
    return {(finding.check, finding.state): finding for finding in examination.findings}


@pytest.mark.parametrize(
    ("host", "what", "fix"),
    [
        ("unknown", "does not resolve", "/etc/hosts"),
        ("refusing", "refuses connections", "sshd"),
        ("far", "cannot be reached", "firewall"),
        ("unreachable", "cannot be reached", "firewall"),
        ("stranger", "host key is not known", "ssh stranger true"),
        ("strict", "host key is not known", "ssh strict true"),
        ("changed", "host key has changed", "ssh-keygen -R changed"),
        ("locked", "permission denied", "ssh-copy-id locked"),
        ("odd", "code 255 and said: kex_exchange_identification", "ssh odd true"),
        ("moved", "the folder", "share"),
        ("naked", f"there is no {sys.executable}", "same path"),
        ("bare", "package psutil_not_there is missing", "pip install psutil_not_there"),
    ],
)
@pytest.mark.usefixtures("ssh")
def test_why_a_host_does_not_answer_and_how_to_mend_it(host: str, what: str, fix: str) -> None:
    with asking(host) as way:
        assert way.ask({host: CLOCK}, 20) == {}
        assert what in way.lost[host].what
        assert fix in way.lost[host].fix


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("/env/bin/python: No module named dist_stilts", "dist_stilts is not installed"),
        ("No such option: --facts", "another dist_stilts"),
        ("RuntimeError: Connection timed out", "timed out"),
        ("", "code 1 and said: nothing"),
    ],
)
def test_what_python_says_there_is_told_from_what_ssh_says(said: str, what: str) -> None:
    assert what in explain("node", 1, said).what


@pytest.mark.usefixtures("ssh")
def test_a_host_that_says_nothing_is_lost_in_time_and_not_asked_again() -> None:
    start = time.monotonic()
    with asking("silent") as way:
        assert way.ask({"silent": CLOCK}, 0.3) == {}
        assert "in time" in way.lost["silent"].what
        assert way.ask({"silent": CLOCK}, 60) == {}
        assert "in time" in way.lost["silent"].what
    assert time.monotonic() - start < 5


def test_no_ssh_here_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Lost, match="cannot be started here"):
        Connection("node", "true")


@pytest.mark.usefixtures("ssh")
def test_a_host_answers_through_what_its_shell_prints_and_ends_with_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    out = tmp_path / "runs"
    with asking("noisy") as way:
        [clock] = way.ask({"noisy": CLOCK}, 30).values()
        assert clock.sent <= clock.content["now"] <= clock.received
        left = way.ask({"noisy": {"what": "leave", "out": str(out), "key": "k", "word": "w"}}, 30)
        assert left["noisy"].content == {"error": None}
        assert out.is_dir()
        port = free_port()
        listening = {"what": "listen", "addresses": ["127.0.0.1"], "port": port, "greeting": "w"}
        assert way.ask({"noisy": listening}, 30)["noisy"].content["error"] is None
        taken = way.ask({"noisy": listening}, 30)["noisy"].content
        assert "in use" in taken["error"]
    assert not out.exists()


def test_hosts_are_compared_those_that_are_lost_left_out(
    ssh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (ssh / "numpy-1.0.dist-info").mkdir()
    (ssh / "numpy-1.0.dist-info" / "METADATA").write_text("Name: numpy\nVersion: 1.0\n", encoding="utf-8")
    said: list[str] = []
    with asking("noisy", "other", "refusing") as way:
        examination = Examination(way, str(tmp_path / "runs"), free_port(), said.append)
        examination.run()
    found = found_by(examination)
    assert found["connection", "ok"].hosts == ("noisy", "other")
    assert found["connection", "FAIL"].hosts == ("refusing",)
    assert found["packages", "FAIL"].hosts == ("other",)
    assert "1.0 on other" in found["packages", "FAIL"].what
    assert found["shared folder", "ok"].hosts == ("noisy", "other")
    assert found["master port", "ok"].hosts == ("noisy", "other")
    assert "Mend first" in found["all-reduce", "warning"].fix
    assert not (tmp_path / "runs").exists()
    assert examination.results()["hosts"]["other"]["packages"]["numpy"] == "1.0"
    assert any("facts" in line for line in said)
