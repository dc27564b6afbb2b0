"""A study in a job array: interrupted in the middle, back in the queue, finished; nothing is done twice.

Once by submitit's tasks on this host, and, where there is a Slurm, once in its queue.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dist_stilts.errors import EXIT_AGAIN
from dist_stilts.experiment.execute import make_world, prepare_data
from dist_stilts.experiment.plan import folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.status import RunStatus, State, read_status
from dist_stilts.layout import StudyFolder
from dist_stilts.study.design import study_runs
from dist_stilts.study.progress import DONE, look
from dist_stilts.study.slurm import ArrayTask, Request, submit
from dist_stilts.verbs.common import load_recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2000)]
STUDY = str(Path(__file__).with_name("study.yaml"))
STEPS = 300
SECONDS = 800.0  # an array starts eight programs, and the machine may be busy


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The study, small, but with a pretraining that is long enough to be interrupted."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    changes = [
        "study.sizes=[0,40]",
        "study.seeds=[0]",
        "study.languages=[en,qaa]",
        f"phases.pretrain.train.steps={STEPS}",
    ]
    return [STUDY, f"out={tmp_path / 'runs'}", *changes]


def wait_for(true: Callable[[], object], recipe: Recipe) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, look(study_runs(recipe), recipe)
        time.sleep(0.05)


def status(recipe: Recipe) -> RunStatus:
    return read_status(folder_of(recipe).run("pretrain"))


def is_done(recipe: Recipe) -> bool:
    return {standing.state for standing in look(study_runs(recipe), recipe).values()} == {DONE}


def check_each_step_was_done_once(recipe: Recipe) -> None:
    lines = folder_of(recipe).run("pretrain").metrics.read_text(encoding="utf-8").splitlines()
    steps = [entry["step"] for entry in map(json.loads, lines) if entry["event"] == "train"]
    assert steps == sorted(set(steps))
    assert steps[-1] == STEPS


@pytest.fixture
def local_array(arguments: list[str]) -> Iterator[tuple[Recipe, list[psutil.Process]]]:
    """A study that two tasks on this host work on."""
    recipe = load_recipe(STUDY, arguments[1:])
    make_world(recipe)
    runs = study_runs(recipe)
    prepare_data(recipe, runs)
    task = ArrayTask(runs, recipe, ["study", "work", *arguments], ranks=1, gpus=False)
    controllers = [psutil.Process(int(name)) for name in submit(task, Request(2, 1, gpus=False), cluster="local")]
    yield recipe, controllers
    for process in [child for each in controllers if each.is_running() for child in each.children(recursive=True)]:
        process.kill()
    psutil.wait_procs(controllers, timeout=10)


def test_tasks_whose_time_is_up_save_go_on_and_finish(local_array: tuple[Recipe, list[psutil.Process]]) -> None:
    recipe, controllers = local_array
    wait_for(lambda: status(recipe).step > 20, recipe)
    for controller in controllers:
        os.kill(controller.children()[0].pid, signal.SIGUSR2)
    wait_for(lambda: status(recipe).state == State.QUEUED, recipe)
    assert status(recipe).code == EXIT_AGAIN
    wait_for(lambda: is_done(recipe), recipe)
    assert not psutil.wait_procs(controllers, timeout=60)[1]
    check_each_step_was_done_once(recipe)
    said = [path.read_text(encoding="utf-8") for path in StudyFolder(folder_of(recipe).path).slurm.glob("*_log.out")]
    assert len(said) == 2
    assert all("Requeued job" in text and "Traceback" not in text for text in said)


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def cluster() -> None:
    if not shutil.which("sbatch"):
        pytest.skip("no Slurm here: no sbatch")
    if subprocess.run(["sinfo", "--noheader"], capture_output=True, check=False).returncode:
        pytest.skip("no Slurm here: sinfo gets no answer")


@pytest.mark.usefixtures("cluster")
def test_an_array_in_slurms_queue_saves_is_requeued_and_finishes(cli: Any, arguments: list[str]) -> None:
    started = cli(
        "study", "run", *arguments, "--slurm", "--workers", "2", "--no-gpus", "--slurm-option", "cpus-per-task=1"
    )
    assert started.returncode == 0, started.stderr
    job = started.stderr.split("as job ")[1].split(":")[0]
    recipe = load_recipe(STUDY, arguments[1:])
    try:
        wait_for(lambda: status(recipe).step > 20, recipe)
        slurm("scancel", "--signal=USR2", job)
        wait_for(lambda: status(recipe).state == State.QUEUED, recipe)
        wait_for(lambda: slurm("squeue", "--noheader", "--jobs", job, "--format=%t").split() == ["PD"] * 2, recipe)
        for task in range(2):  # else Slurm waits for two minutes
            slurm("scontrol", "update", f"JobId={job}_{task}", "StartTime=now")
        wait_for(lambda: is_done(recipe), recipe)
        wait_for(lambda: not slurm("squeue", "--noheader", "--jobs", job), recipe)
    finally:
        slurm("scancel", job)
    check_each_step_was_done_once(recipe)
