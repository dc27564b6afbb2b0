"""The ways to train that train.py compares, each in its own process: ``contenders.py JOB RESULT``, JOB as JSON.

ours      the product's loop and engine
bare      the product's batches and engine, but nothing beside forward, backward and step
trainer   Hugging Face's Trainer with the same DeepSpeed configuration, its defaults otherwise; same rows per step
grouped   the same, grouped by length by its own sampler, of whose batches evenly spaced ones are taken
plain     a PyTorch loop: padded batches, autocast, AdamW, no DeepSpeed
product   nothing but a large matrix product in the training's dtype, for what the device can do
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_clock import Clock, watch_engine
from bench_common import Job, Race, device, new_config, rows_of, summary


def main() -> None:
    """Measure one job; rank 0 writes what was found."""
    job, result = Job(**json.loads(sys.argv[1])), Path(sys.argv[2])
    if job.contender == "product":
        found: dict[str, Any] | None = product(job)
    elif job.contender in ("ours", "bare"):
        found = by_product(job)
    else:
        from peers import by_peer

        found = by_peer(job)
    if found is not None:
        result.write_text(json.dumps(found), encoding="utf-8")


def product(job: Job) -> dict[str, Any]:
    """The best rate of matrix products, as a linear layer does them: large ones, unless the device is slow at these."""
    size = 8192 if device().type == "cuda" else 1024
    seconds = product_seconds(size, job, 50)
    if size == 1024 and seconds < 0.05:
        size = 3072
        seconds = product_seconds(size, job, 8)
    return {"flops": 2 * size**3 / seconds, "size": size}


def product_seconds(size: int, job: Job, most: int) -> float:
    """The least that one product takes, of so many or of a second's worth."""
    left, right = (torch.randn(size, size, device=device()).to(job.dtype) for _ in range(2))
    seconds: list[float] = []
    while len(seconds) < 2 or (len(seconds) < most and sum(seconds) < 1):
        start = time.perf_counter()
        torch.nn.functional.linear(left, right)
        if left.is_cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


# --- ours ---------------------------------------------------------------------------------------------------------


class Reached(Exception):
    """English dev is where it should be."""


def start_ours(job: Job, features: Any, vocabulary: Any, world: Any, steps: int) -> tuple[Any, Any]:
    """Engine and work, put together as experiment/optimise.py does."""
    from transformers import XLMRobertaModel

    from dist_stilts.data.batches import Stream, words_used
    from dist_stilts.data.mixture import plan as plan_mixture
    from dist_stilts.data.mixture import probabilities
    from dist_stilts.families.kinds import family_of
    from dist_stilts.model.encoder import load_encoder
    from dist_stilts.model.heads import head_name
    from dist_stilts.model.multitask import MultiTaskModel
    from dist_stilts.model.packing import packs
    from dist_stilts.model.trained_rows import train_only
    from dist_stilts.tasks.registry import get_task
    from dist_stilts.train.engine import deepspeed_config, start_engine
    from dist_stilts.train.loop import Work
    from dist_stilts.train.plan import TrainConfig, derive

    spec, sizes = get_task(job.task), [len(features)]
    every = job.reach_every if job.reach else 0
    config = TrainConfig(
        batch_size=job.batch_size,
        steps=steps,
        learning_rate=job.learning_rate,
        schedule="constant",
        deepspeed=job.deepspeed,
        log_every=job.warmup_steps,
        evaluate_every=every,
    )
    torch.manual_seed(job.seed)
    encoder = load_encoder(job.model)[0] if job.model else XLMRobertaModel(new_config(job), add_pooling_layer=False)
    model = MultiTaskModel(encoder, [spec])
    rows = np.arange(len(features))
    if job.variant == "padded":
        model.encoder.set_attn_implementation("eager" if world.device.type == "cpu" else "sdpa")
    if job.variant != "all-rows":
        used = words_used([features], [rows], encoder.config.vocab_size)
        train_only(model.encoder, torch.from_numpy(used | (job.variant == "padded")))
    if job.variant == "unfused":
        import deepspeed  # noqa: F401  # its own optimisers are made of this one

        adamw = torch.optim.AdamW
        torch.optim.AdamW = lambda *given, **more: adamw(*given, **{**more, "fused": False})  # type: ignore
    model.to(world.device)
    plan = derive(config, sizes, world.size)
    engine = start_engine(model, deepspeed_config(config.deepspeed, config, plan), config, world)
    batches = (job.batch_size, int(config.max_micro_tokens), job.seed, 0.0, packs(model.encoder))
    stream = Stream(spec.name, family_of(spec), features, rows, vocabulary, *batches)
    mixture = plan_mixture(probabilities(sizes), plan.steps, job.seed)
    return engine, Work([stream], [head_name(spec)], mixture, plan, config, job.seed)


