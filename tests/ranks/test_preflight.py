"""Preflight with real ranks: in a launcher's group, and over a stand-in for ssh that starts them on this host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dist_stilts.parallel.network import free_port

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=[1, 2], ids="{} ranks".format)
def world(request: pytest.FixtureRequest, saved: Callable[..., list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return saved("worker_preflight.py", request.param, str(free_port()))


def test_every_rank_ends_alike_and_one_speaks(world: list[dict[str, Any]]) -> None:
    assert {rank["code"] for rank in world} == {0}
    assert [bool(rank["said"]) for rank in world] == [True] + [False] * (len(world) - 1)
    found = json.loads(world[0]["said"])
    assert [host["slots"] for host in found["hosts"].values()] == [len(world)]
    assert {finding["state"] for finding in found["findings"]} <= {"ok", "warning"}
    assert len(found["bandwidth"] or []) == 5


def test_ranks_agree_on_the_figures_and_a_bus_needs_two(world: list[dict[str, Any]]) -> None:
    assert all(rank["figures"] == world[0]["figures"] for rank in world)
    for row in world[0]["figures"]:
        assert row.algorithm_gb_s == pytest.approx(row.bytes / row.seconds / 1e9)
        assert row.bus_gb_s == pytest.approx(0.0 if len(world) == 1 else row.algorithm_gb_s)


@pytest.fixture
def over_ssh(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run preflight over two "hosts", one slot each, whose ssh runs the command here; only loopback is an address."""
    programs = {"ssh": 'while [ "$1" != -- ]; do shift; done\nexec sh -c "$3"', "hostname": "echo 127.0.0.1"}
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "hostfile").write_text("node-1 slots=1\nnode-2 slots=1\n", encoding="utf-8")

    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        options = ["--hostfile", "hostfile", "--out", "runs", "--json"]
        command = [sys.executable, "-m", "dist_stilts", "preflight", *options]
        return subprocess.run(
            command, env={**os.environ, **path, **variables}, cwd=tmp_path, capture_output=True, text=True, timeout=200
        )

    return run


@pytest.mark.slow
def test_two_hosts_that_are_well_sum_over_their_ranks(over_ssh: Callable[..., Any], tmp_path: Path) -> None:
    done = over_ssh(MASTER_PORT=str(free_port()))
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert found["passed"]
    assert [row["bytes"] for row in found["bandwidth"]] == [2**10, 2**14, 2**18, 2**22, 2**26]
    assert all(row["bus_gb_s"] > 0 for row in found["bandwidth"])
    assert not (tmp_path / "runs").exists()
    assert "summing over 2 ranks" in done.stderr


@pytest.mark.slow
def test_a_bad_line_is_told_and_the_good_ones_reach_the_hosts(over_ssh: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / ".deepspeed_env").write_text("# of node-1\nGLOO_SOCKET_IFNAME=nope0\n", encoding="utf-8")
    done = over_ssh(MASTER_PORT=str(free_port()))
    failed = {
        finding["check"]: finding for finding in json.loads(done.stdout)["findings"] if finding["state"] == "FAIL"
    }
    assert done.returncode == 1
    assert set(failed) == {"environment file", "interface"}
    assert ".deepspeed_env:1: " in failed["environment file"]["what"]
    assert "nope0" in failed["interface"]["what"]
