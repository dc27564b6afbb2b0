"""Training that goes wrong without an error: steps left out, runs stuck at chance, runs that predict one class.

XLM-R Large is known for it at ordinary learning rates, with the same data and another seed going well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dist_stilts.errors import EXIT_FAILED, UserError

LOWER = "Lower train.learning_rate or raise train.warmup; the last checkpoint is untouched"
"""What to do about a training that blew up."""
STUCK = 0.98
"""A loss above this share of chance has learned nothing."""
SEEDS_APART = 1_000_003
"""Between a run's seed and the next one it is given, so that no other run of a study has it."""


def next_seed(seed: int, restart: int) -> int:
    """The seed of a run's ``restart``-th restart; 0 is the run's own."""
    return seed + SEEDS_APART * restart


def refuse_more_skips(step: int, skipped: int, allowed: int) -> None:
    """UserError, the same on all ranks, if more steps were left out than is allowed."""
    if skipped > allowed:
        raise UserError(
            f"the loss or its gradient is not finite at step {step}, and {skipped - 1} steps were left out before",
            code=EXIT_FAILED,
            fix=LOWER,
        )


def refuse_an_end_left_out(step: int, left_out: int) -> None:
    """UserError, the same on all ranks, if a training ends with steps that were left out: its weights are those from
    before something went wrong."""
    if left_out:
        raise UserError(
            f"the loss or its gradient is not finite at step {step}, where training ends, and the last "
            f"{f'{left_out} steps were' if left_out > 1 else 'step was'} left out",
            code=EXIT_FAILED,
            fix=LOWER,
        )


def refuse_not_finite(step: int, bad: Sequence[str]) -> None:
    """UserError, the same on all ranks, if weights are NaN or infinite.

    Args:
        bad: the names of such parameters, by rank that owns them; the same on all ranks.
    """
    if names := [name for name in bad if name]:
        raise UserError(
            f"the weights are not finite after step {step} (first: {names[0]})", code=EXIT_FAILED, fix=LOWER
        )


def degenerate(losses: Mapping[str, float], chances: Mapping[str, float], collapsed: Mapping[str, str]) -> str | None:
    """Say that a run has learned nothing.

    Args:
        losses: task to its training loss at the end; chances: task to the loss of guessing, in nats (ln k for k
            classes), where that is known; collapsed: task to why its predictions on English dev are those of no model,
            or why its training rows teach nothing.

    Returns:
        The reason, or None.
    """
    for task, reason in collapsed.items():
        return f"{task}: {reason}"
    for task, loss in losses.items():
        chance = chances.get(task)
        if chance and loss > STUCK * chance:
            return f"{task}: stuck at chance, training loss {loss:.3f} where guessing has {chance:.3f}"
        if not math.isfinite(loss):
            return f"{task}: training loss {loss}"
    return None