class Window:
    """The loop's hooks: the clock runs from the first log line, that of the warm-up's end, to the last step's.

    Args:
        score: called with the step where English dev is to be scored.
    """

    def __init__(self, clock: Any, steps: int, score: Callable[[int], None] | None = None) -> None:
        self.clock, self.steps, self.score = clock, steps, score
        self.before: tuple[int, int] | None = None
        self.seen = (0, 0)

    def log(self, state: Any, values: dict[str, float]) -> None:
        """Start at the end of the warm-up, stop after the last step."""
        if self.before is None:
            self.before = (state.tokens, state.slots)
            self.clock.begin()
        elif state.step == self.steps:
            self.clock.end()
            self.seen = (state.tokens - self.before[0], state.slots - self.before[1])

    def save(self, state: Any) -> None:
        """No checkpoints here."""

    def score_dev(self, state: Any) -> Any:
        """Only where a score is to be reached."""
        from dist_stilts.train.selection import DevScore

        if self.score and state.step:
            self.score(state.step)
        return DevScore(None)


def by_product(job: Job) -> dict[str, Any] | None:
    """Ours, or bare; None on all ranks but the first."""
    from dist_stilts.parallel.world import started

    if job.variant == "returned":
        os.environ["MALLOC_TRIM_THRESHOLD_"] = ""  # read here by the product alone: it leaves the allocator as it comes
    with started() as world:
        features, vocabulary = rows_of(job, job.split)
        steps = job.reach_steps if job.reach else job.warmup_steps + job.steps
        engine, work = start_ours(job, features, vocabulary, world, steps)
        clock = Clock(world.device)
        watch_engine(clock)
        clock.watch(Future, "result", "data")  # the loop waits here for what its thread makes
        if job.reach:
            return reach_ours(job, engine, work, world)
        if job.contender == "bare":
            tokens, slots = run_bare(job, engine, work, world, clock)
        else:
            tokens, slots = run_ours(engine, work, world, Window(clock, steps))
        encoder = engine.module.encoder
        found = summary(job, encoder, features, clock, tokens, slots)
        return found if world.is_main else None


def run_ours(engine: Any, work: Any, world: Any, window: Window) -> tuple[int, int]:
    """The product's loop; real tokens and places of the timed steps."""
    from dist_stilts.train.checkpoint import TrainState
    from dist_stilts.train.loop import train
    from dist_stilts.train.selection import Selection

    train(engine, work, TrainState(), Selection(work.config, work.plan), world, window)
    return window.seen


def run_bare(job: Job, engine: Any, work: Any, world: Any, clock: Clock) -> tuple[int, int]:
    """The same batches, ready and on the device."""
    from dist_stilts.data.batches import to_device
    from dist_stilts.train.engine import set_learning_rate

    ready = [work.streams[0].step(turn, world.rank, world.size) for turn in range(work.plan.steps)]
    batches = [[to_device(batch, world.device) for batch in step.micro_batches] for step in ready]
    engine.train()
    set_learning_rate(engine, job.learning_rate)
    for number, (step, micro_batches) in enumerate(zip(ready, batches, strict=True)):
        if number == job.warmup_steps:
            clock.begin()
        for place, batch in enumerate(micro_batches, 1):
            engine.set_gradient_accumulation_boundary(place == len(micro_batches))
            engine.backward(engine(work.heads[0], batch) * (world.size / step.targets))
        engine.step()
    clock.end()
    timed = ready[job.warmup_steps :]
    return sum(step.tokens for step in timed), sum(step.slots for step in timed)


def reach_ours(job: Job, engine: Any, work: Any, world: Any) -> dict[str, Any]:
    """Train until English dev is where it should be."""
    from dist_stilts.evaluate.predict import predict
    from dist_stilts.tasks.registry import get_task

    dev, _ = rows_of(job, job.dev)
    race = Race(job, np.array([labels[0] for labels in dev.labels]))

    def score(step: int) -> None:
        if race.over(step, predict(engine.module, get_task(job.task), dev, world, 64)):
            raise Reached

    with suppress(Reached):
        run_ours(engine, work, world, Window(Clock(world.device), 0, score))
    return race.result()


if __name__ == "__main__":
    main()
