"""The training loop: one loop for every task family, read from top to bottom in the order it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch

from dist_stilts.data.batches import Step, Stream, pinned, to_device
from dist_stilts.data.mixture import Mixture
from dist_stilts.parallel import preemption
from dist_stilts.parallel.collectives import sum_values
from dist_stilts.parallel.preemption import Preempted
from dist_stilts.parallel.world import World
from dist_stilts.train.ahead import Make, ahead
from dist_stilts.train.checkpoint import TrainState
from dist_stilts.train.engine import forget_gradients, gradient_norm, scales_losses, set_learning_rate, skipped
from dist_stilts.train.plan import BatchPlan, TrainConfig, learning_rate
from dist_stilts.train.selection import DevScore, Selection
from dist_stilts.train.stability import refuse_an_end_left_out, refuse_more_skips


@dataclass(frozen=True)
class Work:
    """What a phase trains on and how.

    Attributes:
        streams: one per task; heads: the streams' heads in the model.
        mixture: which stream feeds which step.
        seed: of dropout.
    """

    streams: Sequence[Stream]
    heads: Sequence[str]
    mixture: Mixture
    plan: BatchPlan
    config: TrainConfig
    seed: int = 0

    def batches(self, step: int, world: World) -> Step:
        """This rank's share of a step; pure, and in memory from which a GPU copies while it computes."""
        stream = self.streams[int(self.mixture.task[step])]
        share = stream.step(int(self.mixture.turn[step]), world.rank, world.size)
        if world.device.type == "cuda":
            share = replace(share, micro_batches=[pinned(batch) for batch in share.micro_batches])
        return share


class Hooks(Protocol):
    """What the loop calls on its way; every rank calls each of them at the same steps."""

    def log(self, state: TrainState, values: dict[str, float]) -> None:
        """Metrics of the steps since the last call."""

    def save(self, state: TrainState) -> None:
        """Take a checkpoint."""

    def score_dev(self, state: TrainState) -> DevScore:
        """Score English dev and log it."""


def train(engine: Any, work: Work, state: TrainState, selection: Selection, world: World, hooks: Hooks) -> TrainState:
    """Train from ``state`` to the plan's last step, or until English dev stops improving.

    Raises:
        Preempted: a rank was asked to stop; all have saved.
        UserError: too many steps whose loss or gradient was not finite, or the last one, or weights that are not (on
            every rank alike).
    """
    try:
        with ahead(partial(work.batches, world=world), work.plan.steps) as batches:
            steps(engine, work, batches, state, selection, world, hooks)
    except Preempted:  # between two steps, or between two batches of a dev score that the next start does again
        hooks.save(state)
        raise Preempted(f"asked to stop at step {state.step}; saved") from None
    return state


def steps(
    engine: Any, work: Work, batches: Make, state: TrainState, selection: Selection, world: World, hooks: Hooks
) -> None:
    """The loop itself; every rank is always at the same line of it."""
    plan, config, meter = work.plan, work.config, Meter()
    while True:
        last = state.step == plan.steps
        # Before the first step, so that a broken evaluation shows in the first minute; after the last; in between as
        # often as asked for. Sharded and exact, see evaluate/predict.py.
        if last or state.step == 0 or due(state.step, config.evaluate_every):
            with timed(state, "scoring_seconds"):
                selection.after_score(engine, state, hooks.score_dev(state))
        if last or state.stopped:
            refuse_an_end_left_out(state.step, state.trailing)
            return

        rate = learning_rate(config, plan, state.step)
        stop = take_step(engine, work, batches, rate, state, meter, world)
        refuse_more_skips(state.step, state.skipped, config.max_skipped)
        selection.after_step(engine, state)

        last = state.step == plan.steps
        if last or due(state.step, config.log_every):
            hooks.log(state, meter.values(rate, gradient_norm(engine)))
            meter = Meter()
        if last:  # before the checkpoint, so that a mended cause finds the one from before
            refuse_an_end_left_out(state.step, state.trailing)
        # Before the score of the same step: whoever starts from here takes that score again, and decides as we do.
        if last or due(state.step, config.save_every):
            with timed(state, "saving_seconds"):
                hooks.save(state)
        if stop:
            raise Preempted


