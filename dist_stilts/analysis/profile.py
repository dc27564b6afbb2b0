"""Intervals of what a saturating curve implies: gain per doubling, size of half the gain, size that is enough.

The curve here is always the power law of :mod:`dist_stilts.analysis.forms`, whatever form describes the scores best: a
constant, a logarithm and a straight line are among its limits, so that an interval from it presumes no choice. Written
as ``a + b phi(n)`` with phi(0) = 0 and phi(largest) = 1, it has on a grid of shapes a closed-form profile likelihood: a
value of a quantity is inside the interval if some shape reaches it at a cost of at most ``limit`` above the best fit's.

The draws give the limit: the 95 % quantile of what a curve's own value costs in scores drawn about that curve, each
draw with its own variance (a bootstrap-calibrated likelihood ratio; Beran 1987, "Prepivoting to reduce level error of
confidence sets", Biometrika 74). The curve drawn about is the middle of those that are likely, not the best fit, which
often sits on a border of the shapes. Where a curve without any gain is possible it is drawn about, too, and the larger
limit counts: without a gain there is no shape to be estimated, and the cost has another distribution (Davies 1987).
The size of half the gain, a matter of shape alone, takes the larger limit of the likely and of the best curve.
Percentiles of refitted draws would be wrong in all these places.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dist_stilts.analysis.forms import FORMS, Sizes, Solution, minimise, offsets_of_halves, power_basis, solve

Floats = NDArray[np.floating[Any]]

LEVEL = 0.95
HORIZON = 2
"""No statement reaches beyond this many times the largest size."""
HALVES, BENDS = 24, 14
"""The grid of shapes: sizes of half the gain, times exponents."""
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
        grid = _coarse(sizes)
        costs = solve(power_basis(grid.shapes, at, self.largest), means, precision, intercept=True).cost
        self.grid = _finer(grid, costs, self.largest)
        phi = power_basis(self.grid.shapes, at, self.largest)
        self.fits = solve(phi, means, precision, intercept=True)
        self.least = min(float(found.cost), float(self.fits.cost.min()))
        self.weights = precision.sum(axis=0) / precision.sum()
        self.level_variance = float(1 / precision.sum())
        self.middle = phi @ self.weights
        self.centre = self._likely()
        self.drawn: Solution | None = None
        if errors is not None:
            self._draw(phi, precision, errors)

    def _likely(self) -> int:
        """The shape in the middle of those that are likely, weighted by their likelihoods."""
        likelihood = np.exp(-(self.fits.cost - self.least) / 2)
        half, bend = np.divmod(np.arange(len(likelihood)), BENDS)
        middle = [round(float((likelihood * part).sum() / likelihood.sum())) for part in (half, bend)]
        return middle[0] * BENDS + middle[1]

    def _draw(self, phi: Floats, precision: Floats, errors: Floats) -> None:
        """Refit draws about the likely curve, the best one and a flat one, for what their own values cost in them."""

        def about(shape: int) -> Solution:
            return solve(phi, self.fits.b[shape] * phi[shape] + errors, precision, intercept=True)

        best = int(np.argmin(self.fits.cost))
        self.drawn = about(self.centre)
        self.drawn_least = self.drawn.cost.min(axis=1)
        self.half_limit = max(_limit_of_half(self.drawn, self.centre), _limit_of_half(about(best), best))
        about_flat = solve(phi, errors, precision, intercept=True)
        self.flat_limit = float(np.quantile((about_flat.b**2 * about_flat.information).max(axis=1), LEVEL))
        no_gain = float((self.fits.cost + self.fits.b**2 * self.fits.information)[0]) - self.least
        self.maybe_flat = no_gain <= self.flat_limit

    def per_doubling(self, size: float) -> tuple[float, Interval | None]:
        """Points gained from ``size`` to twice ``size``, and their interval."""
        value = self.b * float(self._doubling(self.shape, size)[0])
        if self.drawn is None:
            return value, None
        slopes = self._doubling(self.grid.shapes, size)
        possible, off = self._possible(self._limit(slopes))
        middle, width = (self.fits.b * slopes)[possible], off * slopes[possible]
        return value, _around(value, float((middle - width).min()), float((middle + width).max()))

    def half_gain(self) -> tuple[float, Interval | None]:
        """Size at which half of the gain between 0 and the largest size is reached; a matter of shape alone."""
        value = float(_half(self.shape, self.largest)[0])
        if self.drawn is None:
            return value, None
        over = self.fits.cost.reshape(HALVES, BENDS).min(axis=1) - self.least - self.half_limit
        return value, _around(value, *_within(self.grid.halves, over, value, self.largest))

    def enough(self, delta: float) -> tuple[float, Interval | None]:
        """Smallest size from which on every doubling brings less than ``delta`` points; ``inf``: beyond the horizon."""
        value = float(last_above(self.b * self._doublings(self.shape), delta, self.tried)[0])
        if self.drawn is None:
            return value, None
        slopes = self._doublings(self.grid.shapes)
        near = int(np.argmin(np.abs(np.log(self.tried) - math.log(min(max(value, self.tried[0]), self.tried[-1])))))
        possible, off = self._possible(self._limit(slopes[:, near]))
        low, high = (
            last_above(slopes[possible] * b[:, None], delta, self.tried)
            for b in (self.fits.b[possible] - off, self.fits.b[possible] + off)
        )
        return value, _around(value, float(low.min()), float(high.max()))

    def band(self, at: Floats) -> tuple[Floats, Floats]:
        """Lower and upper ends of the curve's band at sizes ``at`` [n]; both empty without draws."""
        if self.drawn is None:
            return np.empty(0), np.empty(0)
        limit = self._limit(self._doubling(self.grid.shapes, self.largest))
        possible, off = self._possible(limit)
        phi = power_basis(self.grid.shapes[possible], at, self.largest)
        away = phi - self.middle[possible][:, None]
        spare = (off**2 * self.fits.information[possible])[:, None]
        middle = self.fits.a[possible][:, None] + self.fits.b[possible][:, None] * phi
        width = np.sqrt(spare * self.level_variance + (off[:, None] * away) ** 2)
        return (middle - width).min(axis=0), (middle + width).max(axis=0)

    def _limit(self, slopes: Floats) -> float:
        """What the true value of ``b slopes`` [g] may cost more than the best fit."""
        assert self.drawn is not None
        wanted = self.fits.b[self.centre] * slopes[self.centre] / np.maximum(slopes, 1e-100)
        cost = self.drawn.cost + (wanted - self.drawn.b) ** 2 * self.drawn.information
        limit = float(np.quantile(cost.min(axis=1) - self.drawn_least, LEVEL))
        return max(limit, self.flat_limit) if self.maybe_flat else limit

    def _possible(self, limit: float) -> tuple[NDArray[np.bool_], Floats]:
        """Which shapes are within the limit [g], and how far b may be off its best in each of them [g']."""
        spare = limit - (self.fits.cost - self.least)
        spare[np.argmin(self.fits.cost)] = max(limit, 0.0)
        possible = spare >= 0
        return possible, np.sqrt(spare[possible] / self.fits.information[possible])

    def _doubling(self, shapes: Floats, size: float) -> Floats:
        """phi(2 size) - phi(size) [g]."""
        once, twice = power_basis(shapes, np.array([size, 2.0 * size]), self.largest).T
        return np.asarray(twice - once)

    def _doublings(self, shapes: Floats) -> Floats:
        """phi(2 n) - phi(n) at all sizes tried [g, n]."""
        return power_basis(shapes, 2 * self.tried, self.largest) - power_basis(shapes, self.tried, self.largest)


