"""Which launcher started this process: its variables, mapped to the one environment that torch.distributed reads.

Known: deepspeed and torchrun (they set RANK and friends), mpirun (Open MPI, MPICH), srun; none of them means one
process. Nothing is guessed from host names: discovery by library hangs on hosts without a routable address.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from dist_stilts.errors import UserError

ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
LISTENING_PORTS = range(20_000, 32_768)
"""Below the ports of outgoing connections (Linux: 32768 and up)."""
# launcher -> (rank, world size, local rank)
FOREIGN = {
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    "MPICH": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    "Slurm": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
}


@dataclass(frozen=True)
class Launch:
    """Where this process stands, and who said so."""

    launcher: str
    rank: int
    world_size: int
    local_rank: int
    master_addr: str
    master_port: int

    def export(self) -> None:
        """Set the variables that torch.distributed and DeepSpeed read."""
        values = (self.rank, self.world_size, self.local_rank, self.master_addr, self.master_port)
        os.environ.update({name: str(value) for name, value in zip(ENVIRONMENT, values, strict=True)})


def free_port() -> int:
    """A TCP port that is free on this host now.

    Not one of those that the system gives to outgoing connections: between now and the first rank's listening any
    program could be given it, or a rank that dials it too early could be, and would then be talking to itself.
    """
    for port in random.SystemRandom().sample(LISTENING_PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_port(port: int) -> int:
    """Return ``port`` if it can be listened on; UserError if another program holds it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except (OSError, OverflowError):
            raise UserError(
                f"port {port} is taken", fix="Give another one with --port, or none to pick a free one"
            ) from None
    return port


def detect(environment: Mapping[str, str] = os.environ) -> Launch:
    """Read the launcher's variables.

    Raises:
        UserError: a launcher started several processes but no master address and port are known.
    """
    if "RANK" in environment and "WORLD_SIZE" in environment:
        launcher, names = "deepspeed or torchrun", ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    else:
        # A shell inside an allocation knows the number of tasks, but is none of them: it has no rank.
        started = [(who, names) for who, names in FOREIGN.items() if names[0] in environment]
        several = [(who, names) for who, names in started if int(environment.get(names[1], 1)) > 1]
        launcher, names = several[0] if several else ("none", ("", "", ""))
    rank, size, local_rank = (
        int(environment.get(name, default)) for name, default in zip(names, (0, 1, 0), strict=True)
    )
    if size > 1:
        address, port = _master(launcher, environment)
    else:
        address, port = (
            environment.get("MASTER_ADDR", "127.0.0.1"),
            int(environment.get("MASTER_PORT", 0)) or free_port(),
        )
    return Launch(launcher, rank, size, local_rank, address, port)


def _master(launcher: str, environment: Mapping[str, str]) -> tuple[str, int]:
    """Master address and port of several processes: as given, else agreed on over MPI."""
    if "MASTER_ADDR" in environment and "MASTER_PORT" in environment:
        return environment["MASTER_ADDR"], int(environment["MASTER_PORT"])
    if launcher in ("Open MPI", "MPICH"):
        try:
            from mpi4py import MPI
        except ImportError as error:
            raise UserError(
                f"{launcher} started this, but mpi4py finds no MPI library ({error})",
                fix="Install one, or set MASTER_ADDR and MASTER_PORT",
            ) from None
        mine = (_address_of_this_host(), free_port()) if MPI.COMM_WORLD.Get_rank() == 0 else None
        address, port = MPI.COMM_WORLD.bcast(mine, root=0)
        return str(address), int(port)
    raise UserError(
        f"{launcher} started several processes but MASTER_ADDR and MASTER_PORT are not set",
        fix="Set both to the first host's name and a free port",
    )


def _address_of_this_host() -> str:
    """This host's own address, or loopback where its name resolves to nothing (a single offline host)."""
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"
