"""The verb that checks hosts before a job starts: ``preflight``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dist_stilts.errors import EXIT_FAILED, UserError, nearest
from dist_stilts.import_path import of_children
from dist_stilts.verbs.common import Json, say

if TYPE_CHECKING:
    from dist_stilts.preflight.examine import Examination
    from dist_stilts.preflight.findings import Finding
    from dist_stilts.preflight.ways import Way

DEEPSPEED_PORT = "29500"
"""Where the deepspeed launcher lets ranks meet unless it is told otherwise."""


def preflight(
    hostfile: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check the hosts in it over ssh: a line each, NAME slots=N.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where runs go: the folder that all hosts must share.")] = Path("runs"),
    as_json: Json = False,
    facts: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Check hosts before a job starts: connections, versions, code, folder, GPUs, port, and a tiny all-reduce.

    With --hostfile every host in it is checked over ssh, as the deepspeed launcher would start a job there; inside a
    launcher (torchrun, mpirun, srun) the hosts of its ranks; else this host. The port is MASTER_PORT, or 29500.

    Exit codes: 0 all passed, warnings or not; 1 a check failed; 2 the hostfile is wrong.

    Example: `dist-stilts preflight --hostfile hostfile --out /shared/runs`

    Example: `srun --ntasks-per-node 8 dist-stilts preflight`
    """
    if facts is not None:
        _as_told(facts)
    elif hostfile is not None:
        _over_ssh(hostfile, out, as_json)
    else:
        _here(out, as_json)


def _over_ssh(hostfile: Path, out: Path, as_json: bool) -> None:
    from dist_stilts.parallel.hostfile import read_hostfile
    from dist_stilts.preflight.environment_file import environment_files, passed_on, read_environment
    from dist_stilts.preflight.ways import OverSsh

    hosts = read_hostfile(hostfile)
    assignments: dict[str, str] = {}
    about_files: list[Finding] = []
    for path in environment_files(os.environ, Path.home(), Path.cwd()):
        sets, found = read_environment(path)
        assignments |= sets
        about_files += found
    with closing(OverSsh(hosts, passed_on(of_children(), assignments))) as way:
        examination = _examined(way, out, here=os.environ, known=about_files)
    _finish(examination, as_json)


def _here(out: Path, as_json: bool) -> None:
    """This host, or inside a launcher the hosts of all ranks; rank 0 speaks, all end alike."""
    from dist_stilts.parallel.launchers import ranks_started
    from dist_stilts.preflight.facts import gpus
    from dist_stilts.preflight.ways import Alone, InGroup

    if ranks_started() == 1:
        with closing(Alone(max(1, len(gpus())))) as alone:
            examination = _examined(alone, out)
        _finish(examination, as_json)
        return
    from dist_stilts.parallel.world import started

    with started() as world:
        with closing(InGroup()) as way:
            examination = _examined(way, out, speaks=world.is_main)
        _finish(examination, as_json, speaks=world.is_main)


def _examined(
    way: Way,
    out: Path,
    speaks: bool = True,
    here: Mapping[str, str] | None = None,
    known: Sequence[Finding] = (),
) -> Examination:
    from dist_stilts.preflight.examine import Examination

    port = os.environ.get("MASTER_PORT", DEEPSPEED_PORT)
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"MASTER_PORT='{port}' is no port", fix="Set a number from 1 to 65535, or unset it")
    tell = say if speaks else lambda _: None
    examination = Examination(way, str(out.absolute()), int(port), tell, here, known)
    examination.run()
    return examination


def _finish(examination: Examination, as_json: bool, speaks: bool = True) -> None:
    """Print what was found; exit code 1 if a check failed."""
    from dist_stilts.preflight.findings import failed, show, summary

    findings = examination.findings
    if speaks:
        if as_json:
            print(json.dumps(examination.results(), indent=2))
        else:
            show(findings, list(examination.way.slots))
        say(summary(findings))
    if failed(findings):
        raise typer.Exit(EXIT_FAILED)


def _as_told(what: str) -> None:
    """What another preflight starts: a host's side of it (``serve``), or one rank of the all-reduce (``bandwidth``)."""
    from dist_stilts.preflight.agent import serve
    from dist_stilts.preflight.ranks import measure_and_print

    known = {"serve": serve, "bandwidth": measure_and_print}
    if what not in known:
        raise UserError(f"unknown facts '{what}'", fix=nearest(what, known))
    known[what]()
