from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from dist_stilts.errors import UserError
from dist_stilts.parallel.launchers import ENVIRONMENT, Launch, check_port, detect, free_port

MASTER = {"MASTER_ADDR": "node-1", "MASTER_PORT": "29511"}
VARIABLES = {
    "deepspeed or torchrun": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    "MPICH": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    "Slurm": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
}


def started_by(launcher: str, rank: int, size: int, local_rank: int) -> dict[str, str]:
    return dict(zip(VARIABLES[launcher], (str(rank), str(size), str(local_rank)), strict=True))


@pytest.mark.parametrize("launcher", VARIABLES)
def test_every_launcher_says_rank_size_and_local_rank(launcher: str) -> None:
    environment = started_by(launcher, 5, 8, 1) | MASTER
    assert detect(environment) == Launch(launcher, 5, 8, 1, "node-1", 29511)


def test_no_launcher_is_one_process_on_a_port_of_its_own() -> None:
    found = detect({})
    assert (found.launcher, found.rank, found.world_size, found.local_rank) == ("none", 0, 1, 0)
    assert found.master_addr == "127.0.0.1"
    assert check_port(found.master_port) == found.master_port


def test_one_process_of_torchrun_keeps_the_master_it_was_given() -> None:
    assert detect(started_by("deepspeed or torchrun", 0, 1, 0) | MASTER).master_port == 29511


def test_a_slurm_allocation_with_one_task_is_one_process() -> None:
    found = detect(started_by("Slurm", 0, 1, 0))
    assert (found.launcher, found.world_size) == ("none", 1)


def test_a_shell_inside_an_allocation_of_four_tasks_is_one_process() -> None:
    assert detect({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}).world_size == 1


def test_mpirun_inside_a_slurm_allocation_is_mpirun() -> None:
    environment = started_by("Slurm", 0, 4, 0) | started_by("Open MPI", 3, 4, 1) | MASTER
    assert detect(environment) == Launch("Open MPI", 3, 4, 1, "node-1", 29511)


def test_ranks_that_deepspeed_set_win_over_the_allocation_around_them() -> None:
    environment = started_by("Slurm", 0, 2, 0) | started_by("deepspeed or torchrun", 6, 8, 2) | MASTER
    assert (detect(environment).rank, detect(environment).world_size) == (6, 8)


@pytest.mark.parametrize("launcher", ["deepspeed or torchrun", "Slurm"])
@pytest.mark.parametrize("given", [{}, {"MASTER_ADDR": "node-1"}, {"MASTER_PORT": "29511"}])
def test_several_processes_without_a_master_are_refused(launcher: str, given: dict[str, str]) -> None:
    with pytest.raises(UserError, match=f"{launcher} started several processes but MASTER_ADDR and MASTER_PORT"):
        detect(started_by(launcher, 0, 2, 0) | given)


def test_what_was_detected_is_what_torch_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "before")
    Launch("Open MPI", 3, 4, 1, "node-1", 29511).export()
    assert [os.environ[name] for name in ENVIRONMENT] == ["3", "4", "1", "node-1", "29511"]
    assert detect(os.environ).rank == 3
