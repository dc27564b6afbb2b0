"""Intervals of what a saturating curve implies: gain per doubling, size of half the gain, size that is enough.

The curve here is always the power law of :mod:`dist_stilts.analysis.forms`, whatever form describes the scores best: a
constant, a logarithm and a straight line are its limits, so that an interval from it does not presume a choice. Written
as ``a + b phi(n)`` with phi(0) = 0 and phi(largest) = 1, it has on a grid of shapes (n0, beta) a closed-form profile
likelihood: a value q of a quantity is inside the interval if some shape reaches it at a cost of at most ``limit`` more
than the best fit's. Percentiles of refitted draws would be wrong here (they sit on the borders of the shapes when the
scores say little about them); instead the draws give the limit: the 95 % quantile of what the fitted curve's own value
costs in scores drawn about that curve, with a new variance in every draw (a bootstrap-calibrated likelihood ratio:
Beran 1987, "Prepivoting to reduce level error of confidence sets", Biometrika 74).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dist_stilts.analysis.forms import FORMS, Sizes, Solution, minimise, power_basis, power_shapes, solve

Floats = NDArray[np.floating[Any]]

LEVEL = 0.95
HORIZON = 2
"""No statement reaches beyond this many times the largest size."""
POWER_LAW = FORMS["power law"]


class Interval(NamedTuple):
    """Lower and upper end."""

    low: float
    high: float


class Profile:
    """The power law through the means of one curve, and what it leaves possible.

    Args:
        sizes: [k], 0 among them, at least four; means: [k]; precision: inverse covariance of the means [k, k].
        errors: draws of the errors of the means [draws, k]; None where they are not known: no intervals.
    """

    def __init__(self, sizes: Sizes, means: Floats, precision: Floats, errors: Floats | None) -> None:
        self.sizes, self.largest = sizes, max(sizes)
        self.shapes, phi = _grid(sizes)
        self.fits = solve(phi, means, precision, intercept=True)
        shape, found = minimise(POWER_LAW, sizes, means, precision, sizes)
        self.shape, self.a, self.b, self.least = shape[None], float(found.a), float(found.b), float(found.cost)
        best = int(np.argmin(self.fits.cost))
        self.on_grid = (best, float(self.fits.b[best]))
        self.level_variance = 1 / precision.sum()
        self.middle = phi @ (precision.sum(axis=0) / precision.sum())
        self.drawn: Solution | None = None
        if errors is not None:
            centre = self.fits.a[best] + self.fits.b[best] * phi[best]
            self.drawn = solve(phi, centre + errors, precision, intercept=True)
            self.drawn_least = self.drawn.cost.min(axis=1)

    def per_doubling(self, size: int) -> tuple[float, Interval | None]:
        """Points gained from ``size`` to twice ``size``, and their interval."""
        value = self.b * _doubling(self.shape, size, self.sizes)[0]
        if self.drawn is None:
            return float(value), None
        slopes = _doubling(self.shapes, size, self.sizes)
        low, high = self._reach(slopes, self._limit(slopes))
        return float(value), Interval(float(low.min()), float(high.max()))

    def _limit(self, slopes: Floats) -> float:
        """What the true value of ``b slopes`` [g] may cost more than the best fit."""
        assert self.drawn is not None
        best, b = self.on_grid
        wanted = b * slopes[best] / np.where(slopes > 0, slopes, np.nan)
        cost = self.drawn.cost + (wanted - self.drawn.b) ** 2 * self.drawn.information
        return float(np.quantile(np.nanmin(cost, axis=1) - self.drawn_least, LEVEL))

    def _reach(self, slopes: Floats, limit: float) -> tuple[Floats, Floats]:
        """Lowest and highest ``b slopes`` within the limit [g']; shapes that cannot be are left out."""
        possible, half = self._possible(limit)
        middle, width = (self.fits.b * slopes)[possible], half * np.abs(slopes[possible])
        return middle - width, middle + width

    def _possible(self, limit: float) -> tuple[NDArray[np.bool_], Floats]:
        """Which shapes are within the limit [g], and how far b may be off its best in each of them [g']."""
        spare = limit - (self.fits.cost - min(self.least, float(self.fits.cost.min())))
        possible = spare >= 0
        possible[self.on_grid[0]] = True
        return possible, np.sqrt(np.maximum(spare[possible], 0.0) / self.fits.information[possible])

    def half_gain(self) -> tuple[float, Interval | None]:
        """Size at which half of the gain between 0 and the largest size is reached; a matter of shape alone."""
        value = float(_half(self.shape, self.sizes)[0])
        if self.drawn is None:
            return value, None
        halves = _half(self.shapes, self.sizes)
        same = np.isclose(halves, halves[self.on_grid[0]], rtol=0.02)
        limit = float(np.quantile(self.drawn.cost[:, same].min(axis=1) - self.drawn_least, LEVEL))
        possible, _ = self._possible(limit)
        return value, Interval(float(halves[possible].min()), float(halves[possible].max()))

    def enough(self, delta: float) -> tuple[float, Interval | None]:
        """Smallest size from which on every doubling brings less than ``delta`` points; ``inf``: beyond the horizon."""
        at = _sizes_tried(self.sizes)
        slopes = np.stack([_doubling(self.shape, size, self.sizes) for size in at], axis=1)
        value = float(last_above(slopes * self.b, delta, at)[0])
        if self.drawn is None:
            return value, None
        near = int(np.argmin(np.abs(np.log(at) - np.log(np.clip(value, at[0], at[-1])))))
        grid = _doublings(self.sizes)
        limit = self._limit(grid[:, near])
        possible, half = self._possible(limit)
        low, high = self.fits.b[possible] - half, self.fits.b[possible] + half
        return value, Interval(
            float(last_above(grid[possible] * low[:, None], delta, at).min()),
            float(last_above(grid[possible] * high[:, None], delta, at).max()),
        )

    def line(self, at: Floats) -> tuple[Floats, Floats, Floats]:
        """The curve at sizes ``at`` and the ends of its band [n]; the ends are empty without draws."""
        line = self.a + self.b * power_basis(self.shape, at, self.sizes)[0]
        if self.drawn is None:
            return line, np.empty(0), np.empty(0)
        limit = self._limit(_doubling(self.shapes, self.largest, self.sizes))
        phi = power_basis(self.shapes, at, self.sizes)
        spare = np.maximum(limit - (self.fits.cost - self.fits.cost.min()), 0.0)[:, None]
        off = (phi - self.middle[:, None]) ** 2 / self.fits.information[:, None] + self.level_variance
        middle, width = self.fits.a[:, None] + self.fits.b[:, None] * phi, np.sqrt(spare * off)
        possible, _ = self._possible(limit)
        return line, (middle - width)[possible].min(axis=0), (middle + width)[possible].max(axis=0)


@lru_cache(maxsize=64)
def _grid(sizes: Sizes) -> tuple[Floats, Floats]:
    shapes = power_shapes(sizes)
    return shapes, power_basis(shapes, np.array(sizes, np.float64), sizes)


def _doubling(shapes: Floats, size: float, sizes: Sizes) -> Floats:
    """phi(2 size) - phi(size) for shapes [g, 2]."""
    once, twice = power_basis(shapes, np.array([size, 2.0 * size]), sizes).T
    return np.asarray(twice - once)


def _half(shapes: Floats, sizes: Sizes) -> Floats:
    """Size at which phi is 1/2, for shapes [g, 2]."""
    offset, decay = np.exp(shapes).T
    end = np.expm1(-decay * np.log1p(max(sizes) / offset))
    return np.asarray(offset * np.expm1(-np.log1p(end / 2) / decay))


@lru_cache(maxsize=64)
def _sizes_tried(sizes: Sizes) -> Floats:
    positive = [size for size in sizes if size > 0]
    return np.geomspace(min(positive) / 20, HORIZON * max(positive), 120)


@lru_cache(maxsize=64)
def _doublings(sizes: Sizes) -> Floats:
    """phi(2 n) - phi(n) for all shapes and all sizes tried [g, n]."""
    at, shapes = _sizes_tried(sizes), power_shapes(sizes)
    return power_basis(shapes, 2 * at, sizes) - power_basis(shapes, at, sizes)


def last_above(gains: Floats, delta: float, at: Floats) -> Floats:
    """The size at which gains [g, n] over sizes ``at`` [n] fall below ``delta`` for good; 0: never above it, inf: not yet.

    Between two sizes it is interpolated on their logarithms.
    """
    above = gains >= delta
    last = above.shape[1] - 1 - np.argmax(above[:, ::-1], axis=1)
    left = np.minimum(last, len(at) - 2)
    rows = np.arange(len(gains))
    start, end = gains[rows, left], gains[rows, left + 1]
    share = np.clip((start - delta) / np.where(start > end, start - end, 1.0), 0.0, 1.0)
    crossing = np.exp(np.log(at[left]) + share * (np.log(at[left + 1]) - np.log(at[left])))
    return np.where(~above.any(axis=1), 0.0, np.where(last == len(at) - 1, math.inf, crossing))
