"""Intervals of what a saturating curve implies: gain per doubling, size of half the gain, size that is enough.

The curve here is always the power law of :mod:`dist_stilts.analysis.forms`, whatever form describes the scores best: a
constant, a logarithm and a straight line are among its limits, so that an interval from it presumes no choice. It is
written as ``a + b phi(n)`` with phi(0) = 0 and phi(largest) = 1, on a grid of shapes phi.

A value of a quantity is inside its interval if the best curve that has this value costs at most so much more than the
best curve of all as it would in 95 % of scores drawn about that very curve, each draw with its own variance (hybrid
resampling: Chuang & Lai 2000, "Hybrid resampling methods for confidence intervals", Statistica Sinica 10). One limit
for all values, or percentiles of refitted draws, would be wrong: the best fit often sits on a border of the shapes, and
without a gain there is no shape to be estimated (Davies 1987). The limit is therefore found anew at either end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dist_stilts.analysis.forms import FORMS, Sizes, minimise, offsets_of_halves, power_basis

Floats = NDArray[np.floating[Any]]

LEVEL = 0.95
HORIZON = 2
"""No statement reaches beyond this many times the largest size."""
HALVES, BENDS = 24, 14
"""The grid of shapes: sizes of half the gain, times exponents."""
ROUNDS = 2
"""How often the limit of an end is found anew."""
LEAST_SLOPE = 1e-9
"""Stands for 0 where a share of the gain per doubling is divided by."""
FAR = 30.0
"""Shapes that cost so much more than the best are left out of the finer grid."""
LEAST_BETA, MOST_BETA = -0.3, 30.0
"""From what does not saturate, so that a logarithm is no border, to exponential saturation."""


class Interval(NamedTuple):
    """Lower and upper end."""

    low: float
    high: float


class Grid(NamedTuple):
    """Shapes (log n0, beta) [g, 2] by size of half the gain [h] and exponent, the exponent running fastest."""

    shapes: Floats
    halves: Floats
    bends: Floats


class Metric(NamedTuple):
    """Shapes in units of the noise: means [k] have the coordinates ``z = unit @ means``, and their best b is z / root.

    The least squares about shape g are ``total - z[g]**2``; with b given, ``(z[g] - root[g] * b)**2`` more.
    """

    phi: Floats
    unit: Floats
    root: Floats


class Profile:
    """The power law through the means of one curve, and what else is possible.

    Args:
        sizes: [k], 0 among them, at least four; means: [k]; precision: inverse covariance of the means [k, k].
        errors: draws of the errors of the means [draws, k]; None where they are not known: no intervals.
    """

    def __init__(self, sizes: Sizes, means: Floats, precision: Floats, errors: Floats | None) -> None:
        self.largest = max(sizes)
        shape, found = minimise(FORMS["power law"], sizes, means, precision, sizes)
        self.shape = np.array([[shape[0], math.exp(shape[1])]])
        self.b = float(found.b)
        self.tried = _sizes_tried(sizes)
        at = np.array(sizes, np.float64)
        coarse = _coarse(sizes)
        self.grid = _finer(coarse, _metric(coarse, at, precision).unit @ means, self.largest)
        self.metric = _metric(self.grid, at, precision)
        self.z = self.metric.unit @ means
        self.weights = precision.sum(axis=0) / precision.sum()
        self.level, self.level_variance = float(self.weights @ means), float(1 / precision.sum())
        total = float((means - self.level) @ precision @ (means - self.level))
        self.most = max(float((self.z**2).max()), total - float(found.cost))  # the grid may just miss the best fit
        self.drawn = None if errors is None else self.metric.unit @ errors.T

    def per_doubling(self, size: float) -> tuple[float, Interval | None]:
        """Points gained from ``size`` to twice ``size``, and their interval."""
        value = self.b * float(self._doubling(self.shape, size)[0])
        slopes = self._doubling(self.grid.shapes, size)

        def ends(limit: float) -> tuple[float, float]:
            possible, b, off = self._possible(limit)
            return float(((b - off) * slopes[possible]).min()), float(((b + off) * slopes[possible]).max())

        return value, self._interval(value, ends, lambda gain: self._limit(slopes, gain))

    def half_gain(self) -> tuple[float, Interval | None]:
        """Size at which half of the gain between 0 and the largest size is reached; a matter of shape alone."""
        value = float(_half(self.shape, self.largest)[0])
        reached = (self.z**2).reshape(HALVES, BENDS).max(axis=1)

        def ends(limit: float) -> tuple[float, float]:
            return _within(self.grid.halves, self.most - reached - limit, value, self.largest)

        return value, self._interval(value, ends, self._limit_of_half)

    def enough(self, delta: float) -> tuple[float, Interval | None]:
        """Smallest size from which on every doubling brings less than ``delta`` points; ``inf``: beyond the horizon."""
        value = float(last_above(self.b * self._doublings(self.shape), delta, self.tried)[0])
        slopes = self._doublings(self.grid.shapes)

        def ends(limit: float) -> tuple[float, float]:
            possible, b, off = self._possible(limit)
            low, high = (last_above(slopes[possible] * end[:, None], delta, self.tried) for end in (b - off, b + off))
            return float(low.min()), float(high.max())

        def limit(size: float) -> float:
            return self._limit(slopes[:, _nearest(self.tried, size)], delta)

        return value, self._interval(value, ends, limit)

    def band(self, at: Floats) -> tuple[Floats, Floats]:
        """Lower and upper ends of the curve's band at sizes ``at`` [n]; both empty without draws."""
        if self.drawn is None:
            return np.empty(0), np.empty(0)
        slopes, slope = (self._doubling(shapes, self.largest) for shapes in (self.grid.shapes, self.shape))
        possible, b, off = self._possible(self._limit(slopes, self.b * float(slope[0])))
        away = power_basis(self.grid.shapes[possible], at, self.largest)
        away -= (self.metric.phi[possible] @ self.weights)[:, None]
        middle = self.level + b[:, None] * away
        spare = (off * self.metric.root[possible])[:, None]
        width = np.sqrt(spare**2 * self.level_variance + (off[:, None] * away) ** 2)
        return (middle - width).min(axis=0), (middle + width).max(axis=0)

    def _interval(
        self, value: float, ends: Callable[[float], tuple[float, float]], limit: Callable[[float], float]
    ) -> Interval | None:
        """The ends that are possible under their own limits, both found by iteration; None without draws.

        Args:
            ends: from a limit to the least and the most that is possible; limit: from a value to its limit.
        """
        if self.drawn is None:
            return None
        low, high = ends(limit(value))
        for _ in range(ROUNDS):
            low, high = ends(limit(low))[0], ends(limit(high))[1]
        return Interval(min(low, value), max(high, value))  # the grid may just miss the best fit

    def _limit(self, slopes: Floats, value: float) -> float:
        """The most that the best curve with ``b slopes = value`` may cost more than the best of all; slopes: [g]."""
        wanted = self.metric.root * value / np.maximum(slopes, LEAST_SLOPE)
        best = int(np.argmax(wanted * (2 * self.z - wanted)))
        drawn = self._about(best, wanted[best])
        most = _most(drawn)
        drawn *= 2 * wanted[:, None]
        drawn -= wanted[:, None] ** 2
        return float(np.quantile(most - drawn.max(axis=0), LEVEL))

    def _limit_of_half(self, half: float) -> float:
        """The same for curves that have half of their gain at the size ``half``."""
        row = _nearest(self.grid.halves, half)
        block = slice(row * BENDS, (row + 1) * BENDS)
        best = block.start + int(np.argmax(self.z[block] ** 2))
        drawn = self._about(best, self.z[best])
        return float(np.quantile(_most(drawn) - _most(drawn[block]), LEVEL))

    def _about(self, shape: int, z: float) -> Floats:
        """Coordinates [g, draws] of scores drawn about one curve, given by its shape and its own coordinate there."""
        assert self.drawn is not None
        root = self.metric.root[shape]
        return self.drawn + (self.metric.unit @ self.metric.phi[shape] * (z / root if root else 0.0))[:, None]

    def _possible(self, limit: float) -> tuple[NDArray[np.bool_], Floats, Floats]:
        """Which shapes are within the limit [g], their best b [g'] and how far b may be off it [g']."""
        spare = limit - (self.most - self.z**2)
        spare[np.argmax(self.z**2)] = max(limit, 0.0)
        possible = (spare >= 0) & (self.metric.root > 0)
        root = self.metric.root[possible]
        return possible, self.z[possible] / root, np.sqrt(spare[possible]) / root

    def _doubling(self, shapes: Floats, size: float) -> Floats:
        """phi(2 size) - phi(size) [g]."""
        once, twice = power_basis(shapes, np.array([size, 2.0 * size]), self.largest).T
        return np.asarray(twice - once)

    def _doublings(self, shapes: Floats) -> Floats:
        """phi(2 n) - phi(n) at all sizes tried [g, n]."""
        return power_basis(shapes, 2 * self.tried, self.largest) - power_basis(shapes, self.tried, self.largest)


