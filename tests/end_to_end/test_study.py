"""A study's workers: side by side, killed, beside a run that fails; nothing is done twice, nothing is lost."""

from __future__ import annotations

import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from plants import plant_failing_run
from warm_ranks import Ranks

from dist_stilts.errors import EXIT_INTERRUPTED
from dist_stilts.experiment.execute import make_world
from dist_stilts.experiment.plan import folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.layout import StudyFolder
from dist_stilts.results import jsonl
from dist_stilts.results.lines import from_lines
from dist_stilts.study.design import study_runs
from dist_stilts.study.progress import BLOCKED, DONE, FAILED, look
from dist_stilts.verbs.common import load_recipe

pytestmark = pytest.mark.timeout(300)
STUDY = str(Path(__file__).with_name("study.yaml"))
SECONDS = 120.0


def study(out: Path, *changes: str) -> tuple[Recipe, list[str]]:
    """The study in a folder of its own, its data written; and how it is named on the command line."""
    overrides = [f"out={out}", *changes]
    recipe = load_recipe(STUDY, overrides)
    make_world(recipe)
    return recipe, [STUDY, *overrides]


def states(recipe: Recipe) -> dict[str, str]:
    return {name: standing.state for name, standing in look(study_runs(recipe), recipe).items()}


def wait_for(recipe: Recipe, done: int) -> None:
    """Until so many runs are done."""
    deadline = time.monotonic() + SECONDS
    while Counter(states(recipe).values())[DONE] < done:
        assert time.monotonic() < deadline, states(recipe)
        time.sleep(0.05)


def check_scored_once(recipe: Recipe) -> None:
    """No score of any run was taken twice."""
    for run in study_runs(recipe):
        if run.evaluate:
            path = folder_of(recipe).run(run.name).results
            found = Counter(repr(record.identity) for record in from_lines(jsonl.read(path), path))
            assert max(found.values()) == 1, run.name


def weights(recipe: Recipe) -> dict[str, bytes]:
    return {
        run.name: (folder_of(recipe).run(run.name).model / "model.safetensors").read_bytes()
        for run in study_runs(recipe)
    }


@pytest.mark.allowed_seconds(30, "four runs by several workers, and by one")
def test_workers_share_a_study_and_a_killed_one_loses_nothing(tmp_path: Path) -> None:
    small = ("study.sizes=[0,40]", "study.seeds=[0]")
    recipe, arguments = study(tmp_path / "runs", *small)
    first, second = (Ranks(["study", "work", *arguments], tmp_path / f"logs-{i}", size=1) for i in range(2))
    wait_for(recipe, done=1)
    second.kill()
    assert first.wait(SECONDS) == [0], first.stderr()
    assert set(states(recipe).values()) == {DONE}
    check_scored_once(recipe)
    before = {run.name: folder_of(recipe).run(run.name).status.stat().st_mtime_ns for run in study_runs(recipe)}
    again = Ranks(["study", "work", *arguments], tmp_path / "logs-2", size=1)
    assert again.wait(SECONDS) == [0]
    assert before == {run.name: folder_of(recipe).run(run.name).status.stat().st_mtime_ns for run in study_runs(recipe)}

    alone, arguments = study(tmp_path / "alone", *small)
    assert Ranks(["study", "work", *arguments], tmp_path / "logs-3", size=1).wait(SECONDS) == [0]
    assert weights(recipe) == weights(alone)


@pytest.mark.slow
def test_a_failed_run_stops_its_descendants_and_nothing_else_and_is_tried_again_when_asked(
    tmp_path: Path, start: Any
) -> None:
    recipe, arguments = study(tmp_path / "runs")
    broken = partial(plant_failing_run, "mnli-n40-s1")
    worker = Ranks(["study", "work", *arguments], tmp_path / "logs-0", size=1, before=broken)
    assert worker.wait(SECONDS) == [1]
    assert "planted" in worker.stderr()
    worker = Ranks(["study", "work", *arguments], tmp_path / "logs-1", size=1, before=broken)
    assert worker.wait(SECONDS) == [0], worker.stderr()
    found = states(recipe)
    assert [name for name, state in found.items() if state != DONE] == ["mnli-n40-s1", "xnli@mnli-n40-s1"]
    assert (found["mnli-n40-s1"], found["xnli@mnli-n40-s1"]) == (FAILED, BLOCKED)

    interrupted = start("study", "run", *arguments, "--workers", "2")
    deadline = time.monotonic() + SECONDS
    while look(study_runs(recipe), recipe)["mnli-n40-s1"].status.state != "running":
        assert time.monotonic() < deadline
        assert interrupted.poll() is None, interrupted.communicate()
        time.sleep(0.02)
    interrupted.send_signal(signal.SIGINT)
    _, said = interrupted.communicate(timeout=SECONDS)
    assert interrupted.returncode == EXIT_INTERRUPTED, said

    finished = start("study", "run", *arguments, "--workers", "2")
    out, said = finished.communicate(timeout=SECONDS)
    assert finished.returncode == 0, said
    assert set(states(recipe).values()) == {DONE}
    check_scored_once(recipe)
    folder = StudyFolder(folder_of(recipe).path)
    assert folder.page.is_file()
    assert out.strip()
