"""Hand a study to Slurm: a job array, each task of which is one worker that supervises its own ranks on its node.

A task does what ``study run`` does with one worker, so a failed run is left alone and new ranks take up the next one.
Before its time is up Slurm sends it SIGUSR2: the ranks save within a step, and submitit puts the task back into the
queue, from where it goes on. SIGTERM (``scancel``, preemption) makes them save too, and is the end of the task.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dist_stilts.errors import EXIT_AGAIN, EXIT_FAILED, UserError
from dist_stilts.experiment.launch import gpus
from dist_stilts.experiment.plan import Run, folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.layout import StudyFolder
from dist_stilts.parallel.master import number
from dist_stilts.report.progress import Progress, say
from dist_stilts.study.progress import DONE, FAILED, READY, RUNNING
from dist_stilts.study.supervise import Supervisor, Worker, workers_on

if TYPE_CHECKING:
    from submitit.core.utils import DelayedSubmission

SIGNAL_SECONDS = 120
"""So long before a task's time is up is it told: enough to save and to ask for the queue."""
MOST_REQUEUES = 100
CPUS_PER_RANK = 4
"""Unless ``cpus-per-task`` is among the options."""
SECONDS_BETWEEN_LOOKS = 10.0
DECIDED = {
    "array": "--workers",
    "time": "--hours",
    "partition": "--partition",
    **dict.fromkeys(("signal", "requeue", "output", "error", "open_mode", "nodes", "ntasks", "ntasks_per_node"), ""),
}
"""What is no free option of sbatch here, and how it is said instead, if it is."""


@dataclass(frozen=True)
class Request:
    """What Slurm is asked for.

    Attributes:
        workers: tasks of the array.
        ranks: processes of each.
        gpus: whether each rank gets a GPU.
        hours: of each task before it goes back into the queue.
        options: of sbatch, in its words with ``_`` for ``-``; True for those without a value.
    """

    workers: int
    ranks: int
    gpus: bool = True
    partition: str | None = None
    hours: float = 24.0
    options: Mapping[str, str | bool] = field(default_factory=dict)


@dataclass
class ArrayTask:
    """What one task of the array does; submitit carries it to the node.

    Attributes:
        arguments: of ``dist-stilts``, by which a worker is started.
        gpus: whether there have to be some.
    """

    runs: Sequence[Run]
    recipe: Recipe
    arguments: Sequence[str]
    ranks: int
    gpus: bool
    supervisor: Supervisor | None = field(default=None, init=False)

    def __call__(self) -> None:
        """Work until nothing is left that could be done.

        Raises:
            SystemExit: with the exit codes of ``study run``, which Slurm then shows as those of the task.
        """
        import submitit

        cores = number(os.environ.get(name := "SLURM_CPUS_PER_TASK", "0"), name) or os.cpu_count() or 1
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // self.ranks)))
        try:
            if self.gpus and not gpus():
                raise UserError("there is no GPU on this node", fix="Ask for none with --no-gpus, or see the partition")
            worker = replace(workers_on(1, self.ranks)[0], name=submitit.JobEnvironment().job_id)
            self.supervisor = Supervisor(self.runs, self.recipe, [worker], self.arguments)
            code = self.supervisor.run()
        except UserError as error:
            say(f"error: {error}")
            code = error.code
        if code:
            raise SystemExit(code)

    def checkpoint(self) -> DelayedSubmission:
        """Let the ranks save and end; submitit calls this when time is up, and requeues what is returned."""
        from submitit.helpers import DelayedSubmission

        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Slurm sends it to whatever is requeued
        if self.supervisor:
            self.supervisor.end()
        return DelayedSubmission(replace(self))


def require_slurm() -> None:
    """Find out that there is no Slurm before anything is prepared.

    Raises:
        UserError: no Slurm, or no submitit.
    """
    if not (shutil.which("sbatch") and shutil.which("srun")):
        raise UserError("there is no Slurm here: no sbatch, no srun", fix="Log in to a cluster, or leave --slurm out")
    try:
        import submitit  # noqa: F401
    except ImportError:
        raise UserError("--slurm needs submitit", fix="pip install submitit") from None


def parse_options(given: Sequence[str]) -> dict[str, str | bool]:
    """Options of sbatch, ``KEY=VALUE`` or ``KEY`` alone; whether sbatch knows them is for sbatch to say.

    Raises:
        UserError: ill-formed; decided here, not there.
    """
    options: dict[str, str | bool] = {}
    for option in given:
        name, equals, value = option.removeprefix("--").partition("=")
        key = name.replace("-", "_")
        if not re.fullmatch(r"[a-z]\w+", key) or (equals and not value) or "\n" in value:
            raise UserError(f"--slurm-option {option} is not KEY=VALUE", fix="As for sbatch: account=NAME, exclusive")
        if key in DECIDED:
            instead = f"Use {DECIDED[key]}" if DECIDED[key] else "Leave it out"
            raise UserError(f"--slurm-option {name}: is decided by the study", fix=instead)
        options[key] = value if equals else True
    return options


