"""Laws 9 and 10: dead ranks, damaged checkpoints, a full disk, numbers that are none; through the verbs, on two ranks.

Each ends, or goes on, within a bounded time with one line that says why, and never with other weights.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from faults import RECIPE, SECONDS_TO_END, SECONDS_TO_FINISH, Job, Outcome, doing, outcome, weights
from plants import plant_nan, slow_evaluation

from dist_stilts.errors import EXIT_AGAIN, EXIT_FAILED, EXIT_INTERRUPTED
from dist_stilts.layout import RunFolder
from dist_stilts.writing import COMPLETE

pytestmark = pytest.mark.timeout(300)
slow = pytest.mark.slow
PHASE = "average"
Whole = Callable[[str], Outcome]


@pytest.fixture
def job(faults_out: Path) -> Iterator[Job]:
    job = Job(RECIPE, PHASE, faults_out)
    job.clear()
    yield job
    job.clear()


@pytest.fixture(scope="module")
def killed(faults_out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a run that was killed when it had two checkpoints."""
    job = Job(RECIPE, PHASE, faults_out)
    ranks = job.start()
    deadline = time.monotonic() + SECONDS_TO_END
    while len(job.checkpoints()) < 2:
        assert time.monotonic() < deadline, ranks.stderr()
        assert ranks.running, ranks.stderr()
        time.sleep(0.002)
    ranks.kill()
    copy = tmp_path_factory.mktemp("killed") / "run"
    shutil.copytree(job.run.path, copy)
    job.clear()
    return copy


def lines_with(words: str, text: str) -> list[str]:
    return [line for line in text.splitlines() if words in line.lower()]


# Checkpoints


def largest(checkpoint: Path) -> Path:
    return max((checkpoint / name for name in json.loads((checkpoint / COMPLETE).read_text())), key=size_of)


def size_of(path: Path) -> int:
    return path.stat().st_size


def truncate(checkpoint: Path) -> None:
    os.truncate(largest(checkpoint), size_of(largest(checkpoint)) // 2)


def flip(checkpoint: Path) -> None:
    content = bytearray(largest(checkpoint).read_bytes())
    content[len(content) // 2] ^= 1
    largest(checkpoint).write_bytes(content)


def lose(checkpoint: Path) -> None:
    largest(checkpoint).unlink()


@pytest.mark.allowed_seconds(20, "with the runs that others are compared with")
@pytest.mark.parametrize("damage", [flip, *(pytest.param(damage, marks=slow) for damage in (truncate, lose))])
def test_a_damaged_checkpoint_is_reported_and_the_one_before_used(
    damage: Callable[[Path], None], job: Job, killed: Path, whole: Whole
) -> None:
    shutil.copytree(killed, job.run.path)
    older, newest = job.checkpoints()[-2:]
    damage(job.run.checkpoint(newest))
    ranks = job.finish()
    assert ranks.codes == [0, 0], ranks.stderr()
    said = lines_with("damaged", ranks.stderr())
    assert len(said) == 1
    assert f"step-{newest:06d}" in said[0]
    assert job.resumptions() == [older]
    assert outcome(job).differences(whole(PHASE)) == []


@slow
def test_if_all_checkpoints_are_damaged_the_run_starts_afresh(job: Job, killed: Path, whole: Whole) -> None:
    shutil.copytree(killed, job.run.path)
    for step in job.checkpoints():
        flip(job.run.checkpoint(step))
    ranks = job.finish()
    assert ranks.codes == [0, 0], ranks.stderr()
    assert len(lines_with("damaged", ranks.stderr())) == 2
    assert max(job.resumptions(), default=0) == 0
    assert outcome(job).differences(whole(PHASE)) == []


# A full disk


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own at a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(folder)], capture_output=True)
    except OSError as error:
        pytest.skip(f"cannot mount a small disk: {error}")
    if made.returncode:
        pytest.skip(f"cannot mount a small disk: {made.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=30)


def fill(folder: Path, leave: int) -> Path:
    """Write a file that leaves so many bytes of the disk free."""
    disk = os.statvfs(folder)
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - leave)
    return ballast


@pytest.mark.parametrize("checkpoints", [1.5, *(pytest.param(room, marks=slow) for room in (0.4, 2.6))])
def test_a_full_disk_ends_the_run_with_one_line_and_the_run_goes_on_once_there_is_space(
    checkpoints: float, job: Job, killed: Path, whole: Whole
) -> None:
    """It is full in the first save, in the second, or in the third before the oldest checkpoint is gone."""
    newest = max((RunFolder(killed).checkpoints).iterdir())
    size = sum(size_of(path) for path in newest.rglob("*") if path.is_file())
    with small_disk(job.run.path):
        ballast = fill(job.run.path, int(checkpoints * size))
        ranks = job.finish(seconds=SECONDS_TO_END)
        assert ranks.codes == [EXIT_FAILED] * 2, ranks.stderr()
        assert len(lines_with("no space left", ranks.stderr())) == 1, ranks.stderr()
        assert "Traceback" not in ranks.stderr()
        assert len(job.checkpoints()) == int(checkpoints)
        ballast.unlink()

        kept = max(job.checkpoints(), default=0)
        again = job.finish()
        assert again.codes == [0, 0], again.stderr()
        assert lines_with("damaged", again.stderr()) == []
        assert max(job.resumptions(), default=0) == kept
        assert outcome(job).differences(whole(PHASE)) == []


