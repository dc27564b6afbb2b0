"""The four forms of a score against the number of training examples, and their exact fitting.

    constant     f(n) = c
    log-linear   f(n) = a + b log2(1 + n / n0)
    power law    f(n) = e_inf - A (n + n0)^-beta                          saturating; A < 0 for a falling curve
    log-law      f(n) = (log A + alpha log(n + n0))^beta                  Isik et al. (2024), arXiv 2402.04177, eq. 1

The offset n0 lets n = 0, the run without any intermediate example, be part of the curve. Once the shape parameters
(n0, beta, ...) are fixed every form is ``a + b phi(n)`` or ``b phi(n)``, linear in what is left, which is solved in
closed form (variable projection: Golub & Pereyra 1973). The shapes are tried on a fixed grid, all at once, so that the
optimum needs no starting values and cannot be missed by a bad one; a pattern search around the best of the grid then
makes the point estimate exact.

Promise: pure and deterministic; never fails on finite scores, whatever they are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]
Sizes = tuple[int, ...]

MOVES = 60
"""Most moves of the pattern search."""
LEAST_STEP = 1e-3
"""Where the pattern search ends, in steps of the grid."""
LEAST_BETA, MOST_BETA = 0.05, 12.0
"""Exponents of the grid: hardly to be told from a logarithm, and from exponential saturation."""


class Solution(NamedTuple):
    """Least squares of ``a + b phi`` for every curve [...] and every shape [g]; ``information`` [g] is 1 / var(b)."""

    a: Floats
    b: Floats
    cost: Floats
    information: Floats


@dataclass(frozen=True)
class Form:
    """One family of curves.

    Attributes:
        parameters: how many the mean has, shape parameters included.
        intercept: whether the curve is ``a + b phi(n)`` or ``b phi(n)``.
        shapes: from the sizes of an experiment to the grid of shapes [g, d].
        basis: from shapes [..., d], sizes [k] and the sizes of the experiment to phi [..., k].
        steps: first steps of the pattern search, per shape parameter [d].
        read: from a shape, a, b and the sizes of the experiment to the named parameters.
        value: from the named parameters and sizes to scores.
    """

    name: str
    parameters: int
    intercept: bool
    shapes: Callable[[Sizes], Floats]
    basis: Callable[[Floats, Floats, Sizes], Floats]
    steps: tuple[float, ...]
    read: Callable[[Floats, float, float, Sizes], dict[str, float]]
    value: Callable[[dict[str, float], Floats], Floats]


@dataclass(frozen=True)
class Fit:
    """A fitted form; calling it on sizes gives scores.

    Attributes:
        form: a name in :data:`FORMS`.
        parameters: by name, as in the formulas of this module.
        aicc: corrected AIC over runs, up to a constant common to all forms; ``inf`` where there are too few runs.
        held_out_error: points by which the fit to all sizes but the largest misses the largest; None where those
            sizes are fewer than the form's parameters.
    """

    form: str
    parameters: dict[str, float]
    aicc: float
    held_out_error: float | None

    def __call__(self, sizes: ArrayLike) -> Floats:
        """Fitted scores at ``sizes``, percent."""
        return FORMS[self.form].value(self.parameters, np.asarray(sizes, np.float64))


def solve(phi: Floats, scores: Floats, precision: Floats, *, intercept: bool) -> Solution:
    """Generalised least squares of ``b phi`` or ``a + b phi`` in closed form, for all curves and shapes at once.

    Args:
        phi: [g, k]; scores: [..., k]; precision: inverse covariance of the k scores [k, k].

    Returns:
        Solutions over [..., g]; a shape that is flat over the sizes gets b = 0.
    """
    weights = precision.sum(axis=0) / precision.sum() if intercept else np.zeros(len(precision))
    middle, level = phi @ weights, scores @ weights
    phi, scores = phi - middle[:, None], scores - level[..., None]
    weighted = phi @ precision
    information = np.einsum("gk,gk->g", weighted, phi)
    flat = information <= 1e-12 * np.trace(precision)
    b = np.where(flat, 0.0, scores @ weighted.T / np.where(flat, 1.0, information))
    total = np.einsum("...k,...k->...", scores @ precision, scores)
    cost = np.maximum(total[..., None] - b * b * information, 0.0)
    return Solution(level[..., None] - b * middle, b, cost, information)


def minimise(form: Form, sizes: Sizes, scores: Floats, precision: Floats, design: Sizes) -> tuple[Floats, Solution]:
    """Shape [d] and coefficients of the least-squares fit: the best of the grid, made exact by a pattern search.

    Args:
        sizes: [k] of the scores; design: all sizes of the experiment, which set the grid.
    """
    at = np.asarray(sizes, np.float64)

    def solved(shapes: Floats) -> Solution:
        return _proper(form, solve(form.basis(shapes, at, design), scores, precision, intercept=form.intercept))

    grid = form.shapes(design)
    shape = grid[int(np.argmin(solved(grid).cost))]
    moves, scale = _moves(form), 1.0
    low, high = grid.min(axis=0, initial=math.inf), grid.max(axis=0, initial=-math.inf)
    for _ in range(MOVES if len(moves) > 1 else 0):
        around = np.clip(shape + scale * moves * form.steps, low, high)
        best = int(np.argmin(solved(around).cost))
        shape = around[best]
        if np.abs(moves[best]).max() < 1:  # else the optimum may be farther out: stay as coarse
            scale /= 2
        if scale < LEAST_STEP:
            break
    return shape, Solution(*(part[..., 0] for part in solved(shape[None])))


@cache
def _moves_of(shape_parameters: tuple[bool, ...]) -> Floats:
    """Neighbours of a shape, itself first, in steps [m, d]; a shape parameter that is fixed stays."""
    ticks = (0.0, -0.5, 0.5, -1.0, 1.0)
    return np.array(list(itertools.product(*(ticks if free else (0.0,) for free in shape_parameters))))


def _moves(form: Form) -> Floats:
    return _moves_of(tuple(step > 0 for step in form.steps))


def _proper(form: Form, solution: Solution) -> Solution:
    """Without an intercept a negative coefficient would be a negative score: such shapes are not eligible."""
    if form.intercept:
        return solution
    return solution._replace(cost=np.where(solution.b < 0, math.inf, solution.cost))


def fit_forms(sizes: Sizes, means: Floats, within: float, runs: Floats, variances: Floats) -> tuple[Fit, ...]:
    """Every form that has fewer parameters than there are sizes, in the order of :data:`FORMS`.

    Args:
        sizes: [k] distinct; means: mean score per size [k].
        within: weighted sum of squares of the runs around the means of their sizes.
        runs: [k] runs per size; variances: [k] variance of one run per size, relative.
    """
    return tuple(
        _fit(form, sizes, means, within, runs, variances) for form in FORMS.values() if len(sizes) > form.parameters
    )


def _fit(form: Form, sizes: Sizes, means: Floats, within: float, runs: Floats, variances: Floats) -> Fit:
    weights = runs / variances
    shape, found = minimise(form, sizes, means, np.diag(weights), sizes)
    parameters = form.read(shape, float(found.a), float(found.b), sizes)
    score = aicc(within + float(found.cost), int(runs.sum()), form.parameters + 1)
    return Fit(form.name, parameters, score, _held_out_error(form, sizes, means, weights))


def _held_out_error(form: Form, sizes: Sizes, means: Floats, weights: Floats) -> float | None:
    if len(sizes) - 1 < max(form.parameters, 1):
        return None
    last = int(np.argmax(sizes))
    rest = np.delete(np.arange(len(sizes)), last)
    kept = tuple(sizes[index] for index in rest)
    shape, found = minimise(form, kept, means[rest], np.diag(weights[rest]), sizes)
    phi = form.basis(shape[None], np.array([sizes[last]], np.float64), sizes)[0, 0]
    return abs(float(found.a + found.b * phi) - float(means[last]))


def aicc(squares: float, observations: int, parameters: int) -> float:
    """Corrected AIC (Hurvich & Tsai 1989) of a least-squares fit; ``parameters`` counts the variance, too."""
    spare = observations - parameters - 1
    if spare <= 0:
        return math.inf
    per_run = max(squares / observations, 1e-6)  # equal scores: a perfect fit is not infinitely good
    return observations * math.log(per_run) + 2 * parameters + 2 * parameters * (parameters + 1) / spare


def choose(fits: tuple[Fit, ...], tolerance: float = 2.0) -> Fit | None:
    """Among the forms within ``tolerance`` of the least AICc the one with the least error at the held-out largest size.

    Where the runs are too few for the AICc of any form that bends, the held-out error alone decides. None where there
    is nothing to choose from.
    """
    if len(fits) < 2:
        return None
    least = min(fit.aicc for fit in fits)
    bends = any(math.isfinite(fit.aicc) for fit in fits if fit.form != "constant")
    near = [fit for fit in fits if not bends or fit.aicc <= least + tolerance]
    return min(near, key=lambda fit: (math.inf if fit.held_out_error is None else fit.held_out_error, fit.aicc))


def _span(design: Sizes) -> tuple[float, float]:
    """Smallest and largest size above 0."""
    positive = [size for size in design if size > 0]
    return (float(min(positive)), float(max(positive))) if positive else (1.0, 1.0)


def _offsets(design: Sizes, count: int) -> Floats:
    """log n0, from almost a step at the first example to almost a straight line in n."""
    first, last = _span(design)
    return np.linspace(math.log(first * 1e-4), math.log(last * 30), count)


def _product(*axes: Floats) -> Floats:
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=-1)


def _log_basis(shape: Floats, n: Floats, design: Sizes) -> Floats:
    return np.log1p(n / np.exp(shape[..., :1])) / math.log(2)


def power_basis(shapes: Floats, n: Floats, largest: float) -> Floats:
    """Share of the gain from 0 to the largest size that is reached at n [..., k], for shapes (log n0, beta) [..., 2].

    Through beta = 0 it is continued by the logarithm, below 0 by powers that never saturate.
    """
    offset, beta = np.exp(shapes[..., :1]), shapes[..., 1:]
    beta = np.where(np.abs(beta) < 1e-6, 1e-6, beta)
    return np.expm1(-beta * np.log1p(n / offset)) / np.expm1(-beta * np.log1p(largest / offset))


def offsets_of_halves(halves: Floats, betas: Floats, largest: float) -> Floats:
    """The log n0 with which half of the gain is reached at ``halves`` < largest / 2, given beta; all of one shape."""
    low, high = np.log(halves) - 60.0, np.full_like(halves, math.log(largest) + 16.0)
    for _ in range(50):  # the larger n0, the later half of the gain: bisection
        middle = (low + high) / 2
        reached = power_basis(np.stack([middle, betas], axis=-1), halves[..., None], largest)[..., 0]
        low, high = np.where(reached > 0.5, middle, low), np.where(reached > 0.5, high, middle)
    return high


@lru_cache(maxsize=64)
def _power_shapes(design: Sizes) -> Floats:
    """(log n0, log beta) [g, 2], even in the size of half the gain, from a step to a straight line."""
    first, last = _span(design)
    pairs = _product(np.geomspace(first / 20, 0.495 * last, 24), np.geomspace(LEAST_BETA, MOST_BETA, 14))
    return np.stack([offsets_of_halves(pairs[:, 0], pairs[:, 1], last), np.log(pairs[:, 1])], axis=-1)


def _power_basis(shapes: Floats, n: Floats, design: Sizes) -> Floats:
    return power_basis(np.stack([shapes[..., 0], np.exp(shapes[..., 1])], axis=-1), n, _span(design)[1])


def _isik_basis(shape: Floats, n: Floats, design: Sizes) -> Floats:
    """(distance + log(n + n0), counted from the end where the score is least) ^ beta; direction -1: a falling curve."""
    offset, beta, distance, direction = (shape[..., index : index + 1] for index in range(4))
    start, end = np.exp(offset), np.exp(offset) + _span(design)[1]
    along = np.where(direction > 0, np.log1p(n / start), np.log(end) - np.log(n + start))
    return np.maximum(np.exp(distance) * np.log(end / start) + along, 0.0) ** np.exp(beta)


def _isik_shapes(design: Sizes) -> Floats:
    beta, distance = np.log(np.geomspace(0.1, 6.0, 8)), np.log(np.geomspace(0.02, 200.0, 12))
    return _product(_offsets(design, 10), beta, distance, np.array([-1.0, 1.0]))


def _isik_read(shape: Floats, a: float, b: float, design: Sizes) -> dict[str, float]:
    offset, beta, distance, direction = (float(part) for part in shape)
    start, end = offset, math.log(math.exp(offset) + _span(design)[1])
    alpha = b ** math.exp(-beta) if b > 0 else 0.0
    away = math.exp(distance) * (end - start)
    level = alpha * (away - start) if direction > 0 else alpha * (away + end)
    return {"log A": level, "alpha": direction * alpha, "beta": math.exp(beta), "n0": math.exp(offset)}


def _power_read(shape: Floats, a: float, b: float, design: Sizes) -> dict[str, float]:
    offset, beta = float(shape[0]), math.exp(float(shape[1]))
    reach = -math.expm1(-beta * math.log1p(_span(design)[1] / math.exp(offset)))
    return {
        "e_inf": a + b / reach,
        "A": b / reach * math.exp(beta * offset),
        "beta": beta,
        "n0": math.exp(offset),
    }


def _no_shape(design: Sizes) -> Floats:
    return np.zeros((1, 0))


FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        Form(
            name="constant",
            parameters=1,
            intercept=False,
            shapes=_no_shape,
            basis=lambda shape, n, design: np.ones((*shape.shape[:-1], len(n))),
            steps=(),
            read=lambda shape, a, b, design: {"c": b},
            value=lambda p, n: np.full_like(n, p["c"]),
        ),
        Form(
            name="log-linear",
            parameters=3,
            intercept=True,
            shapes=lambda design: _offsets(design, 48)[:, None],
            basis=_log_basis,
            steps=(0.2,),
            read=lambda shape, a, b, design: {"a": a, "b": b, "n0": math.exp(float(shape[0]))},
            value=lambda p, n: p["a"] + p["b"] * np.log2(1 + n / p["n0"]),
        ),
        Form(
            name="power law",
            parameters=4,
            intercept=True,
            shapes=_power_shapes,
            basis=_power_basis,
            steps=(0.3, 0.2),
            read=_power_read,
            value=lambda p, n: p["e_inf"] - p["A"] * (n + p["n0"]) ** -p["beta"],
        ),
        Form(
            name="log-law",
            parameters=4,
            intercept=False,
            shapes=_isik_shapes,
            basis=_isik_basis,
            steps=(0.5, 0.3, 0.4, 0.0),
            read=_isik_read,
            value=lambda p, n: np.maximum(p["log A"] + p["alpha"] * np.log(n + p["n0"]), 0.0) ** p["beta"],
        ),
    )
}
"""Every form by name, simplest first."""
