from __future__ import annotations

from pathlib import Path

import pytest

from dist_stilts.experiment.plan import expand, folder_of
from dist_stilts.experiment.run_config import PhaseConfig, Recipe, TrainTask
from dist_stilts.experiment.states import forget_states, keep_state
from dist_stilts.writing import whole_folder


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    phase = PhaseConfig(tasks={"mnli": TrainTask()}, sizes=[10, 30], branch=0.2)
    return Recipe(out=str(tmp_path), phases={"a": phase, "b": PhaseConfig(start=["a"], tasks={"xnli": TrainTask()})})


def made(folder: Path, content: str = "") -> None:
    with whole_folder(folder) as temporary:
        (temporary / "content").write_text(content)


def states(recipe: Recipe) -> set[str]:
    return {run.name for run in expand(recipe) if folder_of(recipe).run(run.name).state.is_dir()}


def test_only_a_trunk_keeps_its_last_checkpoint(recipe: Recipe) -> None:
    for run in expand(recipe):
        folder = folder_of(recipe).run(run.name)
        for step in (9, 10):
            made(folder.checkpoint(step), str(step))
        (folder.checkpoints / ".step-000011.partial").mkdir()
        keep_state(run, folder)
        assert not folder.checkpoints.exists()
    assert states(recipe) == {"a-trunk-n10", "a-trunk-n30"}
    assert (folder_of(recipe).run("a-trunk-n10").state / "content").read_text() == "10"


def test_a_state_outlasts_another_start_and_gives_way_to_another_training(recipe: Recipe) -> None:
    run = expand(recipe)[0]
    folder = folder_of(recipe).run(run.name)
    for content in ("first", "second"):
        made(folder.checkpoint(4), content)
        keep_state(run, folder)
        keep_state(run, folder)
        assert (folder.state / "content").read_text() == content


def test_a_state_goes_when_every_run_that_needs_it_is_trained_and_the_last_one_stays(recipe: Recipe) -> None:
    def after(*trained: str) -> set[str]:
        for name in trained:
            made(folder_of(recipe).run(name).model)
        forget_states(expand(recipe), recipe)
        return states(recipe)

    for name in ("a-trunk-n10", "a-trunk-n30"):
        made(folder_of(recipe).run(name).state)
    assert after("a-trunk-n10", "a-n10") == {"a-trunk-n10", "a-trunk-n30"}
    assert after("a-trunk-n30") == {"a-trunk-n30"}
    assert after("a-n30", "b@a-n10", "b@a-n30") == {"a-trunk-n30"}
