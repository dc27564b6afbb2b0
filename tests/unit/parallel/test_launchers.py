from __future__ import annotations

import os

import pytest

from dist_stilts.errors import UserError
from dist_stilts.parallel.launchers import ENVIRONMENT, Launch, detect, own_rank, ranks_started
from dist_stilts.parallel.network import check_port, interface_towards

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


def without(names: str, environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in names.split()}


@pytest.mark.parametrize("launcher", VARIABLES)
def test_every_launcher_says_rank_size_and_local_rank(launcher: str) -> None:
    found = detect(VARIABLES[launcher] | MASTER)
    assert (found.launcher, found.rank, found.world_size, found.local_rank) == (launcher, 5, 8, 1)
    assert (found.master_addr, found.master_port) == ("127.0.0.1", 29511)
    assert found.interface == interface_towards("127.0.0.1") is not None
    assert (own_rank(VARIABLES[launcher]), ranks_started(VARIABLES[launcher])) == (5, 8)


def test_no_launcher_is_one_process_on_a_port_of_its_own() -> None:
    found = detect({})
    assert (found.launcher, found.rank, found.world_size, found.local_rank) == ("none", 0, 1, 0)
    assert found.master_addr == "127.0.0.1"
    assert check_port(found.master_port) == found.master_port


def test_a_step_of_one_task_is_one_process_and_torchrun_keeps_the_master_it_was_given() -> None:
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
        (without("LOCAL_RANK", STARTED) | MASTER, "LOCAL_RANK is not"),
    ],
)
def test_variables_that_cannot_be_true_are_refused(environment: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        detect(environment)


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
