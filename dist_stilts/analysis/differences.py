"""The mean over seeds of a score, or of what changed it, with the 95 % interval that seeds alone account for.

One seed has no spread, so it gives a value without an interval; none is ever made up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

BySeed = Mapping[int, float]
"""Seed -> score, percent."""
LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """A mean, and half the width of its interval (None without one).

    Attributes:
        seeds: that the value stands on; of a difference between runs that share no seeds, those after the change.
        test: how the interval was made: ``t``, ``paired t``, ``Welch``, or "" without one.
    """

    value: float
    half_width: float | None
    seeds: int
    test: str = ""


def mean(scores: BySeed) -> Spread:
    """Mean over seeds with Student's interval, S - 1 degrees of freedom."""
    return _student(list(scores.values()), "t")


def difference(after: BySeed, before: BySeed, *, fixed: bool = False) -> Spread:
    """How much higher the scores are after than before, points.

    With two or more seeds in common, the mean over these of the difference within a seed, and the interval of paired
    observations; else the difference of the means with the interval of Welch (1947).

    Args:
        after: at least one score.
        before: at least one score.
        fixed: whether ``before`` is one score that no seed has a part in: then only ``after`` varies.
    """
    if fixed:
        (score,) = before.values()
        return _student([value - score for value in after.values()], "t")
    common = after.keys() & before.keys()
    if len(common) > 1 or after.keys() == before.keys():
        return _student([after[seed] - before[seed] for seed in sorted(common)], "paired t")
    return _welch(list(after.values()), list(before.values()))


def _student(values: Sequence[float], test: str) -> Spread:
    if len(values) < 2:
        return Spread(values[0], None, 1)
    error = math.sqrt(variance(values) / len(values))
    return Spread(fmean(values), _quantile(len(values) - 1) * error, len(values), test)


def _welch(after: Sequence[float], before: Sequence[float]) -> Spread:
    value = fmean(after) - fmean(before)
    if min(len(after), len(before)) < 2:
        return Spread(value, None, len(after))
    parts = [variance(values) / len(values) for values in (after, before)]
    weights = [part**2 / (len(values) - 1) for part, values in zip(parts, (after, before), strict=True)]
    freedom = sum(parts) ** 2 / sum(weights) if sum(weights) else 1.0  # no spread at all: any number will do
    return Spread(value, _quantile(freedom) * math.sqrt(sum(parts)), len(after), "Welch")


def _quantile(freedom: float) -> float:
    """Standard errors on either side of a mean that make the interval."""
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, freedom))
