"""What a curve says about more data: gains in points, and the sizes at which they are half over, or over.

With four sizes or more, 0 among them, gains per doubling come from a saturating curve (:mod:`.profile`). Where there
are fewer, or where the scores fall and rise, no curve is forced on them: what the means themselves say between the
sizes is given, and nothing beyond. The total gain is always the difference of two means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dist_stilts.analysis.cells import Cells
from dist_stilts.analysis.estimate import Estimate
from dist_stilts.analysis.noise import Noise, precision
from dist_stilts.analysis.profile import HORIZON, LEVEL, Interval, Profile
from dist_stilts.analysis.shape import Shape

Floats = NDArray[np.floating[Any]]

LEAST_SIZES = 4
"""A saturating curve has four parameters; fewer sizes say nothing about its bend."""
ONE_SEED = "one seed: no interval"


@dataclass(frozen=True)
class Quantities:
    """Estimates read off one curve, and the ends of the curve's 95 % band on a grid, both empty without draws."""

    per_doubling: dict[int, Estimate]
    half_gain: Estimate
    enough: Estimate
    low: Floats
    high: Floats


def total_gain(cells: Cells, errors: Floats | None) -> Estimate:
    """Points from 0 to the largest size; errors: draws of the errors of the means [draws, k]."""
    if not cells.sizes:
        return Estimate(None, note="no scores")
    if cells.sizes[0] != 0:
        return Estimate(None, note="no score without intermediate examples")
    if len(cells.sizes) < 2:
        return Estimate(None, note="no score with intermediate examples")
    weights = np.zeros(len(cells.sizes))
    weights[0], weights[-1] = -1.0, 1.0
    return _contrast(cells, weights, errors)


def unmodelled(sizes: tuple[int, ...], shape: Shape) -> str | None:
    """Why no saturating curve is laid through a curve's means; None where one is."""
    if shape is Shape.NON_MONOTONE:
        return "the curve falls and rises"
    if len(sizes) < LEAST_SIZES:
        return f"fewer than {LEAST_SIZES} sizes"
    return None if sizes[0] == 0 else "no score without intermediate examples"


def modelled(
    cells: Cells, noise: Noise, errors: Floats | None, gain: Estimate, delta: float, grid: Floats
) -> Quantities:
    """What a saturating curve through the means implies; ``grid``: sizes of the band [n]."""
    profile = Profile(cells.sizes, cells.means, precision(noise.covariance()), errors)
    low, high = profile.band(grid)
    return Quantities(
        per_doubling={size: _estimate(*profile.per_doubling(size)) for size in cells.sizes if size > 0},
        half_gain=_half_gain(profile, gain),
        enough=_enough(profile, delta),
        low=low,
        high=high,
    )


def interpolated(cells: Cells, errors: Floats | None, grid: Floats, why: str) -> Quantities:
    """What the means themselves say; ``why`` is the note of what they cannot."""
    doubling = {size: _between_means(cells, size, errors, why) for size in cells.sizes if size > 0}
    line = between(cells.sizes, grid) @ cells.means
    unknown = Estimate(None, note=why)
    if errors is None:
        return Quantities(doubling, unknown, unknown, np.empty(0), np.empty(0))
    half = np.quantile(np.abs(errors @ between(cells.sizes, grid).T), LEVEL, axis=0)
    return Quantities(doubling, unknown, unknown, line - half, line + half)


def between(sizes: tuple[int, ...], at: Floats) -> Floats:
    """Weights [n, k] of the means of ``sizes`` [k] in the score at sizes ``at`` [n], linear in log(1 + n) between."""
    if not sizes:
        return np.zeros((len(at), 0))
    where = np.log1p(np.array(sizes, np.float64))
    return np.stack([np.interp(np.log1p(at), where, row) for row in np.eye(len(sizes))], axis=1)


def _between_means(cells: Cells, size: int, errors: Floats | None, why: str) -> Estimate:
    if 2 * size > cells.sizes[-1]:
        return Estimate(None, note=f"beyond the largest size; {why}")
    once, twice = between(cells.sizes, np.array([size, 2.0 * size]))
    return _contrast(cells, twice - once, errors)


def _contrast(cells: Cells, weights: Floats, errors: Floats | None) -> Estimate:
    """A weighted sum of the means; its interval is symmetric, as the draws are."""
    value = float(weights @ cells.means)
    if errors is None:
        return _estimate(value, None)
    half = float(np.quantile(np.abs(errors @ weights), LEVEL))
    return _estimate(value, Interval(value - half, value + half))


def _half_gain(profile: Profile, gain: Estimate) -> Estimate:
    if gain.low is not None and gain.high is not None and gain.low <= 0 <= gain.high:
        return Estimate(None, note="the total gain's interval contains 0")
    if gain.value == 0:
        return Estimate(None, note="no gain")
    return _estimate(*profile.half_gain())


def _enough(profile: Profile, delta: float) -> Estimate:
    value, interval = profile.enough(delta)
    if math.isinf(value):
        return _estimate(value, interval, f"not reached within {HORIZON * profile.largest:,} examples")
    return _estimate(value, interval, "" if value else f"no doubling brings {delta:g} points")


def _estimate(value: float, interval: Interval | None, note: str = "") -> Estimate:
    """An estimate with what is missing said; an infinite value is one that was not reached."""
    known, censored = (value, False) if math.isfinite(value) else (None, True)
    if interval is None:
        return Estimate(known, note="; ".join(filter(None, (note, ONE_SEED))), censored=censored)
    return Estimate(known, interval.low, interval.high, note, censored)
