from __future__ import annotations

import os
import pickle
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dist_stilts.errors import EXIT_AGAIN, EXIT_FAILED, UserError
from dist_stilts.experiment.plan import folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.status import RunStatus, State, evaluation_id, write_status
from dist_stilts.layout import StudyFolder
from dist_stilts.parallel.launchers import detect
from dist_stilts.study import slurm
from dist_stilts.study.design import study_runs
from dist_stilts.study.slurm import ArrayTask, Request, is_queued, job_of, parse_options, require_slurm, submit, wait
from dist_stilts.study.supervise import ALONE

Recipes = Callable[..., Recipe]
Program = Callable[[str, str], None]


@pytest.fixture
def small(recipe_of: Recipes) -> Recipe:
    return recipe_of(sizes=[0, 100])


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Put a shell script on the PATH, where there is nothing else of Slurm."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    monkeypatch.setattr(slurm.shutil, "which", lambda name: str(folder / name) if (folder / name).exists() else None)

    def program_(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o755)

    return program_


@pytest.fixture
def cluster(program: Program) -> None:
    """A Slurm that takes whatever it is given."""
    program("srun", "")
    program("sbatch", "echo Submitted batch job 7")


@pytest.fixture
def on_a_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What submitit and Slurm set for the second task of array 7; signals are as before afterwards."""
    values = {"SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1"}
    for name, value in {**values, "SLURM_PROCID": "0", "SLURM_CPUS_PER_TASK": "6", "OMP_NUM_THREADS": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("OMP_NUM_THREADS")
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def task_of(recipe: Recipe, ranks: int = 1, gpus: bool = False) -> ArrayTask:
    return ArrayTask(study_runs(recipe), recipe, ["study", "work", "recipe"], ranks, gpus)


def set_all(recipe: Recipe, state: str) -> None:
    for run in study_runs(recipe):
        done = {"run_id": run.id, "evaluated": evaluation_id(run, recipe.evaluation)} if state == "done" else {}
        write_status(folder_of(recipe).run(run.name), RunStatus(State(state), **done))


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the one worker of a task was given, and whether it was told to end; ``ends``: how it does."""
    seen: dict[str, Any] = {"ends": 0}

    def run() -> int:
        if isinstance(seen["ends"], UserError):
            raise seen["ends"]
        return int(seen["ends"])

    def make(runs: Any, recipe: Any, workers: Any, arguments: Any) -> Any:
        seen.update(workers=workers, arguments=arguments, threads=os.environ["OMP_NUM_THREADS"])
        return SimpleNamespace(run=run, end=lambda: seen.update(ended=True))

    monkeypatch.setattr(slurm, "Supervisor", make)
    return seen


def test_options_are_those_of_sbatch_with_or_without_a_value() -> None:
    given = ["account=nlp", "--cpus-per-task=8", "exclusive", "gres=gpu:a100:2", "comment=a=b"]
    wanted = {"account": "nlp", "cpus_per_task": "8", "exclusive": True, "gres": "gpu:a100:2", "comment": "a=b"}
    assert parse_options(given) == wanted


ILL_FORMED = ["", "=8", "mem=", "-p=debug", "mem 64G", "Mem=64G", "comment=a\ntouch pwned"]
DECIDED = [("time=10", "Use --hours"), ("array=0-3", "Use --workers"), ("partition=long", "Use --partition")]
DECIDED += [("open-mode=truncate", "Leave it out"), ("signal=USR1@60", "Leave it out")]