def _most(drawn: Floats) -> Floats:
    """What the best of some shapes explains of every draw [draws]; drawn: coordinates [g, draws]."""
    return np.asarray(np.maximum(drawn.max(axis=0), -drawn.min(axis=0)) ** 2)


def _nearest(sizes: Floats, size: float) -> int:
    """Place of the size in an ascending grid that is nearest to ``size``, which may be 0 or infinite."""
    return int(np.argmin(np.abs(np.log(sizes) - math.log(min(max(size, sizes[0]), sizes[-1])))))


def _metric(grid: Grid, at: Floats, precision: Floats) -> Metric:
    """Shapes that are flat over the sizes ``at`` [k] get zeros."""
    phi = power_basis(grid.shapes, at, at.max())
    weighted = (phi - (phi @ precision.sum(axis=0) / precision.sum())[:, None]) @ precision
    information = np.einsum("gk,gk->g", weighted, phi)
    root = np.sqrt(np.where(information > 1e-12 * np.trace(precision), information, 0.0))
    return Metric(phi, weighted / np.where(root > 0, root, np.inf)[:, None], root)


def _coarse(sizes: Sizes) -> Grid:
    first, last = min(size for size in sizes if size > 0), max(sizes)
    bends = np.linspace(math.asinh(LEAST_BETA / 0.3), math.asinh(MOST_BETA / 0.3), BENDS)
    return _product(np.geomspace(first / 20, 0.4995 * last, HALVES), bends, last)


