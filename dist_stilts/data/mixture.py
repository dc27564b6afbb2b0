"""Which task trains at which optimiser step: one task per step, the same on all ranks, pure in (seed, steps).

Tasks are drawn in proportion to ``min(rows, cap)``, the sampling of Phang et al. 2020's multi-task runs (their released
toolkit's proportional sampler with a per-task cap).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mixture:
    """The plan of a whole phase.

    Attributes:
        task: ``[steps]`` index of the task that trains at each step.
        turn: ``[steps]`` how many steps that task had before, which is its own position in its data.
    """

    task: np.ndarray
    turn: np.ndarray


def plan(sizes: list[int], steps: int, seed: int, cap: int | None = None) -> Mixture:
    """Draw the task of every step; ``sizes`` are the tasks' numbers of training rows."""
    weights = np.minimum(sizes, cap or max(sizes)).astype(np.float64)
    task = np.random.default_rng((seed, 1)).choice(len(sizes), size=steps, p=weights / weights.sum())
    turn = np.empty(steps, np.int64)
    for index in range(len(sizes)):
        own = np.flatnonzero(task == index)
        turn[own] = np.arange(len(own))
    return Mixture(task, turn)
