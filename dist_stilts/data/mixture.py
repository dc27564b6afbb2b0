"""Which task trains at which optimiser step, and how often the rows of each language occur in an epoch; pure.

One task per step, the same on all ranks. Each step draws for itself, so its task depends on the seed, the step and the
tasks' probabilities, and not on how many steps there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dist_stilts.errors import UserError

SAMPLERS = ("proportional", "temperature", "uniform")
ROUNDING = 1e-9
"""By how much shares that are meant to sum to 1 may miss it."""


@dataclass(frozen=True)
class Mixture:
    """The plan of a whole phase.

    Attributes:
        task: ``[steps]`` index of the task that trains at each step.
        turn: ``[steps]`` how many steps that task had before, which is its own position in its data.
    """

    task: np.ndarray
    turn: np.ndarray


def probabilities(
    sizes: Sequence[int],
    *,
    sampling: str = "proportional",
    temperature: float = 1.0,
    cap: int | None = None,
    shares: Sequence[float | None] = (),
) -> np.ndarray:
    """How likely each task is to train at a step.

    A task of n rows counts as ``m = min(n, cap)``. ``proportional`` weighs it by m, as the multi-task runs of Phang et
    al. 2020 do (their released toolkit's proportional sampler with a per-task cap); ``temperature`` by
    ``m ** (1 / temperature)``, which at 1 / 0.3 is how Conneau et al. 2020, section 3.1, weigh languages; ``uniform``
    weighs all alike. Raffel et al. 2020, section 3.5.2, compare the three.

    Args:
        sizes: training rows of each task.
        shares: probability of each task that has one of its own, whatever its size; the others divide the rest by
            their weights. None for a task, or nothing at all: no share of its own.

    Returns:
        ``[tasks]`` float64, sum 1.

    Raises:
        UserError: shares that cannot be had together.
    """
    exponent = {"proportional": 1.0, "temperature": 1 / temperature, "uniform": 0.0}[sampling]
    fixed = list(shares) or [None] * len(sizes)
    found = np.array([share or 0.0 for share in fixed])
    rest, free = left_by(fixed), np.array([share is None for share in fixed])
    if rest:
        counted = np.minimum(sizes, cap or max(sizes))[free].astype(np.float64)
        weights = (counted / counted.max()) ** exponent  # at most 1: a low temperature does not overflow
        found[free] = rest * weights / weights.sum()
    return found


def left_by(shares: Sequence[float | None]) -> float:
    """The probability that fixed shares leave to the tasks without one; 0 if every task has one.

    Raises:
        UserError: they sum to too much or too little.
    """
    fixed = [share for share in shares if share is not None]
    total = math.fsum(fixed)
    if len(fixed) < len(shares) and total > 1 - ROUNDING:
        raise UserError(f"the tasks' shares sum to {total:g}; tasks without one would never train", fix="Lower them")
    if fixed and len(fixed) == len(shares) and abs(total - 1) > ROUNDING:
        raise UserError(f"the tasks' shares sum to {total:g}, not 1", fix="Leave one out: that task gets the rest")
    return 1 - total if len(fixed) < len(shares) else 0.0


def plan(chances: np.ndarray, steps: int, seed: int) -> Mixture:
    """Draw the task of every step.

    Args:
        chances: ``[tasks]`` from :func:`probabilities`.
    """
    bounds = np.cumsum(chances)
    draws = np.random.default_rng((seed, 1)).random(steps)  # one number a step: more steps only add to the end
    task = np.searchsorted(bounds / bounds[-1], draws, side="right")
    turn = np.empty(steps, np.int64)
    for index in range(len(chances)):
        own = np.flatnonzero(task == index)
        turn[own] = np.arange(len(own))
    return Mixture(task, turn)


def repeated(rows: Sequence[np.ndarray], exponent: float, seed: int) -> np.ndarray:
    """Repeat the rows of smaller languages until language l has a share of ``n_l ** exponent``, n_l being its rows.

    An epoch passes once over the language that is sampled least often, so nothing is left out. Exponent 1 changes
    nothing; XLM-R samples its text with 0.3 (Conneau et al. 2020, section 3.1), after Lample and Conneau 2019.

    Args:
        rows: ``[n_l]`` row numbers of each language, n_l > 0.

    Returns:
        ``[n]`` row numbers.
    """
    sizes = np.array([len(part) for part in rows], np.float64)
    copies = sizes ** (exponent - 1)
    wanted = np.rint(sizes * copies / copies.min()).astype(int)
    found = []
    for number, (part, size) in enumerate(zip(rows, wanted, strict=True)):
        whole, rest = divmod(int(size), len(part))
        drawn = np.random.default_rng((seed, 2, number)).permutation(len(part))[:rest]
        found += [np.tile(part, whole), part[np.sort(drawn)]]
    return np.concatenate(found)
