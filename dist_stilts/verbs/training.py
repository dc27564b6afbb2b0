"""The verbs that train: ``train`` (one phase, inside a launcher) and ``run`` (a whole recipe)."""

from __future__ import annotations

import os
import shlex
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dist_stilts.errors import UserError
from dist_stilts.ranges import MOST
from dist_stilts.verbs.common import Overrides, RecipeName, completed_by, load_recipe, say
from dist_stilts.verbs.rehearsal import DryRun, Verbose, check_verbose, rehearse


def train(
    recipe: RecipeName,
    overrides: Overrides = None,
    phase: Annotated[str | None, typer.Option(help="Which phase or run; `all` for every one.")] = None,
) -> None:
    """Run one phase inside the process group of whichever launcher started this.

    SIGTERM or SIGUSR1 to any rank: all save within a step and exit with 75; the same command continues.

    Example: `torchrun --nproc-per-node 8 -m dist_stilts train xstilts_large --phase mnli`
    """
    from dist_stilts.experiment.execute import make_world, require_out
    from dist_stilts.experiment.phases import run_phase
    from dist_stilts.experiment.plan import expand, select
    from dist_stilts.experiment.states import forget_states
    from dist_stilts.parallel import preemption
    from dist_stilts.parallel.collectives import barrier
    from dist_stilts.parallel.world import started

    config = load_recipe(recipe, overrides)
    runs = expand(config)
    if phase is None and len(runs) > 1:
        raise UserError(
            f"the recipe has {len(runs)} runs", fix=f"Choose one with --phase: {', '.join(run.name for run in runs)}"
        )
    chosen = {run.name for run in select(runs, phase or "all")}
    require_out(config)
    prepare, command = (shlex.join(["dist-stilts", verb, recipe, *(overrides or [])]) for verb in ("prepare", "run"))
    with completed_by(prepare), started() as world, preemption.listening():
        if world.is_main:
            make_world(config)
        barrier()
        for run in runs:
            if any(
                run.name in (ancestor.name for ancestor in other.lineage()) for other in runs if other.name in chosen
            ):
                run_phase(run, config, world, command)
                if world.is_main:
                    forget_states(runs, config)


def run(
    recipe: RecipeName,
    overrides: Overrides = None,
    ranks: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Processes; default: one per GPU, or 2 without GPUs.")
    ] = None,
    phase: Annotated[str, typer.Option(help="Only this phase or run, and what it starts from.")] = "all",
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Master port; default: a free one.")] = None,
    hostfile: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Run on the hosts in it, over ssh: a line each, NAME slots=N.")
    ] = None,
    dry_run: DryRun = False,
    verbose: Verbose = False,
) -> None:
    """Run all phases of a recipe through the deepspeed launcher; again = continue, or nothing if all is done.

    Example: `dist-stilts run quickstart --ranks 2 seed=1`

    Example: `dist-stilts run xstilts_large --hostfile hostfile out=/shared/runs`
    """
    from dist_stilts.experiment import execute
    from dist_stilts.experiment.launch import launch
    from dist_stilts.experiment.plan import folder_of
    from dist_stilts.report.lists import show

    config = load_recipe(recipe, overrides)
    if hostfile:
        ranks = slots_of(hostfile, ranks)
    check_verbose(verbose, dry_run)
    ranks = ranks or execute.default_ranks(config)
    if dry_run:
        from dist_stilts.experiment.dry_run import describe

        details = partial(describe, config, recipe, overrides or [], ranks) if verbose else None
        rehearse(config, execute.needed(config, phase), ranks, details)
        return
    left = execute.pending(config, phase)
    execute.check_before_start(config, left, ranks)
    started = time.monotonic()
    if left:
        execute.make_world(config)
        names = ", ".join(run.name for run in left)
        say(f"{config.name}: {len(left)} runs to do on {ranks} ranks: {names}")
        execute.prepare_data(config, left)
        if code := launch(config, recipe, overrides or [], ranks, port, phase, hostfile):
            raise typer.Exit(code)
    command = shlex.join(["dist-stilts", *sys.argv[1:]])
    tables, files = execute.finish(config, command)
    show(tables)
    took = f"done in {time.monotonic() - started:.0f} s" if left else "nothing to do: every run is done"
    say("\n".join([took, *(f"{name} {file}" for name, file in zip(("table:", "page: "), files, strict=False))]))
    say(f"next:  {shlex.join(['tensorboard', '--logdir', str(folder_of(config).path)])}")
    others = [given for given in overrides or [] if not given.startswith(("name=", "seed="))]
    again = [f"name={config.name}-seed{config.seed + 1}", f"seed={config.seed + 1}"]
    say(f"       {shlex.join(['dist-stilts', 'run', recipe, *others, *again])}")


def slots_of(hostfile: Path, ranks: int | None) -> int:
    """The ranks of a job on the hosts of a file; UserError if it is wrong, or if ``--ranks`` says something else."""
    from dist_stilts.parallel.hostfile import read_hostfile
    from dist_stilts.preflight.environment_file import check_environment

    check_environment(os.environ, Path.home(), Path.cwd())
    slots = sum(host.slots for host in read_hostfile(hostfile))
    if ranks not in (None, slots):
        raise UserError(
            f"--ranks {ranks}, but the hosts take {slots}", where=hostfile, fix="Change the slots, or leave out --ranks"
        )
    return slots