def take_step(
    engine: Any, work: Work, batches: Make, rate: float, state: TrainState, meter: Meter, world: World
) -> bool:
    """One optimiser step; returns whether a rank was asked to stop."""
    started = time.perf_counter()
    batch, index = batches(state.step), int(work.mixture.task[state.step])
    engine.train()
    set_learning_rate(engine, rate)
    seed_dropout(work.seed, state.step, world.rank)
    left_out, loss = skipped(engine), torch.zeros((), device=world.device)
    for number, micro_batch in enumerate(batch.micro_batches, 1):
        engine.set_gradient_accumulation_boundary(number == len(batch.micro_batches))
        loss_sum = engine(work.heads[index], to_device(micro_batch, world.device))
        # DeepSpeed divides by ranks; the loss is the mean over the global batch's targets.
        engine.backward(loss_sum * (world.size / batch.targets))
        loss += loss_sum.detach() / batch.targets
    own_loss = on_its_way(loss)
    engine.step()  # all ranks step, or none does if a gradient is not finite on one
    forget_gradients(engine)
    left_out = skipped(engine) - left_out
    # The one exchange of numbers in a step: what the ranks have seen, and whether one was asked to stop.
    mean, tokens, slots, stop = sum_values(own_loss(), batch.tokens, batch.slots, preemption.requested())

    state.step += 1
    state.skipped += left_out
    # fp16 looks for the scale of its losses by leaving out steps, whose losses are finite.
    went_wrong = left_out and not (math.isfinite(mean) and scales_losses(engine))
    state.trailing = state.trailing + left_out if went_wrong else 0
    state.tokens += int(tokens)
    state.slots += int(slots)
    if not left_out:
        task, share = work.streams[index].task, 1 / max(1.0, work.plan.steps / 10)
        state.losses[task] = mean * share + state.losses.get(task, mean) * (1 - share)
        meter.losses.setdefault(task, []).append(mean)
    seconds = time.perf_counter() - started
    state.seconds += seconds
    meter.add(tokens, slots, seconds, state.skipped)
    return stop > 0


def on_its_way(value: torch.Tensor) -> Callable[[], float]:
    """A number on its way to the host; reading it waits for what the device was told before, and for nothing since."""
    if not value.is_cuda:
        return value.item
    host, arrived = value.to("cpu", non_blocking=True), torch.cuda.Event()
    arrived.record()

    def read() -> float:
        arrived.synchronize()
        return float(host)

    return read


def seed_dropout(seed: int, step: int, rank: int) -> None:
    """Make dropout a function of (seed, step, rank): a resumed run has no generator to bring back (law 2)."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0]))


def due(step: int, every: int) -> bool:
    """Whether something that happens every so many steps happens after this one; 0 = never."""
    return every > 0 and step % every == 0


@contextmanager
def timed(state: TrainState, what: str) -> Iterator[None]:
    """Add the block's wall time to a field of the state, also if it ends in an error."""
    started = time.perf_counter()
    try:
        yield
    finally:
        setattr(state, what, getattr(state, what) + time.perf_counter() - started)


@dataclass
class Meter:
    """What was seen since the last log line, all ranks together."""

    losses: dict[str, list[float]] = field(default_factory=dict)
    tokens: float = 0.0
    slots: float = 0.0
    seconds: float = 0.0
    skipped: int = 0

    def add(self, tokens: float, slots: float, seconds: float, skipped: int) -> None:
        """Count one step."""
        self.tokens += tokens
        self.slots += slots
        self.seconds += seconds
        self.skipped = skipped

    def values(self, rate: float, grad_norm: float) -> dict[str, float]:
        """The metrics to log; no loss if every step was left out, no norm if the last one was."""
        values = {
            "learning_rate": rate,
            "tokens_per_second": self.tokens / self.seconds,
            "padding": 1 - self.tokens / self.slots,
        }
        if losses := [loss for found in self.losses.values() for loss in found]:
            values["loss"] = sum(losses) / len(losses)
        if math.isfinite(grad_norm):
            values["grad_norm"] = grad_norm
        if len(self.losses) > 1:
            values |= {f"loss/{task}": sum(found) / len(found) for task, found in sorted(self.losses.items())}
        return {**values, "skipped": float(self.skipped)} if self.skipped else values
