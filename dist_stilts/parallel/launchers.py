"""Which launcher started this process: its variables, mapped to the one environment that torch.distributed reads.

Known: deepspeed and torchrun (they set RANK and friends), mpirun (Open MPI, MPICH and its kin), srun; none of them
means one process, which asks for no MPI and no port. Where the ranks meet is found out in
:mod:`dist_stilts.parallel.master`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from dist_stilts.errors import UserError
from dist_stilts.parallel.master import given_address, master_of, number, port_number
from dist_stilts.parallel.network import LOOPBACK, free_port, interface_towards

START_SECONDS, SILENCE_SECONDS = "DIST_STILTS_START_SECONDS", "DIST_STILTS_SILENCE_SECONDS"
ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
# launcher -> (rank, world size, local rank); the first whose three variables are all there has started this process.
# Open MPI and MPICH come before Slurm, which may have started them; MPICH's third variable is not there where Slurm
# only speaks its protocol (srun --mpi=pmi2).
STARTED_BY = {
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    "MPICH": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    "Slurm": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
}


@dataclass(frozen=True)
class Launch:
    """Where this process stands, and who said so.

    Attributes:
        interface: of this host's network towards the master; None where the system does not say.
    """

    launcher: str
    rank: int
    world_size: int
    local_rank: int
    master_addr: str
    master_port: int
    interface: str | None = None

    def export(self) -> None:
        """Set the variables that torch.distributed and DeepSpeed read; interfaces that are given are kept.

        NCCL finds its own way on one host, where it does not want loopback.
        """
        values = (self.rank, self.world_size, self.local_rank, self.master_addr, self.master_port)
        os.environ.update({name: str(value) for name, value in zip(ENVIRONMENT, values, strict=True)})
        if self.interface:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", self.interface)
            if self.interface != "lo":
                os.environ.setdefault("NCCL_SOCKET_IFNAME", self.interface)


def detect(environment: Mapping[str, str] = os.environ) -> Launch:
    """Read the launcher's variables.

    Raises:
        UserError: several processes were started, but not all that they need is known.
    """
    check_variables(environment)
    launcher, names = _launcher(environment)
    rank, size, local_rank = (
        number(environment.get(name, default), name) for name, default in zip(names, ("0", "1", "0"), strict=True)
    )
    if local_rank > rank:  # they count upwards on each host
        fix = "Correct or unset both"
        raise UserError(f"{names[2]}={local_rank} with {names[0]}={rank}", fix=fix, everywhere=False)
    if not 0 <= rank < size:
        raise UserError(
            f"{names[0]}={rank} with {names[1]}={size}",
            fix="Ranks count from 0; correct or unset both",
            everywhere=False,
        )
    if size > 1:
        if names[2] not in environment:
            raise UserError(
                f"{names[0]} and {names[1]} are set but {names[2]} is not",
                fix=f"Set {names[2]} to this process's number on its host",
            )
        address, port = master_of(launcher, environment)
    else:
        address = given_address(environment) or LOOPBACK
        port = port_number(environment.get("MASTER_PORT") or "0") or free_port()
    return Launch(launcher, rank, size, local_rank, address, port, interface_towards(address))


def check_variables(environment: Mapping[str, str] = os.environ) -> None:
    """Before anything is started: UserError for a variable of every launcher that ranks could not make sense of."""
    threads(environment)
    for name in (START_SECONDS, SILENCE_SECONDS):
        number(environment.get(name, "0"), name)


def threads(environment: Mapping[str, str] = os.environ) -> int | None:
    """OMP_NUM_THREADS, of which OpenMP reads one number for each level of nesting; None if it is not set."""
    name = "OMP_NUM_THREADS"
    first, *inner = [part.strip() for part in environment.get(name, "").split(",")]
    for part in inner:
        number(part, name, least=1)
    return number(first, name, least=1) if first or inner else None


def own_rank(environment: Mapping[str, str] = os.environ) -> int:
    """This process's rank as far as the launcher says: to decide who speaks, when nothing else is known yet."""
    return _told(environment, 0, "0")


def ranks_started(environment: Mapping[str, str] = os.environ) -> int:
    """How many processes the launcher says it started; where they meet is not yet asked."""
    return _told(environment, 1, "1")


def _told(environment: Mapping[str, str], which: int, default: str) -> int:
    text = environment.get(_launcher(environment)[1][which], default)
    return int(text if text.isdecimal() else default)


def _launcher(environment: Mapping[str, str]) -> tuple[str, tuple[str, str, str]]:
    """Its name and its three variables.

    A shell or a batch script inside an allocation is none of its tasks, though Slurm tells it how many there are.
    """
    if "RANK" in environment and "WORLD_SIZE" in environment:
        by_torchrun = "TORCHELASTIC_RUN_ID" in environment
        by_deepspeed = "CROSS_RANK" in environment
        name = "torchrun" if by_torchrun else "deepspeed" if by_deepspeed else "RANK and WORLD_SIZE"
        return name, ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    for name, variables in STARTED_BY.items():
        if all(variable in environment for variable in variables) and environment[variables[1]] != "1":
            return name, variables
    return "none", ("", "", "")
