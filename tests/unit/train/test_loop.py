"""The order in which the loop does things, with an engine that only counts."""

from __future__ import annotations

import signal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from dist_stilts.data.mixture import Mixture
from dist_stilts.errors import EXIT_AGAIN, EXIT_FAILED, UserError
from dist_stilts.parallel import preemption
from dist_stilts.parallel.preemption import Preempted
from dist_stilts.parallel.world import World
from dist_stilts.train.checkpoint import TrainState
from dist_stilts.train.loop import Meter, Work, seed_dropout, train
from dist_stilts.train.plan import BatchPlan, TrainConfig
from dist_stilts.train.selection import DevScore

ALONE = World(0, 1, 0, torch.device("cpu"))


class Engine:
    """Takes steps; ``bad`` ones are left out, and after that of ``ends`` a signal asks the program to stop."""

    def __init__(self, bad: tuple[int, ...] = (), ends: int | None = None) -> None:
        self.steps, self.skipped_steps, self.bad, self.ends = 0, 0, bad, ends
        self.optimizer = SimpleNamespace(param_groups=[{}])

    def __call__(self, head: str, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.tensor(2.0)

    def train(self) -> None: ...

    def set_gradient_accumulation_boundary(self, is_boundary: bool) -> None: ...

    def backward(self, loss: torch.Tensor) -> None: ...

    def step(self) -> None:
        self.steps += 1
        self.skipped_steps += self.steps in self.bad
        if self.steps == self.ends:
            signal.raise_signal(signal.SIGTERM)

    def zero_optimization_stage(self) -> int:
        return 2

    def fp16_enabled(self) -> bool:
        return False

    def zero_cpu_offload(self) -> bool:
        return False

    def get_global_grad_norm(self) -> float:
        return 1.0


class Hooks:
    """Writes down what is called; ``stop_in_score`` is asked to stop during that dev score, once."""

    def __init__(self, stop_in_score: int | None = None) -> None:
        self.seen: list[tuple[str, int]] = []
        self.values: list[dict[str, float]] = []
        self.stop_in_score = stop_in_score

    def log(self, state: TrainState, values: dict[str, float]) -> None:
        self.seen.append(("log", state.step))
        self.values.append(values)

    def save(self, state: TrainState) -> None:
        self.seen.append(("save", state.step))

    def score_dev(self, state: TrainState) -> DevScore:
        self.seen.append(("score", state.step))
        if state.step == self.stop_in_score:
            raise Preempted
        return DevScore(1.0)


class Patient:
    """A selection that ends the phase at one step's score."""

    def __init__(self, end: int | None = None) -> None:
        self.end = end

    def after_step(self, engine: Any, state: TrainState) -> None: ...

    def after_score(self, engine: Any, state: TrainState, score: DevScore) -> None:
        state.stopped = state.step == self.end


def work(steps: int = 6, **changes: Any) -> Work:
    batch = SimpleNamespace(micro_batches=[{}], targets=2, tokens=10, slots=20)
    stream: Any = SimpleNamespace(task="xnli", step=lambda turn, rank, ranks: batch)
    mixture = Mixture(np.zeros(steps, np.int64), np.arange(steps))
    settings = {"log_every": 2, "save_every": 3, "evaluate_every": 3, **changes}
    plan = BatchPlan(steps, 0, 2, 1, 1000)
    return Work([stream], ["head"], mixture, plan, TrainConfig(**settings))


def run(hooks: Hooks, state: TrainState | None = None, **changes: Any) -> TrainState:
    engine, end = changes.pop("engine", Engine()), changes.pop("end", None)
    selection: Any = Patient(end)
    return train(engine, work(**changes), state or TrainState(), selection, ALONE, hooks)


@pytest.mark.parametrize(
    ("start", "end", "seen"),
    [
        (0, None, "score 0, log 2, save 3, score 3, log 4, log 6, save 6, score 6"),
        (3, None, "score 3, log 4, log 6, save 6, score 6"),
        (6, None, "score 6"),
        (0, 3, "score 0, log 2, save 3, score 3"),  # early stopping
    ],
)
def test_dev_is_scored_first_and_last_and_saves_come_before_the_score_of_the_step(
    start: int, end: int | None, seen: str
) -> None:
    hooks = Hooks()
    assert run(hooks, TrainState(step=start), end=end).step == (end or 6)
    assert ", ".join(f"{what} {step}" for what, step in hooks.seen) == seen


def test_a_signal_ends_the_loop_with_a_checkpoint_after_the_step_or_of_the_step_that_was_being_scored() -> None:
    hooks = Hooks()
    with preemption.listening(), pytest.raises(Preempted, match="asked to stop at step 4; saved") as caught:
        run(hooks, engine=Engine(ends=4))
    assert caught.value.code == EXIT_AGAIN
    assert hooks.seen[-1] == ("save", 4)
    hooks = Hooks(stop_in_score=3)
    with pytest.raises(Preempted):
        run(hooks)
    assert hooks.seen[-2:] == [("score", 3), ("save", 3)], "the next start scores it again"


def test_steps_left_out_are_counted_not_logged_as_losses_and_end_the_run_above_the_limit_before_it_is_saved() -> None:
    hooks = Hooks()
    state = run(hooks, engine=Engine(bad=(3, 4)))
    assert (state.step, state.skipped) == (6, 2)
    assert ["loss" in values for values in hooks.values] == [True, False, True]
    assert [values.get("skipped") for values in hooks.values] == [None, 2.0, 2.0]
    hooks = Hooks()
    with pytest.raises(UserError, match="not finite at step 3"):
        run(hooks, engine=Engine(bad=(3,)), max_skipped=0)
    assert ("save", 3) not in hooks.seen


@pytest.mark.parametrize(
    ("bad", "end", "last"), [((6,), None, 1), ((4, 5, 6), None, 3), ((2, 3), 3, 2), ((1, 5), None, 0), ((5,), 3, 0)]
)
def test_a_training_whose_last_steps_were_left_out_fails_before_it_is_saved(
    bad: tuple[int, ...], end: int | None, last: int
) -> None:
    hooks = Hooks()
    if not last:
        assert run(hooks, engine=Engine(bad=bad), end=end).step == (end or 6)
        return
    left = f"{last} steps were" if last > 1 else "step was"
    with pytest.raises(UserError, match=f"not finite at step {end or 6}, .* the last {left} left out") as caught:
        run(hooks, engine=Engine(bad=bad), end=end)
    assert caught.value.code == EXIT_FAILED
    assert ("save", 6) not in hooks.seen


def test_steps_by_which_fp16_finds_its_scale_do_not_count_as_a_bad_end() -> None:
    engine = Engine(bad=(6,))
    engine.fp16_enabled = lambda: True  # type: ignore[method-assign]
    assert run(Hooks(), engine=engine).step == 6


def test_metrics_are_of_real_tokens_and_the_mean_loss_of_each_task() -> None:
    hooks = Hooks()
    state = run(hooks)
    assert (hooks.values[0]["loss"], hooks.values[0]["padding"]) == (1.0, 0.5)
    assert (state.tokens, state.slots, state.losses) == (60, 120, {"xnli": 1.0})
    meter = Meter(losses={"a": [1.0, 3.0], "b": [5.0]}, tokens=1, slots=2, seconds=1)
    losses = {key: value for key, value in meter.values(0.1, 1.0).items() if key.startswith("loss")}
    assert losses == {"loss": 3.0, "loss/a": 2.0, "loss/b": 5.0}


def test_the_smoothed_loss_follows_the_last_tenth_of_the_steps() -> None:
    state = TrainState(losses={"xnli": 101.0})
    run(Hooks(), state, steps=100)
    assert state.losses["xnli"] == pytest.approx(1 + 100 * 0.9**100)


def test_dropout_is_a_function_of_seed_step_and_rank() -> None:
    def draw(*place: int) -> float:
        seed_dropout(*place)
        return float(torch.rand(1))

    assert draw(1, 2, 3) == draw(1, 2, 3)
    assert len({draw(*place) for place in [(1, 2, 3), (1, 2, 4), (1, 3, 3), (2, 2, 3), (3, 2, 1)]}) == 5
