"""The training loop: one loop for every task family, read from top to bottom in the order it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dist_stilts.data.batches import Stream, to_device
from dist_stilts.data.mixture import Mixture
from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.parallel.collectives import sum_values
from dist_stilts.parallel.world import World
from dist_stilts.train.checkpoint import TrainState
from dist_stilts.train.engine import gradient_norm, set_learning_rate
from dist_stilts.train.plan import BatchPlan, TrainConfig, learning_rate


@dataclass(frozen=True)
class Work:
    """What a phase trains on and how.

    Attributes:
        streams: one per task; heads: the streams' heads in the model.
        mixture: which stream feeds which step.
    """

    streams: Sequence[Stream]
    heads: Sequence[str]
    mixture: Mixture
    plan: BatchPlan
    config: TrainConfig


@dataclass(frozen=True)
class Hooks:
    """What the loop calls on its way; every rank calls each of them at the same steps.

    Attributes:
        log: metrics of the steps since the last call; writes on rank 0.
        save: takes a checkpoint.
        score_dev: scores English dev and logs it.
    """

    log: Callable[[TrainState, dict[str, float]], None]
    save: Callable[[TrainState], None]
    score_dev: Callable[[TrainState], None]


@dataclass
class Meter:
    """Sums since the last log line, on this rank."""

    losses: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    slots: int = 0
    started: float = field(default_factory=time.perf_counter)


def train(engine: Any, work: Work, state: TrainState, world: World, hooks: Hooks) -> TrainState:
    """Train from ``state`` to the plan's last step."""
    plan, config = work.plan, work.config
    if state.step == 0:
        hooks.score_dev(state)  # a broken evaluation shows in the first minute
    engine.train()
    meter = Meter()
    while state.step < plan.steps:
        task = int(work.mixture.task[state.step])
        batch = work.streams[task].step(int(work.mixture.turn[state.step]), world.rank, world.size)
        set_learning_rate(engine, learning_rate(config, plan, state.step))
        loss = 0.0
        for micro_batch in batch.micro_batches:
            loss_sum = engine(work.heads[task], to_device(micro_batch, world.device))
            # DeepSpeed divides by accumulation and by ranks; the loss is the mean over the global batch's targets.
            engine.backward(loss_sum * (plan.accumulation * world.size / batch.targets))
            engine.step()
            loss += loss_sum.detach() / batch.targets
        state.step += 1
        count(meter, work.streams[task].task, loss, batch.tokens, batch.slots)

        last = state.step == plan.steps
        if last or due(state.step, config.log_every) or due(state.step, config.save_every):
            flush(meter, engine, state, learning_rate(config, plan, state.step - 1), hooks)
            meter = Meter()
        paused = time.perf_counter()
        if last or due(state.step, config.evaluate_every):
            hooks.score_dev(state)
            engine.train()
        if not last and due(state.step, config.save_every):
            hooks.save(state)
        meter.started += time.perf_counter() - paused  # neither counts as training time
    return state


def due(step: int, every: int) -> bool:
    """Whether something that happens every so many steps happens after this one; 0 = never."""
    return every > 0 and step % every == 0


def count(meter: Meter, task: str, loss: Any, tokens: int, slots: int) -> None:
    """Add one step; the loss stays on the device."""
    meter.losses[task] = meter.losses.get(task, 0.0) + loss
    meter.steps[task] = meter.steps.get(task, 0) + 1
    meter.tokens += tokens
    meter.slots += slots


def flush(meter: Meter, engine: Any, state: TrainState, rate: float, hooks: Hooks) -> None:
    """Sum over ranks, check that training is sound, log.

    Raises:
        UserError: the loss or a gradient is not finite (on every rank alike, before anything is saved).
    """
    tasks = sorted(meter.losses)  # the same on every rank: a step's task is
    totals = sum_values(float(meter.tokens), float(meter.slots), *(float(meter.losses[task]) for task in tasks))
    tokens, slots, losses = totals[0], totals[1], totals[2:]
    seconds = time.perf_counter() - meter.started
    state.tokens += int(tokens)
    state.seconds += seconds
    values = {
        "loss": sum(losses) / sum(meter.steps.values()),
        "learning_rate": rate,
        "grad_norm": gradient_norm(engine),
        "tokens_per_second": tokens / seconds,
        "padding": 1 - tokens / slots,
    }
    if len(tasks) > 1:
        values |= {f"loss/{task}": loss / meter.steps[task] for task, loss in zip(tasks, losses, strict=True)}
    if not math.isfinite(values["loss"]) or engine.skipped_steps:  # DeepSpeed passes over a gradient that is not finite
        raise UserError(
            f"the loss or its gradient is not finite at step {state.step}",
            code=EXIT_FAILED,
            fix="Lower train.learning_rate or raise train.warmup; the last checkpoint is untouched",
        )
    hooks.log(state, values)
