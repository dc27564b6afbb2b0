"""The verbs of a study: ``study plan``, ``run``, ``status``, ``report``; and ``study work``, which ``run`` starts."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.ranges import MOST
from dist_stilts.verbs.common import Json, Overrides, RecipeName, completed_by, load_recipe, say
from dist_stilts.verbs.rehearsal import DryRun, Verbose, check_verbose, rehearse

if TYPE_CHECKING:
    from dist_stilts.experiment.plan import Run
    from dist_stilts.experiment.run_config import Recipe
    from dist_stilts.study.progress import Standing
    from dist_stilts.study.slurm import Request

study = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Vary the size of the English data, the choice of rows and the seed of a recipe (its section `study`), and "
    "ask for whom gains diminish.\n\nStart with: `dist-stilts study plan quickstart_study`",
)
Ranks = Annotated[int | None, typer.Option(min=1, max=MOST, help="Processes per run; default: the recipe's, or 1.")]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1, max=MOST, help="Runs at the same time on this host; default: as many as its GPUs or cores allow."
    ),
]
SLURM, MOST_HOURS = "Slurm", 24 * 365
Slurm = Annotated[
    bool, typer.Option("--slurm", help="Let a job array of --workers tasks do it.", rich_help_panel=SLURM)
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the array, then write the report.", rich_help_panel=SLURM)]
Partition = Annotated[str | None, typer.Option(help="Where; default: the cluster's.", rich_help_panel=SLURM)]
Hours = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        max=MOST_HOURS,
        help="Time limit of a task, 24 by default; then it saves, queues again and goes on.",
        rich_help_panel=SLURM,
    ),
]
NoGpus = Annotated[bool, typer.Option("--no-gpus", help="Do not ask for a GPU per rank.", rich_help_panel=SLURM)]
SlurmOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--slurm-option",
        metavar="KEY=VALUE",
        help="Any other option of sbatch, such as account=NAME, cpus-per-task=8 or mem=64G; several times.",
        rich_help_panel=SLURM,
    ),
]


@study.command()
def plan(
    recipe: RecipeName, overrides: Overrides = None, ranks: Ranks = None, workers: Workers = None, as_json: Json = False
) -> None:
    """Print every run, where it starts, what is done, tokens and estimated hours; start nothing.

    Example: `dist-stilts study plan xstilts_large`
    """
    from dist_stilts.experiment.forecast import check_sizes, cost
    from dist_stilts.study.describe import plan_lines, plan_rows, totals
    from dist_stilts.study.design import study_runs
    from dist_stilts.study.progress import look

    config = load_recipe(recipe, overrides)
    ranks, workers = _places(config, ranks, workers)
    runs = study_runs(config)
    check_sizes(runs, config)
    standings, costs = look(runs, config), {run.name: cost(run, config, ranks) for run in runs}
    rows = plan_rows(runs, standings, costs)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    print(plan_lines(rows))
    print("\n".join(["", *totals(config, runs, standings, costs, ranks, workers)]))


@study.command()
def run(
    recipe: RecipeName,
    overrides: Overrides = None,
    ranks: Ranks = None,
    workers: Workers = None,
    slurm: Slurm = False,
    partition: Partition = None,
    hours: Hours = None,
    no_gpus: NoGpus = False,
    slurm_option: SlurmOptions = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    verbose: Verbose = False,
) -> None:
    """Do every run of a study that is not done, then write the report; again = go on, and try again what failed.

    Any number of these, on any hosts that share the folder, work side by side. With --slurm the data are prepared here
    and the runs are done by a job array; this then returns at once.

    Example: `dist-stilts study run quickstart_study --workers 2`
    """
    from dist_stilts.experiment import execute
    from dist_stilts.experiment.forecast import check_sizes
    from dist_stilts.experiment.plan import folder_of
    from dist_stilts.layout import StudyFolder
    from dist_stilts.study.design import study_runs
    from dist_stilts.study.progress import DONE, look, requeue
    from dist_stilts.study.slurm import Request, parse_options
    from dist_stilts.study.supervise import Supervisor, summary, workers_on
    from dist_stilts.writing import require_room

    config = load_recipe(recipe, overrides)
    of_slurm = {"--partition": partition, "--hours": hours, "--no-gpus": no_gpus, "--slurm-option": slurm_option}
    _check_slurm(slurm, workers, {**of_slurm, "--wait": wait})
    check_verbose(verbose, dry_run)
    options = parse_options(slurm_option or [])
    ranks, workers = _places(config, ranks, workers)
    runs = study_runs(config)
    if dry_run:
        rehearse(config, runs, ranks, partial(_every_run, runs, config, ranks) if verbose else None)
        return
    standings = look(runs, config)
    left = [run for run in runs if standings[run.name].state != DONE]
    left = _undamaged(left, standings)
    execute.check_before_start(config, left, ranks)
    require_room(StudyFolder(folder_of(config).path))
    code = 0
    if left:
        execute.make_world(config)
        check_sizes(left, config)
        execute.prepare_data(config, left)
        if again := requeue(runs, config):
            say(f"trying again: {', '.join(again)}")
        say(f"{config.name}: {len(left)} of {len(runs)} runs to do, {workers} at a time on {ranks} ranks each")
        arguments = [recipe, *(overrides or [])]
        if slurm:
            request = Request(min(workers, len(left)), ranks, not no_gpus, partition, hours or 24.0, options)
            code = _submit(runs, config, request, arguments, wait)
        else:
            code = Supervisor(runs, config, workers_on(workers, ranks), ["study", "work", *arguments]).run()
        if slurm and not wait:
            return
        say(summary(runs, look(runs, config)))
        if code not in (0, EXIT_FAILED):
            raise typer.Exit(code)
    else:
        say("nothing to do: every run is done")
    _report(config)
    raise typer.Exit(code)


@study.command(hidden=True)
def work(recipe: RecipeName, overrides: Overrides = None) -> None:
    """Do runs of a study as one worker, inside the process group of whichever launcher started this."""
    from dist_stilts.parallel import preemption
    from dist_stilts.parallel.world import started
    from dist_stilts.study.design import study_runs
    from dist_stilts.study.work import work as work_on

    config = load_recipe(recipe, overrides)
    prepare = shlex.join(["dist-stilts", "study", "run", recipe, *(overrides or [])])
    with completed_by(prepare), started() as world, preemption.listening():
        work_on(study_runs(config), config, world, prepare)


@study.command()
def status(recipe: RecipeName, overrides: Overrides = None, workers: Workers = None, as_json: Json = False) -> None:
    """Say how far a study is: what runs, what failed and why, time left.

    Example: `dist-stilts study status quickstart_study`
    """
    from dist_stilts.study.describe import status_lines
    from dist_stilts.study.design import study_runs
    from dist_stilts.study.progress import look

    config = load_recipe(recipe, overrides)
    runs = study_runs(config)
    standings = look(runs, config)
    if as_json:
        rows = {
            name: {**asdict(found.status), "state": found.state, "reason": found.reason or found.status.reason}
            for name, found in standings.items()
        }
        print(json.dumps(rows, indent=2))
    else:
        print(status_lines(runs, standings, _places(config, None, workers)[1]))


@study.command()
def report(recipe: RecipeName, overrides: Overrides = None) -> None:
    """Fit the curves, test the distances, and write the page and its tables, from whatever is done so far.

    Example: `dist-stilts study report quickstart_study`
    """
    _report(load_recipe(recipe, overrides))


def _undamaged(left: list[Run], standings: Mapping[str, Standing]) -> list[Run]:
    """The runs whose folders can be read; the others are named. UserError if there are only such."""
    damaged = [run for run in left if standings[run.name].damaged]
    if damaged and damaged == left:
        raise UserError(standings[damaged[0].name].reason)
    for run in damaged:
        say(f"warning: left out: {standings[run.name].reason}")
    return [run for run in left if run not in damaged]


def _check_slurm(slurm: bool, workers: int | None, others: dict[str, object]) -> None:
    """UserError for options of Slurm without it, and for Slurm where there is none or nothing says how much of it."""
    from dist_stilts.study.slurm import require_slurm

    if not slurm and (given := [name for name, value in others.items() if value]):
        raise UserError(f"{given[0]} is for --slurm", fix=f"Add --slurm, or leave {given[0]} out")
    if slurm and not workers:
        raise UserError("--slurm needs --workers", fix="Say how many tasks the job array shall have")
    if slurm:
        require_slurm()


def _submit(runs: list[Run], config: Recipe, request: Request, arguments: list[str], wait: bool) -> int:
    """Put the study into Slurm's queue, say how to look after it, and wait for it if asked to."""
    from dist_stilts.study import slurm

    work = ["study", "work", *arguments]
    tasks = slurm.submit(slurm.ArrayTask(runs, config, work, request.ranks, request.gpus), request)
    job = slurm.job_of(tasks)
    say(f"in Slurm's queue as job {job}: {len(tasks)} tasks of {request.hours:g} h")
    say("\n".join(slurm.where_to_look(tasks, config, shlex.join(arguments))))
    return slurm.wait(runs, config, request.workers, lambda: slurm.is_queued(job)) if wait else 0


def _every_run(runs: list[Run], config: Recipe, ranks: int) -> str:
    """The lines of every run, and the memory that the largest takes."""
    from dist_stilts.experiment.dry_run import describe_run
    from dist_stilts.experiment.estimate import describe_memory

    lines = [line for run in runs for line in describe_run(run, config, ranks)]
    return "\n".join([*lines, "", "# memory per GPU (estimate)", *describe_memory(config, runs, ranks)])


def _report(config: Recipe) -> None:
    from dist_stilts.study.report import write_report

    verdict, files = write_report(config, shlex.join(["dist-stilts", *sys.argv[1:]]))
    print("\n".join([verdict.headline, *(f"- {sentence}" for sentence in verdict.sentences)]))
    say(f"page: {files[0]}; tables beside it: {', '.join(file.name for file in files[1:])}")


def _places(config: Recipe, ranks: int | None, workers: int | None) -> tuple[int, int]:
    """Ranks per run, and runs at a time: as asked for, or as this host allows."""
    from dist_stilts.study.supervise import default_workers

    ranks = ranks or config.ranks or 1
    return ranks, workers or default_workers(ranks)
