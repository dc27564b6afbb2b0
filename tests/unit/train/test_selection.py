from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dist_stilts.train import selection as module
from dist_stilts.train.checkpoint import TrainState
from dist_stilts.train.plan import BatchPlan, TrainConfig
from dist_stilts.train.selection import DevScore, Selection

PLAN = BatchPlan(steps=10, warmup_steps=0, batch_size=8, ranks=1, micro_tokens=1000)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An engine that is one weight; a test sets it."""
    engine = SimpleNamespace(weight=torch.zeros(1))
    monkeypatch.setattr(module, "owned_state", lambda e: SimpleNamespace(partitions={"weights": [e.weight]}))
    return engine


def trained(engine: Any, chooser: Selection, scores: dict[int, float]) -> TrainState:
    """Ten steps whose weight is the step's number, scored where ``scores`` says."""
    state = TrainState()
    for step in range(11):
        state.step = step
        engine.weight.fill_(step)
        if step:
            chooser.after_step(engine, state)
        if step in scores:
            chooser.after_score(engine, state, DevScore(scores[step], {"t": f"step {step}"}))
        if state.stopped:
            break
    return state


def exported(engine: Any, chooser: Selection) -> float:
    return float(chooser.weights(engine)[0])


def test_the_last_weights_are_exported_by_default(engine: Any) -> None:
    chooser = Selection(TrainConfig(), PLAN)
    state = trained(engine, chooser, {5: 90.0, 10: 10.0})
    assert exported(engine, chooser) == 10
    assert chooser.chosen == []
    assert state.collapsed == {"t": "step 10"}


def test_the_best_on_dev_are_exported_and_ties_go_to_the_first(engine: Any) -> None:
    chooser = Selection(TrainConfig(select="best"), PLAN)
    state = trained(engine, chooser, {0: 99.0, 2: 50.0, 4: 70.0, 6: 70.0, 8: 60.0})  # not before the first step
    assert exported(engine, chooser) == 4
    assert (state.best, state.best_step, state.worse) == (70.0, 4, 2)
    assert state.collapsed == {"t": "step 4"}
    assert "step 4" in chooser.line(state)
    engine.weight.fill_(77)
    assert exported(engine, chooser) == 4, "what was chosen does not change with the engine"


@pytest.mark.parametrize(("points", "mean"), [(1, 10.0), (2, 7.5), (5, 6.0), (10, 5.5), (1000, 5.5)])
def test_the_average_is_over_evenly_spaced_steps_the_last_included(engine: Any, points: int, mean: float) -> None:
    chooser = Selection(TrainConfig(select="average", averaged=points), PLAN)
    trained(engine, chooser, {})
    assert exported(engine, chooser) == pytest.approx(mean)


def test_an_average_goes_on_from_what_a_checkpoint_kept(engine: Any) -> None:
    config = TrainConfig(select="average", averaged=5)
    first, state = Selection(config, PLAN), TrainState()
    for step in range(1, 11):
        state.step = step
        engine.weight.fill_(step)
        first.after_step(engine, state)
        if step == 5:
            kept = [tensor.clone() for tensor in first.chosen]
            second, later = Selection(config, PLAN, kept), TrainState(averaged=state.averaged)
        if step > 5:
            later.step = step
            second.after_step(engine, later)
    assert torch.equal(first.chosen[0], second.chosen[0])
    assert later.averaged == 5


def test_patience_counts_scores_in_a_row_that_are_no_better_and_without_it_or_dev_nothing_stops(engine: Any) -> None:
    state = trained(engine, Selection(TrainConfig(patience=2), PLAN), {1: 5.0, 2: 4.0, 3: 6.0, 4: 6.0, 5: 5.0, 6: 9.0})
    assert (state.stopped, state.step) == (True, 5)
    assert not trained(engine, Selection(TrainConfig(), PLAN), dict.fromkeys(range(11), 1.0)).stopped
    state = TrainState(step=1)
    Selection(TrainConfig(patience=1), PLAN).after_score(engine, state, DevScore(None))
    assert state == TrainState(step=1)
