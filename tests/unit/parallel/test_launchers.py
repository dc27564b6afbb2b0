"""Where ranks meet: given, asked of Slurm, or refused. MPI needs real ranks: tests/multinode."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.parallel.launchers import ENVIRONMENT, Launch, detect, own_rank, ranks_started, threads
from dist_stilts.parallel.master import master_of
from dist_stilts.parallel.meeting import start_seconds
from dist_stilts.parallel.network import LISTENING_PORTS, check_port, free_port, interface_towards
from dist_stilts.parallel.store import open_store

MASTER = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}
STARTED = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
VARIABLES = {
    "deepspeed": STARTED | {"CROSS_RANK": "1"},
    "torchrun": STARTED | {"TORCHELASTIC_RUN_ID": "job"},
    "RANK and WORLD_SIZE": STARTED,
    "Open MPI": {"OMPI_COMM_WORLD_RANK": "5", "OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_LOCAL_RANK": "1"},
    "MPICH": {"PMI_RANK": "5", "PMI_SIZE": "8", "MPI_LOCALRANKID": "1"},
    "Slurm": {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1"},
}


@pytest.mark.parametrize("launcher", VARIABLES)
def test_every_launcher_says_rank_size_and_local_rank(launcher: str) -> None:
    found = detect(VARIABLES[launcher] | MASTER)
    assert (found.launcher, found.rank, found.world_size, found.local_rank) == (launcher, 5, 8, 1)
    assert (found.master_addr, found.master_port) == ("127.0.0.1", 29511)
    assert found.interface == interface_towards("127.0.0.1") is not None
    assert (own_rank(VARIABLES[launcher]), ranks_started(VARIABLES[launcher])) == (5, 8)


def test_no_launcher_or_a_step_of_one_task_is_one_process_and_torchrun_keeps_the_master_it_was_given() -> None:
    found = detect({})
    assert (found.launcher, found.rank, found.world_size, found.local_rank) == ("none", 0, 1, 0)
    assert found.master_addr == "127.0.0.1"
    assert check_port(found.master_port) == found.master_port
    for launcher in ("Open MPI", "MPICH", "Slurm"):
        one = dict(zip(VARIABLES[launcher], ("0", "1", "0"), strict=True))
        assert (detect(one).launcher, detect(one).world_size) == ("none", 1)
    script = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    assert detect(script).world_size == 1, "the batch script of an allocation of four tasks"
    assert detect(MASTER | {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}).master_port == 29511


def test_a_launcher_inside_a_slurm_step_wins_over_the_step() -> None:
    step = dict(zip(VARIABLES["Slurm"], ("0", "2", "0"), strict=True))
    for inner in ("Open MPI", "MPICH", "deepspeed", "torchrun"):
        assert detect(step | VARIABLES[inner] | MASTER).launcher == inner
    # But a step that speaks the protocol of MPICH is Slurm's, and knows its local rank.
    found = detect(VARIABLES["Slurm"] | {"PMI_RANK": "5", "PMI_SIZE": "8"} | MASTER)
    assert (found.launcher, found.local_rank) == ("Slurm", 1)


@pytest.mark.parametrize("launcher", ["deepspeed", "torchrun", "RANK and WORLD_SIZE"])
def test_several_processes_without_a_master_are_refused(launcher: str) -> None:
    for given in ({}, {"MASTER_ADDR": "node-1"}, {"MASTER_PORT": "29511"}):
        with pytest.raises(UserError, match=f"{launcher} started several processes but MASTER_ADDR and MASTER_PORT"):
            detect(VARIABLES[launcher] | given)


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        (STARTED | MASTER | {"RANK": "x"}, "RANK=x is no whole number"),
        (STARTED | MASTER | {"MASTER_PORT": "a"}, "MASTER_PORT=a is no whole number"),
        (STARTED | MASTER | {"RANK": "8"}, "RANK=8 with WORLD_SIZE=8"),
        ({"RANK": "5", "WORLD_SIZE": "8"} | MASTER, "LOCAL_RANK is not"),
        (STARTED | MASTER | {"LOCAL_RANK": "6"}, "LOCAL_RANK=6 with RANK=5"),
        (STARTED | MASTER | {"LOCAL_RANK": "-1"}, "LOCAL_RANK=-1 is not between"),
        (STARTED | MASTER | {"MASTER_PORT": "65536"}, "MASTER_PORT=65536 is not between"),
        (STARTED | MASTER | {"MASTER_ADDR": "node;touch x"}, "no name or address of a host"),
        ({"MASTER_ADDR": "$(touch x)"}, "no name or address of a host"),
        *(({"OMP_NUM_THREADS": text}, "OMP_NUM_THREADS=") for text in ("x", "0", "-1", "2,x", ",2", "1.5")),
        ({"DIST_STILTS_SILENCE_SECONDS": "1e3"}, "DIST_STILTS_SILENCE_SECONDS=1e3 is no whole number"),
        ({"DIST_STILTS_START_SECONDS": "-1"}, "DIST_STILTS_START_SECONDS=-1 is not between"),
    ],
)
def test_variables_that_cannot_be_true_are_refused(environment: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        detect(environment)


@pytest.mark.parametrize(("text", "number"), [("", None), ("4", 4), ("4,2", 4), (" 3 ", 3)])
def test_of_the_threads_of_nested_levels_the_first_count(text: str, number: int | None) -> None:
    assert threads({"OMP_NUM_THREADS": text}) == number
    assert threads({}) is None


@pytest.mark.parametrize(
    ("launch", "chosen", "gloo", "nccl"),
    [
        (Launch("torchrun", 0, 2, 0, "node-1", 29511, "eth7"), "ib0", "ib0", "eth7"),  # the user's choice stays
        (Launch("torchrun", 0, 2, 0, "127.0.0.1", 29511, "lo"), None, "lo", None),  # NCCL cannot use loopback
        (Launch("Open MPI", 3, 4, 1, "127.0.0.1", 29511), None, None, None),
    ],
)
def test_what_was_detected_is_what_torch_reads_and_backends_are_told_the_interface(
    launch: Launch, chosen: str | None, gloo: str | None, nccl: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*ENVIRONMENT, "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        monkeypatch.setenv(name, "before")
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        monkeypatch.delenv(name)
    if chosen:
        monkeypatch.setenv("GLOO_SOCKET_IFNAME", chosen)
    launch.export()
    assert (os.environ.get("GLOO_SOCKET_IFNAME"), os.environ.get("NCCL_SOCKET_IFNAME")) == (gloo, nccl)
    place = (launch.rank, launch.world_size, launch.local_rank, launch.master_addr, launch.master_port)
    assert [os.environ[name] for name in ENVIRONMENT] == list(map(str, place))
    assert detect(os.environ).rank == launch.rank


STEP = {"SLURM_JOB_ID": "41", "SLURM_STEP_ID": "0", "SLURM_STEP_NODELIST": "n[03-04]", "SLURM_STEP_NUM_NODES": "2"}


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of this name that knows two nodes, of which the first has no host of its name."""
    program = tmp_path / "scontrol"
    program.write_text(
        "#!/bin/sh\n"
        'case "$2 $3" in\n'
        '"hostnames n[03-04]") echo n03.invalid; echo n04.invalid;;\n'
        '"node n03.invalid") echo "NodeName=n03.invalid Arch=x86_64"; echo "   NodeAddr=10.9.8.7 CPUs=2";;\n'
        '*) echo "slurm_load_jobs error: Invalid" >&2; exit 1;;\n'
        "esac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return program


@pytest.mark.usefixtures("scontrol")
def test_slurm_names_the_first_node_what_is_given_is_kept_and_what_scontrol_complains_of_is_passed_on() -> None:
    address, port = master_of("Slurm", STEP)
    assert address == "10.9.8.7"
    assert port in LISTENING_PORTS
    assert master_of("Slurm", STEP | {"MASTER_PORT": "29511"}) == ("10.9.8.7", 29511)
    assert master_of("Slurm", STEP | {"MASTER_ADDR": "n03"})[0] == "n03"
    assert master_of("torchrun", {"MASTER_ADDR": "n03", "MASTER_PORT": "29511"}) == ("n03", 29511)
    with pytest.raises(UserError, match="slurm_load_jobs error"):
        master_of("Slurm", STEP | {"SLURM_STEP_NODELIST": "n9"})


def test_on_one_node_the_port_is_that_of_the_step_nobody_is_asked_and_without_scontrol_the_user_told_what_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = STEP | {"SLURM_STEP_NUM_NODES": "1"}
    found = [master_of("Slurm", alone | {"SLURM_STEP_ID": step})[1] for step in ("0", "0", "1")]
    assert found[0] == found[1] != found[2]
    assert master_of("Slurm", alone | {"SLURM_JOB_ID": "42"})[1] not in found
    monkeypatch.setenv("PATH", "/nowhere")
    assert master_of("Slurm", alone)[0] == "127.0.0.1"
    assert master_of("Slurm", alone | {"SLURM_STEP_RESV_PORTS": "12003-12004"})[1] == 12003
    with pytest.raises(UserError, match=r"scontrol does not say where the job runs.*MASTER_ADDR"):
        master_of("Slurm", STEP)


def test_a_port_that_another_program_holds_is_named() -> None:
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot listen at 127.0.0.1:{port}: another program holds it") as caught:
            open_store(Launch("torchrun", 0, 2, 0, "127.0.0.1", port), 2)
    assert caught.value.code == EXIT_FAILED


@pytest.mark.parametrize("listens", [False, True], ids=["nobody listens", "another program says nothing"])
def test_a_master_that_does_not_answer_is_named_in_time(listens: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dist_stilts.parallel.store.SECONDS_TO_REPORT", 0.5)
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port()))
        if listens:
            other.listen()
        port, began = other.getsockname()[1], time.monotonic()
        with pytest.raises(UserError, match=f"rank 1 on .* got no answer from 127.0.0.1:{port} within 1 s"):
            open_store(Launch("torchrun", 1, 2, 1, "127.0.0.1", port), 1)
        assert time.monotonic() - began < 10


def test_one_process_needs_no_port_and_a_time_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_store(Launch("none", 0, 1, 0, "no-such-host.invalid", 1), 1)
    monkeypatch.setenv("DIST_STILTS_START_SECONDS", "soon")
    with pytest.raises(UserError, match="DIST_STILTS_START_SECONDS=soon is no whole number"):
        start_seconds()
