"""Regression of the size where gains end on distance, where some ends lie outside of what was studied.

"Not reached" is not a missing value: it says that the end lies beyond the largest size. Leaving such languages out
would bend the slope towards 0, so they enter as what they are, censored (Tobit model, Tobin 1958). Standard errors are
by the jackknife over languages, which needs no model of how the targets of a language hang together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dist_stilts.analysis.regression import Predictors, Slope, many

Floats = NDArray[np.floating[Any]]

STEPS = 100
LEAST_INSIDE = 3
"""Languages with an end that is not censored."""


@dataclass(frozen=True)
class Censored:
    """Values [n] with where they are: ``side`` -1 = at most the value, 0 = the value itself, 1 = at least the value."""

    values: Floats
    side: NDArray[np.int64]


def censored_slope(pairs: pd.DataFrame, given: Predictors) -> Slope:
    """Slope of the values on distance, beside covariates and a level for every unit.

    Args:
        pairs: unit, language, value and side (see :class:`Censored`).
    """
    pairs = pairs[pairs["language"].isin(given.languages)]
    inside = pairs.loc[pairs["side"] == 0, "language"].nunique()
    if inside < LEAST_INSIDE:
        return Slope(
            math.nan, math.nan, f"{many(inside, 'language')} where the end is known, at least {LEAST_INSIDE} are needed"
        )
    place = {language: index for index, language in enumerate(given.languages)}
    row = np.array([place[language] for language in pairs["language"]], int)
    unit = np.unique(pairs["unit"].to_numpy(str), return_inverse=True)[1]
    values = Censored(pairs["value"].to_numpy(float), pairs["side"].to_numpy(int))
    predictors = np.column_stack([given.distance, given.covariates])[row]
    estimate = _tobit_slope(values, predictors, unit)
    count = len(given.languages)
    without = np.array([_tobit_slope(values, predictors, unit, row != language) for language in range(count)])
    error = math.sqrt((count - 1) / count * float(((without - without.mean()) ** 2).sum()))
    if not math.isfinite(estimate + error):
        return Slope(math.nan, math.nan, "too few ends are known")
    return Slope(estimate, error)


def _tobit_slope(
    values: Censored, predictors: Floats, unit: NDArray[np.intp], kept: NDArray[np.bool_] | None = None
) -> float:
    """Coefficient of the first predictor, beside a level for every unit; nan where there is none."""
    kept = np.ones(len(unit), bool) if kept is None else kept
    # A unit without any known end has a level that nothing ties down.
    kept = kept & (np.bincount(unit, kept & (values.side == 0))[unit] > 0)
    units = unit[kept][:, None] == np.unique(unit[kept])
    matrix = np.column_stack([predictors[kept], units])
    if len(matrix) <= matrix.shape[1]:
        return math.nan
    solution = tobit(Censored(values.values[kept], values.side[kept]), matrix)
    return math.nan if solution is None else float(solution[0])


def tobit(given: Censored, matrix: Floats) -> Floats | None:
    """Maximum-likelihood coefficients [k] of normal values on the columns of ``matrix`` [n, k], or None.

    Newton's method in coefficients / sigma and 1 / sigma, in which the likelihood is concave (Olsen 1978).
    """
    start = np.linalg.lstsq(matrix, given.values, rcond=None)[0]
    precision = 1 / max(float(np.std(given.values - matrix @ start)), 1e-3)
    parameters = np.append(start * precision, precision)
    rows = np.column_stack([-matrix, given.values])
    likelihood, gradient, hessian = _likelihood(parameters, rows, given.side)
    for _ in range(STEPS):
        try:
            step = np.linalg.solve(hessian, -gradient)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(step).all():
            return None
        size = 1.0
        while size > 1e-8:
            tried = parameters + size * step
            after = _likelihood(tried, rows, given.side) if tried[-1] > 0 else None
            if after is not None and after[0] >= likelihood:
                break
            size /= 2
        else:
            return parameters[:-1] / parameters[-1]
        if abs(float(gradient @ step)) < 1e-10:
            return tried[:-1] / tried[-1]
        parameters, (likelihood, gradient, hessian) = tried, after
    return None


def _likelihood(parameters: Floats, rows: Floats, side: NDArray[np.int64]) -> tuple[float, Floats, Floats]:
    """Log likelihood, its gradient and its Hessian."""
    from scipy.special import log_ndtr

    residuals = rows @ parameters
    inside = side == 0
    # The chance of a value at most (at least) so large is the normal distribution's at (minus) the residual.
    sign = np.where(side < 0, 1.0, -1.0)
    log_share = log_ndtr(sign * residuals)
    hazard = np.exp(-0.5 * residuals**2 - 0.5 * math.log(2 * math.pi) - log_share)
    likelihood = float(
        np.where(inside, -0.5 * residuals**2, log_share).sum() + inside.sum() * math.log(float(parameters[-1]))
    )
    gradient = rows.T @ np.where(inside, -residuals, sign * hazard)
    bend = np.where(inside, 1.0, hazard * (hazard + sign * residuals))
    hessian = -(rows * bend[:, None]).T @ rows
    gradient[-1] += inside.sum() / parameters[-1]
    hessian[-1, -1] -= inside.sum() / parameters[-1] ** 2
    return likelihood, gradient, hessian


def ranks(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs with value = rank within their unit, 0..1, and weight 1: all that are beyond one end are tied there."""
    edge = pairs["value"].to_numpy(float).copy()
    side = pairs["side"].to_numpy(int)
    edge[side != 0] = np.inf * side[side != 0]
    ranked = pairs.assign(value=edge).groupby("unit")["value"].rank(pct=True)
    return pairs.assign(value=ranked, weight=1.0)