def submit(task: ArrayTask, request: Request, cluster: str = "slurm") -> list[str]:
    """Put an array of such tasks into the queue.

    Args:
        cluster: in submitit's words; ``local`` runs the tasks on this host, at once.

    Returns:
        The tasks' ids.

    Raises:
        UserError: sbatch refuses, in its own words.
    """
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    folder = StudyFolder(folder_of(task.recipe).path).slurm
    if "\n" in f"{folder}{request.partition}":  # a line of its own in the script would be a command
        raise UserError("Slurm takes no name of several lines", where=folder, fix="Correct out=… or --partition")
    executor = submitit.AutoExecutor(folder, cluster=cluster, **{f"{cluster}_max_num_timeout": MOST_REQUEUES})
    cpus = request.options.get("cpus_per_task", str(CPUS_PER_RANK * request.ranks))
    executor.update_parameters(
        name=task.recipe.name,
        nodes=1,
        tasks_per_node=1,
        timeout_min=round(request.hours * 60),
        stderr_to_stdout=True,
        slurm_gpus_per_node=request.ranks if request.gpus else None,
        slurm_partition=request.partition,
        slurm_array_parallelism=request.workers,
        slurm_signal_delay_s=SIGNAL_SECONDS,
        slurm_additional_parameters={"cpus_per_task": cpus, "requeue": True, **request.options},
        slurm_setup=["export PYTHONSAFEPATH=1"],  # nothing is imported from the folder where sbatch was called
        # From 22.05 on, srun takes one core whatever sbatch was given, unless it is told itself.
        slurm_srun_args=[f"--cpus-per-task={cpus}"],
    )
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    try:
        with redirect_stderr(io.StringIO()):  # submitit prints what the error says
            jobs = executor.submit_array([replace(task) for _ in range(request.workers)])
    except (FailedJobError, FailedSubmissionError) as error:
        for file in set(folder.iterdir()) - before:
            file.unlink()
        lines = [line.removeprefix("sbatch: ").removeprefix("error: ") for line in str(error).splitlines()]
        raise UserError(f"sbatch: {'; '.join(lines)}") from None
    return [job.job_id for job in jobs]


def job_of(tasks: Sequence[str]) -> str:
    """The id of the array, by which all of its tasks are known to Slurm."""
    return tasks[0].partition("_")[0]


def is_queued(job: str) -> bool:
    """Whether any task of a job waits or runs; a Slurm that does not answer has not forgotten it."""
    command = ["squeue", "--noheader", "--jobs", job]
    asked = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    return bool(asked.stdout.strip()) if asked.returncode == 0 else "Invalid job id" not in asked.stderr


def wait(runs: Sequence[Run], recipe: Recipe, workers: int, still_queued: Callable[[], bool]) -> int:
    """Tell how far a study is that others work on, until it is over or nobody does any more.

    Returns:
        0; 1 if a run failed; 75 if there is work left.
    """
    others = Supervisor(runs, recipe, [Worker(str(number), 1, ()) for number in range(workers)], ())
    others.said = {name for name, standing in others.look().items() if standing.state == DONE}
    states: set[str] = set()
    with Progress("study", len(runs), len(others.said)) as bar:
        while True:
            in_queue = RUNNING in states or still_queued()  # before the look, which then misses nothing they did
            standings = others.look()
            others.tell(standings, bar)
            states = {standing.state for standing in standings.values()}
            if not states & {READY, RUNNING}:
                return EXIT_FAILED if FAILED in states else 0
            if not in_queue:
                return EXIT_AGAIN
            time.sleep(SECONDS_BETWEEN_LOOKS)


def where_to_look(tasks: Sequence[str], recipe: Recipe, arguments: str) -> list[str]:
    """What can be done while the tasks are in the queue, a line each.

    Args:
        tasks: their ids.
        arguments: the recipe and its changes, as on the command line.
    """
    folder, job = StudyFolder(folder_of(recipe).path), job_of(tasks)
    log = folder.log(f"{job}_*" if len(tasks) > 1 else job)
    return [
        f"  dist-stilts study status {arguments}",
        f"  {log}: what the ranks say; {folder.slurm}: scripts, and what the tasks say",
        f"  scancel {job}: all save and end; the same command goes on",
        f"  dist-stilts study report {arguments}: the page, from whatever is done",
    ]