@pytest.mark.parametrize(
    ("option", "said"), [(each, f"--slurm-option {each}".strip().replace("\n", " ")) for each in ILL_FORMED] + DECIDED
)
def test_an_ill_formed_option_or_one_that_the_study_decides_is_one_clear_line(option: str, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        parse_options([option])


def test_without_slurm_one_line_says_so(program: Program) -> None:
    with pytest.raises(UserError, match="there is no Slurm here"):
        require_slurm()
    program("sbatch", "")
    program("srun", "")
    require_slurm()


@pytest.mark.usefixtures("cluster")
def test_the_script_asks_for_what_was_asked_for_and_options_win_over_defaults(small: Recipe) -> None:
    folder = StudyFolder(folder_of(small).path).slurm

    def script(*tasks: str) -> str:
        assert job_of(list(tasks)) == "7"
        return (folder / "7_submission.sh").read_text(encoding="utf-8")

    request = Request(3, 2, True, "long", 1.5, {"account": "nlp", "exclusive": True})
    tasks = submit(task_of(small, ranks=2, gpus=True), request)
    assert tasks == ["7_0", "7_1", "7_2"]
    assert set(re.findall(r"#SBATCH --(.*)", script(*tasks))) >= {
        *("array=0-2%3", "time=90", "partition=long", "nodes=1", "ntasks-per-node=1", "gpus-per-node=2"),
        *("cpus-per-task=8", "account=nlp", "exclusive", "requeue", "signal=USR2@120", "open-mode=append"),
    }
    before, after = script(*tasks).split("srun")
    assert "export PYTHONSAFEPATH=1" in before
    assert "--cpus-per-task=8" in after
    assert sorted(path.name for path in folder.glob("*submitted.pkl")) == [f"7_{i}_submitted.pkl" for i in range(3)]
    tasks = submit(task_of(small), Request(1, 1, gpus=False, options={"cpus_per_task": "2", "job_name": "mine"}))
    assert tasks == ["7"]
    assert (script(*tasks).count("--cpus-per-task=2"), script(*tasks).count("--job-name=mine")) == (2, 1)
    assert not re.search("gpu|partition", script(*tasks))


def test_what_sbatch_refuses_is_one_line_in_its_words_and_leaves_nothing(
    small: Recipe, program: Program, capfd: pytest.CaptureFixture[str]
) -> None:
    program("srun", "")
    program("sbatch", "echo 'sbatch: error: invalid partition: x\nsbatch: error: submission failed' >&2; exit 1")
    with pytest.raises(UserError) as refused:
        submit(task_of(small), Request(2, 1, partition="x"))
    assert str(refused.value) == "sbatch: invalid partition: x; submission failed"
    assert not list(StudyFolder(folder_of(small).path).slurm.iterdir())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("script", "queued"),
    [
        ("echo 7_0 debug study; echo 7_1 debug study", True),
        ("true", False),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", False),
        ("echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1", True),
    ],
)
def test_a_job_is_in_the_queue_until_slurm_has_forgotten_it(script: str, queued: bool, program: Program) -> None:
    program("squeue", script)
    assert is_queued("7") is queued


@pytest.mark.usefixtures("on_a_node")
def test_a_task_is_one_worker_named_after_it_and_goes_back_when_time_is_up(
    small: Recipe, worker: dict[str, Any]
) -> None:
    task = task_of(small, ranks=2)
    task()
    assert [(one.name, one.ranks) for one in worker["workers"]] == [("7_1", 2)]
    assert (worker["arguments"], worker["threads"]) == (["study", "work", "recipe"], "3")
    again = pickle.loads(pickle.dumps(task.checkpoint()))
    assert worker["ended"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    assert again.function == task_of(small, ranks=2)


@pytest.mark.usefixtures("on_a_node")
def test_a_task_ends_as_its_worker_does_or_for_want_of_gpus_and_without_a_traceback(
    small: Recipe, worker: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for ends, code in ((EXIT_FAILED, EXIT_FAILED), (UserError("interrupted", code=EXIT_AGAIN), EXIT_AGAIN)):
        worker["ends"] = ends
        with pytest.raises(SystemExit) as ended:
            task_of(small)()
        assert ended.value.code == code
    monkeypatch.setattr(slurm, "gpus", list)
    with pytest.raises(SystemExit):
        task_of(small, gpus=True)()
    assert "no GPU on this node" in capsys.readouterr().err


def test_a_worker_of_one_rank_is_none_of_the_tasks_around_it() -> None:
    around = {"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "RANK": "3", "WORLD_SIZE": "4", "MASTER_PORT": "29500"}
    found = detect(around | ALONE)
    assert (found.rank, found.world_size, found.local_rank, found.master_addr) == (0, 1, 0, "127.0.0.1")
    assert found.master_port != 29500


def test_waiting_ends_with_the_study_or_with_the_queue(small: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "SECONDS_BETWEEN_LOOKS", 0.0)
    answers = iter([True, True, False])
    assert wait(study_runs(small), small, 2, lambda: next(answers)) == EXIT_AGAIN, "work is left"
    assert next(answers, None) is None
    for state, code in (("done", 0), ("failed", EXIT_FAILED)):
        assert wait(study_runs(small), small, 2, lambda state=state: set_all(small, state) or False) == code
        assert wait(study_runs(small), small, 2, lambda: True) == code, "it was done before the queue was empty"
