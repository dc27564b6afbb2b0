from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dist_stilts.experiment.plan import Run, folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.status import RunStatus, State, evaluation_id, read_status, write_status
from dist_stilts.once import hold
from dist_stilts.study.describe import status_lines
from dist_stilts.study.design import study_runs
from dist_stilts.study.progress import MOST_STARTS, Standing, counts, line, look, requeue, seconds_left
from dist_stilts.study.work import choose
from dist_stilts.writing import write_text

Recipes = Callable[..., Recipe]


@pytest.fixture
def small(recipe_of: Recipes) -> Recipe:
    return recipe_of(sizes=[0, 100])


def set_status(recipe: Recipe, name: str, state: str, **more: Any) -> Run:
    run = next(run for run in study_runs(recipe) if run.name == name)
    if state == "done":
        more |= {"run_id": run.id, "evaluated": evaluation_id(run, recipe.evaluation)}
    write_status(folder_of(recipe).run(name), RunStatus(State(state), **more))
    return run


def states(recipe: Recipe) -> dict[str, str]:
    return {name: standing.state for name, standing in look(study_runs(recipe), recipe).items()}


def test_at_first_only_what_has_no_parent_is_ready_then_the_children_of_what_is_done(small: Recipe) -> None:
    names = ["pretrain", "mnli-n100", "xnli-n200@pretrain", "xnli-n200@mnli-n100"]
    assert states(small) == dict(zip(names, ["ready", "waiting", "waiting", "waiting"], strict=True))
    set_status(small, "pretrain", "done")
    assert states(small) == dict(zip(names, ["done", "ready", "ready", "waiting"], strict=True))
    small.phases["pretrain"].train = {"steps": 7}
    assert states(small)["pretrain"] == "ready", "what is done there is a run of another recipe"


def test_a_run_is_running_while_its_lock_is_held_whatever_its_status_says_and_not_started_for_ever(
    small: Recipe,
) -> None:
    set_status(small, "pretrain", "running", starts=1)
    assert states(small)["pretrain"] == "ready"
    lock = hold(folder_of(small).run("pretrain").lock)
    assert states(small)["pretrain"] == "running"
    assert choose(look(study_runs(small), small)) == (None, False), "a worker waits for what may yet be ready"
    assert lock
    lock.release()
    assert choose(look(study_runs(small), small)) == ("pretrain", False)
    set_status(small, "pretrain", "running", starts=MOST_STARTS)
    assert states(small)["pretrain"] == "failed"
    assert choose(look(study_runs(small), small)) == (None, True), "and ends when nothing will be"


def test_a_failed_run_blocks_its_descendants_and_no_other_and_is_tried_again_when_asked(small: Recipe) -> None:
    set_status(small, "pretrain", "done")
    set_status(small, "mnli-n100", "failed", reason="the loss is not finite", starts=1)
    found = look(study_runs(small), small)
    assert [standing.state for standing in found.values()] == ["done", "failed", "ready", "blocked"]
    assert found["mnli-n100"].reason == "the loss is not finite"
    assert found["xnli-n200@mnli-n100"].reason == "mnli-n100 failed"
    assert requeue(study_runs(small), small) == ["mnli-n100"]
    assert states(small)["mnli-n100"] == "ready"
    assert read_status(folder_of(small).run("mnli-n100")).starts == 0


def test_the_time_left_is_that_of_runs_alike_shared_by_the_workers(small: Recipe) -> None:
    runs = study_runs(small)
    none: dict[str, Standing] = look(runs, small)
    assert seconds_left(runs, none, 1) is None
    set_status(small, "pretrain", "done", seconds=100.0)
    set_status(small, "xnli-n200@pretrain", "done", seconds=10.0)
    found = look(runs, small)
    # the other xnli run as long as its like, the intermediate one as long as the mean of all
    assert seconds_left(runs, found, 1) == pytest.approx(10 + 55)
    assert seconds_left(runs, found, 2) == pytest.approx((10 + 55) / 2)
    assert counts(found) == {"done": 2, "ready": 1, "waiting": 1}
    assert line(runs, found) == "2 of 4 done"
    begun = next(run.name for run in runs if run.phase == "mnli")
    set_status(small, begun, "queued", train_seconds=20.0)
    assert seconds_left(runs, look(runs, small), 1) == pytest.approx(10 + 35)


def test_what_was_done_is_not_read_again(small: Recipe) -> None:
    set_status(small, "pretrain", "done")
    runs = study_runs(small)
    earlier = look(runs, small)
    folder_of(small).run("pretrain").status.unlink()
    assert look(runs, small, earlier)["pretrain"].state == "done"
    assert look(runs, small)["pretrain"].state == "ready"


@pytest.mark.parametrize("file", ["status.json", "config.yaml", "model"])
def test_a_run_whose_folder_is_damaged_has_failed_is_named_and_stops_no_other(small: Recipe, file: str) -> None:
    set_status(small, "pretrain", "done")
    folder = folder_of(small).run("mnli-n100").path
    write_text(folder / file, "null")
    runs = study_runs(small)
    found = look(runs, small)
    assert [standing.state for standing in found.values()] == ["done", "failed", "ready", "blocked"]
    assert found["mnli-n100"].damaged
    assert f"failed  mnli-n100: {folder / file}: " in status_lines(runs, found, 1)
    assert choose(found) == ("xnli-n200@pretrain", False)
    assert requeue(runs, small) == [], "only people can mend it"
    (folder / file).unlink()
    assert states(small)["mnli-n100"] == "ready"
