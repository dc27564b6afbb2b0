"""Where the ranks of a job meet: the master's address and port, agreed on without guessing from host names.

Given ones are kept. Else ranks on one host meet on loopback; under MPI rank 0 offers its addresses and the others try
them; under Slurm the first host of the step is asked of Slurm itself, and the port follows from the job's number.
"""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from dist_stilts.errors import UserError
from dist_stilts.parallel import messages
from dist_stilts.parallel.network import LISTENING_PORTS, LOOPBACK, free_port, own_addresses

MPI_LAUNCHERS = ("Open MPI", "MPICH")
SECONDS_TO_DIAL = 3.0


def master_of(launcher: str, environment: Mapping[str, str]) -> tuple[str, int]:
    """Address and port at which the ranks that ``launcher`` started meet; the same on all of them.

    Raises:
        UserError: they are not given and cannot be found out.
    """
    address, port = given_address(environment), environment.get("MASTER_PORT")
    if address and port:
        return address, port_number(port)
    if launcher in MPI_LAUNCHERS:
        found = _agreed_over_mpi(launcher)
    elif launcher == "Slurm":
        found = _slurm_address(environment), _slurm_port(environment)
    else:
        raise UserError(
            f"{launcher} started several processes but MASTER_ADDR and MASTER_PORT are not set",
            fix="Set both to the first host's name and a free port",
        )
    return address or found[0], port_number(port) if port else found[1]


def given_address(environment: Mapping[str, str]) -> str | None:
    """MASTER_ADDR, if it is set; UserError if it is no name or address of a host."""
    address = environment.get("MASTER_ADDR") or None
    if address and not re.fullmatch(r"[\w.:%-]+", address, re.ASCII):
        raise UserError(f"MASTER_ADDR='{address}' is no name or address of a host", fix="Correct or unset MASTER_ADDR")
    return address


def number(text: str, name: str, least: int = 0, most: int = 10**6) -> int:
    """The whole number that a variable holds; UserError if it holds something else, or less or more than it may."""
    fix = f"Correct or unset {name}"
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", text):
        raise UserError(f"{name}={text} is no whole number", fix=fix)
    if not least <= int(text) <= most:
        raise UserError(f"{name}={text} is not between {least} and {most}", fix=fix)
    return int(text)


def port_number(text: str) -> int:
    """The port that MASTER_PORT holds; 0: none in particular."""
    return number(text, "MASTER_PORT", most=65535)


# MPI


def _agreed_over_mpi(launcher: str) -> tuple[str, int]:
    """Rank 0's port, and the first of its addresses that every rank reaches.

    MPI is used for this only and left at once: a rank that fails later must not wait for the others in its last call.
    """
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise UserError(
            f"{launcher} started this, but mpi4py finds no MPI library ({error})",
            fix="Install one, or set MASTER_ADDR and MASTER_PORT",
        ) from None
    MPI.pickle.__init__(messages.write, messages.read)  # type: ignore[misc] # as mpi4py documents it: for all that follows
    world = MPI.COMM_WORLD
    try:
        if len(set(world.allgather(socket.gethostname()))) == 1:
            return LOOPBACK, int(world.bcast(free_port(), root=0))
        return _reached_by_all(world)
    finally:
        MPI.Finalize()


def _reached_by_all(world: Any) -> tuple[str, int]:
    with ExitStack() as listening:
        offer: tuple[list[str], int] | None = None
        if world.Get_rank() == 0:
            offer = own_addresses(), free_port()
            for address in offer[0]:
                listening.enter_context(socket.create_server((address, offer[1]), backlog=world.Get_size()))
        addresses, port = world.bcast(offer, root=0)
        reached = world.allgather([address for address in addresses if _answers(address, port)])
    common = [address for address in addresses if all(address in mine for mine in reached)]
    if not common:
        raise UserError(
            f"no address of the first host ({', '.join(addresses) or 'it has none'}) is reached from every other host",
            fix="Check the network with `dist-stilts preflight`, or set MASTER_ADDR",
        )
    return common[0], port


def _answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=SECONDS_TO_DIAL).close()
    except OSError:
        return False
    return True


# Slurm


def _slurm_address(environment: Mapping[str, str]) -> str:
    """The first host of the step; loopback where the step has one host only."""
    if (environment.get("SLURM_STEP_NUM_NODES") or environment.get("SLURM_NNODES")) == "1":
        return LOOPBACK
    hosts = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", "")
    first = _scontrol("show", "hostnames", hosts).split()[0]
    try:
        socket.getaddrinfo(first, None)
    except OSError:  # names of nodes need not be names of hosts
        fields = dict(pair.split("=", 1) for pair in _scontrol("show", "node", first).split() if "=" in pair)
        return fields.get("NodeAddr", first)
    return first


def _slurm_port(environment: Mapping[str, str]) -> int:
    """The first port that Slurm reserved for the step, if it was asked to; else one that follows from its number."""
    if reserved := environment.get("SLURM_STEP_RESV_PORTS"):
        return number(reserved.replace("-", ",").split(",")[0], "SLURM_STEP_RESV_PORTS")
    job, step = (number(environment.get(name, "0"), name, most=2**32) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    return LISTENING_PORTS[(job * 61 + step) % len(LISTENING_PORTS)]


def _scontrol(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["scontrol", *arguments], capture_output=True, encoding="utf-8", errors="replace", timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or error
        raise UserError(f"scontrol does not say where the job runs ({said})", fix="Set MASTER_ADDR") from None
    if not done.stdout.strip():
        raise UserError("scontrol does not say where the job runs", fix="Set MASTER_ADDR")
    return done.stdout