# Numbers that are none


@slow
def test_a_step_whose_loss_is_not_finite_on_one_rank_is_left_out_on_all_and_counted(job: Job) -> None:
    ranks = job.finish(before=partial(plant_nan, rank=1, first=5, last=5))
    assert ranks.codes == [0, 0], ranks.stderr()
    steps = job.events("train")
    assert [event["step"] for event in steps if "loss" not in event] == [5]
    assert [event.get("skipped", 0) for event in steps] == [0] * 4 + [1] * (len(steps) - 4)
    assert job.status()["state"] == "done"


@slow
def test_a_loss_that_stays_not_finite_ends_all_ranks_and_leaves_the_last_checkpoint_as_it_was(
    job: Job, whole: Whole
) -> None:
    limited = Job(job.recipe, job.phase, job.out, ("train.max_skipped=2",))
    ranks = limited.finish(before=partial(plant_nan, rank=1, first=7, last=10**9), seconds=SECONDS_TO_END)
    assert ranks.codes == [EXIT_FAILED] * 2, ranks.stderr()
    assert len(lines_with("not finite", ranks.stderr())) == 1, ranks.stderr()
    assert "Traceback" not in ranks.stderr()
    assert max(job.checkpoints()) == 6  # the one of step 9 would have been next

    again = job.finish()
    assert again.codes == [0, 0], again.stderr()
    assert job.resumptions() == [6]
    assert weights(job) == whole(PHASE).weights


# Signals


@slow
@pytest.mark.parametrize("what", ["evaluation", "scoring"])
def test_ranks_that_are_asked_to_stop_do_not_finish_an_evaluation_first(
    what: str, faults_out: Path, whole: Whole
) -> None:
    """Each rank has several batches, of four seconds each."""
    no_dev = ("phases.average.tasks.xnli.dev=null", "train.steps=2")
    job = Job(RECIPE, PHASE, faults_out, ("evaluation.batch_size=4", *(no_dev if what == "scoring" else ())))
    job.clear()
    ranks = job.start(partial(slow_evaluation, 4.0))
    try:
        deadline = time.monotonic() + SECONDS_TO_END
        while doing(job, ranks) != what:
            assert time.monotonic() < deadline, ranks.stderr()
            assert ranks.running, ranks.stderr()
        asked = time.monotonic()
        ranks.send(signal.SIGTERM, [1])
        assert ranks.wait(SECONDS_TO_END) == [EXIT_AGAIN] * 2, ranks.stderr()
        assert time.monotonic() - asked < 10
    finally:
        ranks.kill()
    assert job.status()["state"] == "queued"
    assert job.events("dev") == []
    again = job.finish()
    assert again.codes == [0, 0], again.stderr()
    if what == "evaluation":
        assert outcome(job).differences(whole(PHASE)) == []
    job.clear()


# The run verb


@pytest.fixture
def verb(job: Job, start: Callable, kill: Callable) -> Iterator[subprocess.Popen[str]]:
    """``dist-stilts run`` that has trained for a step or more; all it started is killed at the end of the test."""
    process = start("run", str(job.recipe), "--phase", job.phase, f"out={job.out}")
    try:
        deadline = time.monotonic() + SECONDS_TO_FINISH
        while not job.events("train"):
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        yield process
    finally:
        kill(process.pid)


@pytest.mark.allowed_seconds(50, "a cold start: verb, launcher and two ranks")
@pytest.mark.parametrize("rank", [1, pytest.param(0, marks=slow)])
def test_a_rank_that_dies_under_the_run_verb_ends_everything_with_a_reason_and_the_run_goes_on(
    rank: int, verb: subprocess.Popen[str], job: Job, whole: Whole
) -> None:
    family = psutil.Process(verb.pid).children(recursive=True)
    (victim,) = [child for child in family if is_rank(child, rank)]
    victim.send_signal(signal.SIGKILL)
    _, said = verb.communicate(timeout=SECONDS_TO_END)
    assert verb.returncode != 0
    assert lines_with("error:", said), said
    assert running(family) == []
    again = job.finish()
    assert again.codes == [0, 0], again.stderr()
    assert outcome(job).differences(whole(PHASE)) == []


@slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, EXIT_AGAIN), (signal.SIGINT, EXIT_INTERRUPTED)])
def test_the_run_verb_that_is_asked_to_stop_passes_it_on_and_loses_nothing(
    number: int, code: int, verb: subprocess.Popen[str], job: Job
) -> None:
    family = psutil.Process(verb.pid).children(recursive=True)
    verb.send_signal(number)
    _, said = verb.communicate(timeout=SECONDS_TO_END)
    assert verb.returncode == code, said
    assert running(family) == []
    assert job.status()["state"] == "queued"
    assert max(job.checkpoints()) == job.events("train")[-1]["step"]
    assert not job.saving()
    if number == signal.SIGINT:
        (error,) = lines_with("error:", said)
        assert "asked to stop at step" in error
        assert "saved. The same command continues" in error
        assert "Traceback" not in said


def running(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def is_rank(process: psutil.Process, rank: int) -> bool:
    return "train" in process.cmdline() and process.environ().get("RANK") == str(rank)
