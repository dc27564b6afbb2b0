"""What one training phase is asked to do, and the numbers that follow from it: computed once, checked, printed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from dist_stilts.errors import UserError


@dataclass
class TrainConfig:
    """How a phase trains. The defaults are the released settings of Phang et al. 2020 (jiant's XTREME scripts)."""

    batch_size: int = 32
    """Rows per optimiser step, all ranks and accumulation together."""
    max_micro_batch: int | str = 32
    """Most rows that one rank takes through the model at once; accumulation follows. `auto` = as many as fit."""
    epochs: float = 2.0
    """Passes over the training rows (of all tasks together)."""
    steps: int | None = None
    """Optimiser steps; given, it replaces `epochs`."""
    max_steps: int | None = None
    """Upper bound on the steps that `epochs` leads to."""
    learning_rate: float = 1e-5
    """Peak."""
    schedule: str = "linear"
    """Decay after warm-up: `linear` or `cosine` to zero, or `constant`."""
    warmup: float = 0.1
    """Share of the steps over which the learning rate rises from zero."""
    weight_decay: float = 0.01
    """Not on biases and layer norms."""
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    eps: float = 1e-8
    max_grad_norm: float = 1.0
    """Clip once per optimiser step; 0 = never."""
    mlm_rate: float = 0.15
    """Share of the tokens that masked language modelling predicts."""
    task_sampling: str = "proportional"
    """Several tasks: drawn in proportion to their rows, by `temperature`, or `uniform`; a `share` goes before."""
    temperature: float = 2.0
    """Of `task_sampling: temperature`: a task of n rows is drawn in proportion to n ** (1 / temperature)."""
    cap: int | None = None
    """Several tasks: each counts as at most so many rows when tasks are drawn."""
    deepspeed: str = "zero2_bf16"
    """A file of ds_configs, or a path to your own."""
    log_every: int = 10
    """Steps between lines of metrics.jsonl."""
    save_every: int = 500
    """Steps between checkpoints; 0 = none."""
    keep: int = 2
    """Newest checkpoints that stay on disk."""
    evaluate_every: int = 0
    """Steps between scores on English dev; 0 = only before the first step and after the last."""
    select: str = "last"
    """Which weights the phase exports: the `last`, the `best` on English dev, or the `average` of several (Schmidt et
    al. 2023)."""
    averaged: int = 10
    """How many, evenly spaced over the steps, `select: average` averages."""
    patience: int = 0
    """Stop after so many dev scores in a row that are no better than the best; 0 = never."""
    max_skipped: int = 5
    """Optimiser steps that may be left out because the loss or its gradient is not finite; one more ends the run."""
    restarts: int = 0
    """How often a degenerate run (stuck at chance, one predicted class) is trained again with another seed."""


OPERATIONAL = ("log_every", "save_every", "keep", "max_micro_batch", "max_skipped")
"""Settings that change no weight to speak of, and so are not part of a run's identity."""


@dataclass(frozen=True)
class BatchPlan:
    """One phase in numbers.

    Attributes:
        micro_batch: rows per rank and forward pass.
        accumulation: forward passes per optimiser step.
        warmup_steps: part of ``steps``.
    """

    steps: int
    warmup_steps: int
    batch_size: int
    ranks: int
    micro_batch: int
    accumulation: int

    def line(self) -> str:
        """The plan as one line."""
        return (
            f"{self.steps} steps ({self.warmup_steps} warm-up) of {self.batch_size} rows = {self.ranks} ranks "
            f"x {self.micro_batch} rows x {self.accumulation} accumulation"
        )


def derive(config: TrainConfig, sizes: Sequence[int], ranks: int) -> BatchPlan:
    """Derive a phase's numbers.

    Args:
        sizes: training rows of each task.

    Raises:
        UserError: the ranks do not divide the batch; settings that contradict each other.
    """
    if config.batch_size % ranks:
        fits = [n for n in range(1, config.batch_size + 1) if config.batch_size % n == 0 and n <= 2 * ranks]
        raise UserError(
            f"{ranks} ranks do not divide train.batch_size={config.batch_size}",
            fix=f"Use one of {fits} ranks, or another batch size",
        )
    if config.schedule not in ("linear", "cosine", "constant"):
        raise UserError(f"unknown train.schedule '{config.schedule}'", fix="Known: linear, cosine, constant")
    if not 0 <= config.warmup <= 1 or min(config.epochs, config.batch_size, config.averaged) <= 0:
        raise UserError("train.warmup is a share (0 to 1); epochs, batch_size and max_micro_batch are above 0")
    per_rank = config.batch_size // ranks
    micro_batch = max(n for n in range(1, per_rank + 1) if per_rank % n == 0 and n <= config.max_micro_batch)
    rows = sum(min(size, config.cap or size) for size in sizes)
    steps = config.steps or max(1, math.ceil(rows * config.epochs / config.batch_size))
    if config.max_steps and not config.steps:
        steps = min(steps, config.max_steps)
    plan = BatchPlan(
        steps, math.ceil(steps * config.warmup), config.batch_size, ranks, micro_batch, per_rank // micro_batch
    )
    assert plan.ranks * plan.micro_batch * plan.accumulation == plan.batch_size, plan
    return plan


def learning_rate(config: TrainConfig, plan: BatchPlan, step: int) -> float:
    """The rate of optimiser step ``step`` (0-based): linear warm-up from zero, then the decay; a pure function."""
    if step < plan.warmup_steps:
        return config.learning_rate * (step + 1) / (plan.warmup_steps + 1)
    if config.schedule == "constant":
        return config.learning_rate
    left = (plan.steps - step) / max(1, plan.steps - plan.warmup_steps)
    return config.learning_rate * (left if config.schedule == "linear" else 0.5 * (1 - math.cos(math.pi * left)))