def _limit_of_half(drawn: Solution, shape: int) -> float:
    """What the size of half the gain of the curve drawn about, of this ``shape``, costs more than the best fits."""
    own = drawn.cost.reshape(-1, HALVES, BENDS)[:, shape // BENDS].min(axis=1)
    return float(np.quantile(own - drawn.cost.min(axis=1), LEVEL))


def _coarse(sizes: Sizes) -> Grid:
    first, last = min(size for size in sizes if size > 0), max(sizes)
    bends = np.linspace(math.asinh(LEAST_BETA / 0.3), math.asinh(MOST_BETA / 0.3), BENDS)
    return _product(np.geomspace(first / 20, 0.4995 * last, HALVES), bends, last)


def _product(halves: Floats, bends: Floats, largest: int) -> Grid:
    """All pairs; ``bends`` are asinh(beta / 0.3), even steps of which are about as different everywhere."""
    half, bend = (part.ravel() for part in np.meshgrid(halves, bends, indexing="ij"))
    beta = 0.3 * np.sinh(bend)
    return Grid(np.stack([offsets_of_halves(half, beta, float(largest)), beta], axis=-1), halves, bends)


def _finer(grid: Grid, costs: Floats, largest: int) -> Grid:
    """As many shapes, on what is left of the grid without those that are :data:`FAR` from the best."""
    near = (costs - costs.min() <= FAR).reshape(HALVES, BENDS)
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


def _around(value: float, low: float, high: float) -> Interval:
    """The grid may just miss the best fit, which is always possible."""
    return Interval(min(low, value), max(high, value))


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
