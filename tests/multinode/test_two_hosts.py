"""Two hosts: the same numbers as one, and an end within a bounded time whatever happens to one of them."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from one_job import BIN, environment
from two_hosts import ADDRESSES, CARD, NAMES, TwoHosts, wait_until_gone

from dist_stilts.experiment.launch import launch_command
from dist_stilts.parallel.network import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SILENCE = 10
"""Seconds for which a rank may be silent in these tests; by default it is a minute."""
SECONDS_TO_END = 75.0
"""Within which nothing runs on either host any more, at that silence: it, a sixth of it, ssh's own patience."""
ODD = "R&D; $(touch pwned) `touch pwned` 'x' %h dir"
HOSTFILE = "".join(f"{name} slots=1\n" for name in NAMES)


@pytest.fixture
def started(quiet: TwoHosts, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """``started(job)``: the deepspeed launcher on the first host, over both, in a folder of an odd name."""
    folder = tmp_path / ODD
    folder.mkdir()
    (folder / "torch.py").write_text("open('imported', 'w')")
    patience = {"DIST_STILTS_SILENCE_SECONDS": str(SILENCE), "DIST_STILTS_START_SECONDS": "20"}
    to_hosts = {**patience, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu", "HF_HUB_OFFLINE": "1"}
    to_hosts["PATH"] = environment()["PATH"]
    (folder / ".deepspeed_env").write_text("".join(f"{name}={value}\n" for name, value in to_hosts.items()))
    keep_alive = "-o ServerAliveInterval=10 -o ServerAliveCountMax=3"

    def start(job: Any) -> subprocess.Popen[bytes]:
        (folder / "hostfile").write_text(HOSTFILE)
        with contextlib.chdir(folder):
            command = launch_command(job.arguments, 2, free_port(), hostfile=Path("hostfile"))
        env = environment(**patience, PDSH_SSH_ARGS_APPEND=keep_alive, PYTHONSAFEPATH="1")
        return quiet.start(NAMES[0], *command, env=env, log=tmp_path / "log", cwd=folder)

    yield start
    assert not [*tmp_path.rglob("pwned"), *tmp_path.rglob("imported")]


def said(tmp_path: Path) -> str:
    return (tmp_path / "log").read_text(errors="replace")


def finish(process: subprocess.Popen[bytes], tmp_path: Path, seconds: float = 150) -> None:
    assert process.wait(seconds) == 0, said(tmp_path)[-3000:]


def until_step(job: Any, step: int, tmp_path: Path) -> None:
    deadline = time.monotonic() + 120
    while job.status.get("step", 0) < step:
        assert time.monotonic() < deadline, said(tmp_path)[-3000:]
        time.sleep(0.05)


def test_two_hosts_train_and_score_as_one(
    job: Callable[..., Any], started: Callable[..., Any], reference: Callable[..., Any], tmp_path: Path
) -> None:
    one = job("two-hosts")
    finish(started(one), tmp_path)
    assert f"2 ranks by deepspeed on 2 hosts ({NAMES[0]}, {NAMES[1]})" in said(tmp_path)
    assert f"over {CARD}, gloo" in said(tmp_path)
    assert one.left() == reference(2)


STEPS = 120


@pytest.mark.parametrize("fault", ["cable", "second", "first"])
def test_a_fault_ends_both_hosts_names_the_cause_and_the_same_command_goes_on(
    fault: str,
    quiet: TwoHosts,
    job: Callable[..., Any],
    started: Callable[..., Any],
    reference: Callable[..., Any],
    tmp_path: Path,
) -> None:
    one = job(fault, STEPS)
    process = started(one)
    until_step(one, 25, tmp_path)
    if fault == "cable":
        quiet.cable("down")
    else:
        for rank in quiet.ranks(NAMES[("first", "second").index(fault)]):
            rank.send_signal(signal.SIGKILL)
    wait_until_gone(quiet, SECONDS_TO_END)
    assert process.wait(10) != 0
    cause = f"rank 1 on {NAMES[1]}: not heard of for {SILENCE} s" if fault == "cable" else "lost the connection to"
    assert cause in said(tmp_path)
    assert one.status["state"] == ("failed" if fault != "first" else "running")  # the first rank writes it
    assert not (one.folder / "model/COMPLETE").exists(), "it was done before anything happened to it"
    quiet.cable("up")
    finish(started(one), tmp_path)
    assert one.left() == reference(2, STEPS)


def test_a_host_that_never_starts_is_named(
    quiet: TwoHosts, job: Callable[..., Any], started: Callable[..., Any], tmp_path: Path
) -> None:
    """Its ssh answers, but no rank comes."""
    one = job("never")
    process = started(one)
    deadline = time.monotonic() + 60
    while not quiet.ranks(NAMES[1]):
        assert time.monotonic() < deadline, said(tmp_path)
        time.sleep(0.01)
    for rank in quiet.ranks(NAMES[1]):
        rank.suspend()
    while not quiet.ranks(NAMES[0]):  # either host may be the first to start
        assert time.monotonic() < deadline, said(tmp_path)
        time.sleep(0.1)
    wait_until_gone_but(quiet, 60)
    assert "rank 1 of 2 did not come within 20 s; rank 0 came, on " + NAMES[0] in said(tmp_path)
    assert process.wait(30) != 0


def wait_until_gone_but(hosts: TwoHosts, seconds: float) -> None:
    """Wait until nothing runs on the first host; what is suspended on the second can do nothing."""
    deadline = time.monotonic() + seconds
    while hosts.ranks(NAMES[0]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    hosts.clear()


def test_a_host_that_refuses_ssh_ends_the_start(
    quiet: TwoHosts, job: Callable[..., Any], started: Callable[..., Any], tmp_path: Path
) -> None:
    quiet.sshd(NAMES[1], running=False)
    try:
        process = started(job("refused"))
        assert process.wait(60) != 0
        wait_until_gone(quiet, 10)
        assert "Connection refused" in said(tmp_path)
    finally:
        quiet.sshd(NAMES[1], running=True)


def test_torchrun_on_both_hosts_starts_again_by_itself(
    quiet: TwoHosts, job: Callable[..., Any], reference: Callable[..., Any], tmp_path: Path
) -> None:
    one = job("torchrun", STEPS)
    meeting = ["--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "3", "--monitor-interval", "1"]
    meeting += ["--rdzv-backend", "c10d", "--rdzv-id", "job", "--rdzv-endpoint", f"{ADDRESSES[0]}:29400"]
    env = environment(TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1", DIST_STILTS_SILENCE_SECONDS=str(SILENCE))
    agents = [
        quiet.start(name, str(BIN / "torchrun"), *meeting, "-m", "dist_stilts", *one.arguments, env=env,
                    log=tmp_path / "log", cwd=tmp_path)
        for name in NAMES
    ]  # fmt: skip
    until_step(one, 25, tmp_path)
    for rank in quiet.ranks(NAMES[1]):
        rank.send_signal(signal.SIGKILL)
    for agent in agents:
        finish(agent, tmp_path)
    assert one.left() == reference(2, STEPS)