def _product(halves: Floats, bends: Floats, largest: int) -> Grid:
    """All pairs; ``bends`` are asinh(beta / 0.3), even steps of which are about as different everywhere."""
    half, bend = (part.ravel() for part in np.meshgrid(halves, bends, indexing="ij"))
    beta = 0.3 * np.sinh(bend)
    return Grid(np.stack([offsets_of_halves(half, beta, float(largest)), beta], axis=-1), halves, bends)


def _finer(grid: Grid, z: Floats, largest: int) -> Grid:
    """As many shapes, on what is left of the grid without those that are :data:`FAR` from the best; z: [g]."""
    near = (z**2 >= (z**2).max() - FAR).reshape(HALVES, BENDS)
    first_half, last_half = _reach(grid.halves, near.any(axis=1))
    first_bend, last_bend = _reach(grid.bends, near.any(axis=0))
    return _product(np.geomspace(first_half, last_half, HALVES), np.linspace(first_bend, last_bend, BENDS), largest)


def _reach(axis: Floats, near: NDArray[np.bool_]) -> tuple[float, float]:
    """First and last of an axis that are near, and one more on either side."""
    inside = np.flatnonzero(near)
    return float(axis[max(inside[0] - 1, 0)]), float(axis[min(inside[-1] + 1, len(axis) - 1)])


def _half(shapes: Floats, largest: float) -> Floats:
    """Size at which phi is 1/2, for shapes [g, 2]."""
    offset, beta = np.exp(shapes[:, 0]), shapes[:, 1]
    end = np.expm1(-beta * np.log1p(largest / offset))
    return np.asarray(offset * np.expm1(-np.log1p(end / 2) / beta))


def _sizes_tried(sizes: Sizes) -> Floats:
    positive = [size for size in sizes if size > 0]
    return np.geomspace(min(positive) / 20, HORIZON * max(positive), 120)


def _within(halves: Floats, over: Floats, value: float, largest: float) -> Interval:
    """The sizes around ``value`` up to where ``over`` crosses 0, on straight lines in their logarithms.

    Where the grid's first or last size is among them, so is what lies beyond: 0, or half of the largest size.
    """
    inside, logs = np.flatnonzero(over <= 0), np.log(halves)
    if not len(inside):
        return Interval(value, value)
    first, last = int(inside[0]), int(inside[-1])
    low, high = -math.inf, math.log(largest / 2)
    if first:
        low = np.interp(0.0, over[[first, first - 1]], logs[[first, first - 1]])
    if last + 1 < len(over):
        high = np.interp(0.0, over[last : last + 2], logs[last : last + 2])
    return Interval(math.exp(low), math.exp(high))


def last_above(gains: Floats, delta: float, at: Floats) -> Floats:
    """The size from which on gains [g, n] at sizes ``at`` [n] are below ``delta``; 0: all of them are, inf: not yet.

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
