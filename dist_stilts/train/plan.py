"""What one training phase is asked to do, and the numbers that follow from it: computed once, checked, printed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dist_stilts.data.mixture import SAMPLERS, left_by, probabilities
from dist_stilts.errors import UserError
from dist_stilts.ranges import A_PATH, above, at_least, between, key, one_of

AUTO = "auto"
MOST_STEPS = 10**8
"""Of a phase: the plan of one holds a number or two for each."""


@dataclass
class TrainConfig:
    """How a phase trains. The defaults are the released settings of Phang et al. 2020 (jiant's XTREME scripts)."""

    batch_size: int = key(32, at_least(1))
    """Rows per optimiser step, all ranks and accumulation together."""
    max_micro_tokens: int | str = key(16384, at_least(1, AUTO))
    """Most tokens that one rank takes through the model at once (with their padding, for encoders that need it);
    accumulation follows. `auto` = as many as fit."""
    epochs: float = key(2.0, above(0))
    """Passes over the training rows (of all tasks together; the steps of tasks with a `share` come on top)."""
    steps: int | None = key(None, between(1, MOST_STEPS))
    """Optimiser steps; given, it replaces `epochs`."""
    max_steps: int | None = key(None, at_least(1))
    """Upper bound on the steps that `epochs` leads to."""
    checkpoint_activations: bool = False
    """Compute each block's activations again in the backward pass: less memory, about a third more time."""
    learning_rate: float = key(1e-5, between(0, 1, above=True))
    """Peak learning rate."""
    schedule: str = key("linear", one_of("linear", "cosine", "constant"))
    """Decay after warm-up: `linear` or `cosine` to zero, or `constant`."""
    warmup: float = key(0.1, between(0, 1))
    """Share of the steps over which the learning rate rises from zero."""
    weight_decay: float = key(0.01, between(0, 1))
    """AdamW's weight decay; none on biases and layer norms."""
    betas: list[float] = key([0.9, 0.999], between(0, 1, below=True, fewest=2, many=2))
    """AdamW's decay rates of the running means of gradients and of their squares."""
    eps: float = key(1e-8, between(0, 1, above=True))
    """AdamW's epsilon, which is added to the root of the squares' mean."""
    max_grad_norm: float = key(1.0, at_least(0))
    """Clip once per optimiser step; 0 = never."""
    mlm_rate: float = key(0.15, between(0, 1, above=True, below=True))
    """Share of the tokens that masked language modelling predicts."""
    task_sampling: str = key("proportional", one_of(*SAMPLERS))
    """Several tasks: `proportional` to their rows, by `temperature`, or `uniform`; a task's own `share` goes before."""
    temperature: float = key(2.0, above(0))
    """Of `task_sampling: temperature`: a task of n rows is drawn in proportion to n ** (1 / temperature)."""
    cap: int | None = key(None, at_least(1))
    """Several tasks: each counts as at most so many rows when tasks are drawn."""
    deepspeed: str = key("zero2_bf16", A_PATH)
    """A file of ds_configs, or a path to your own."""
    log_every: int = key(10, at_least(1))
    """Steps between lines of metrics.jsonl."""
    save_every: int = key(500, at_least(0))
    """Steps between checkpoints; 0 = none."""
    keep: int = key(2, at_least(1))
    """Newest checkpoints that stay on disk."""
    evaluate_every: int = key(0, at_least(0))
    """Steps between scores on English dev; 0 = only before the first step and after the last."""
    select: str = key("last", one_of("last", "best", "average"))
    """Which weights the phase exports: the `last`, the `best` on English dev, or the `average` of several (Schmidt et
    al. 2023)."""
    averaged: int = key(10, at_least(1))
    """How many, evenly spaced over the steps, `select: average` averages."""
    patience: int = key(0, at_least(0))
    """Stop after so many dev scores in a row that are no better than the best; 0 = never."""
    max_skipped: int = key(5, at_least(0))
    """Optimiser steps that may be left out because the loss or its gradient is not finite; one more ends the run."""
    restarts: int = key(0, at_least(0))
    """How often a degenerate run (stuck at chance, one predicted class) is trained again with another seed."""


SAME_TRAINING = dict.fromkeys(("zero1_bf16", "zero2_offload_bf16", "zero3_bf16"), "zero2_bf16")
"""Values of ``deepspeed`` that differ in where state lies, not in what is trained: a run may go on at another."""
OPERATIONAL = ("log_every", "save_every", "keep", "max_micro_tokens", "checkpoint_activations", "max_skipped")
"""Settings that change no weight to speak of, and so are not part of a run's identity."""


@dataclass(frozen=True)
class BatchPlan:
    """One phase in numbers.

    Attributes:
        warmup_steps: part of ``steps``.
        micro_tokens: most tokens per rank and forward pass; `auto` until the memory has been looked at.
    """

    steps: int
    warmup_steps: int
    batch_size: int
    ranks: int
    micro_tokens: int | str

    @property
    def rows_per_rank(self) -> int:
        """Rows of a rank's share of an optimiser step, if all were of one length; some ranks may have one less."""
        return -(-self.batch_size // self.ranks)

    def line(self) -> str:
        """The plan as one line."""
        most = "as many tokens as fit" if self.micro_tokens == AUTO else f"at most {self.micro_tokens:,} tokens"
        return (
            f"{self.steps} steps ({self.warmup_steps} warm-up) of {self.batch_size} rows "
            f"on {self.ranks} rank{'s' if self.ranks > 1 else ''}, {most} per pass"
        )


def derive(config: TrainConfig, sizes: Sequence[int], ranks: int, shares: Sequence[float | None] = ()) -> BatchPlan:
    """Derive a phase's numbers. The global batch is what the recipe says at any number of ranks.

    Args:
        sizes: training rows of each task.
        shares: see :func:`task_probabilities`.

    Raises:
        UserError: more ranks than rows; more steps than anyone waits for; settings that contradict each other.
    """
    if ranks > config.batch_size:
        raise UserError(
            f"train.batch_size={config.batch_size} leaves some of {ranks} ranks without a row",
            fix=f"Use at most {config.batch_size} ranks, or a batch of {ranks} rows or more",
        )
    steps = config.steps or _steps(config, sizes, shares)
    task_probabilities(config, sizes, shares)  # refuses what cannot be sampled, whether or not steps follow from it
    return BatchPlan(steps, math.ceil(steps * config.warmup), config.batch_size, ranks, config.max_micro_tokens)


def task_probabilities(config: TrainConfig, sizes: Sequence[int], shares: Sequence[float | None] = ()) -> np.ndarray:
    """How likely each task is to train at a step: ``[tasks]``, see :func:`dist_stilts.data.mixture.probabilities`."""
    return probabilities(
        sizes, sampling=config.task_sampling, temperature=config.temperature, cap=config.cap, shares=shares
    )


def _steps(config: TrainConfig, sizes: Sequence[int], shares: Sequence[float | None]) -> int:
    """Steps in which the tasks without a share of their own have their epochs; those with one come on top."""
    fixed = list(shares) or [None] * len(sizes)
    counted = [min(size, config.cap or size) for size in sizes]
    own = [rows for rows, share in zip(counted, fixed, strict=True) if share is None]
    needed = sum(own or counted) * config.epochs / config.batch_size / (left_by(fixed) or 1)
    needed = min(needed, config.max_steps or needed)
    if needed > MOST_STEPS:
        raise UserError(f"train.epochs={config.epochs:g} are {needed:.3g} steps", fix=f"At most {MOST_STEPS:,} are")
    return max(1, math.ceil(round(needed, 6)))  # 1 - 0.9 is less than 0.1, and no reason for another step


def learning_rate(config: TrainConfig, plan: BatchPlan, step: int) -> float:
    """The rate of optimiser step ``step`` (0-based): linear warm-up from zero, then the decay; a pure function."""
    if step < plan.warmup_steps:
        return config.learning_rate * (step + 1) / (plan.warmup_steps + 1)
    if config.schedule == "constant":
        return config.learning_rate
    left = (plan.steps - step) / max(1, plan.steps - plan.warmup_steps)
    return config.learning_rate * (left if config.schedule == "linear" else 0.5 * (1 - math.cos(math.pi * left)))
