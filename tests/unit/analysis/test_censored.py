from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from dist_stilts.analysis.censored import Censored, censored_slope, ranks, tobit
from dist_stilts.analysis.regression import Predictors


def planted(
    seed: int, languages: int = 30, slope: float = -4.0, limit: float = 10.0
) -> tuple[pd.DataFrame, Predictors]:
    rng = np.random.default_rng(seed)
    names = tuple(f"l{place:02d}" for place in range(languages))
    distance = rng.uniform(0, 1, languages)
    rows = []
    for unit, level in (("u", 11.0), ("v", 10.0)):
        values = level + slope * distance + rng.standard_normal(languages)
        side = np.where(values > limit, 1, 0)
        rows += [(unit, *row) for row in zip(names, np.minimum(values, limit), side, strict=True)]
    pairs = pd.DataFrame(rows, columns=["unit", "language", "value", "side"])
    return pairs, Predictors(names, distance, np.empty((languages, 0)))


def test_tobit_maximises_its_likelihood() -> None:
    rng = np.random.default_rng(0)
    matrix = np.column_stack([np.ones(60), rng.standard_normal(60)])
    values = matrix @ np.array([1.0, 2.0]) + rng.standard_normal(60)
    side = np.where(values > 2, 1, np.where(values < -1, -1, 0))
    values = np.clip(values, -1, 2)

    def negative(parameters: np.ndarray) -> float:
        scale = math.exp(parameters[-1])
        z = (values - matrix @ parameters[:-1]) / scale
        return -float(np.where(side == 0, norm.logpdf(z) - parameters[-1], norm.logcdf(-side * z)).sum())

    reference = minimize(negative, np.array([1.0, 2.0, 0.0]), tol=1e-10).x[:-1]
    assert tobit(Censored(values, side), matrix) == pytest.approx(reference, abs=1e-3)
    least_squares = np.linalg.lstsq(matrix, values, rcond=None)[0]
    assert tobit(Censored(values, 0 * side), matrix) == pytest.approx(least_squares, abs=1e-6), "nothing is censored"


def test_not_reached_does_not_bend_the_slope_and_leaving_it_out_would() -> None:
    slopes, left_out = [], []
    for seed in range(10):
        pairs, given = planted(seed)
        slopes.append(censored_slope(pairs, given).estimate)
        inside = pairs[pairs["side"] == 0]
        distance = dict(zip(given.languages, given.distance, strict=True))
        left_out.append(np.polyfit(inside["language"].map(distance), inside["value"], 1)[0])
    assert np.mean(slopes) == pytest.approx(-4.0, abs=0.5)
    assert np.mean(left_out) > -3.2


def test_intervals_cover_the_planted_slope() -> None:
    covered = []
    for seed in range(25):
        pairs, given = planted(seed, languages=14)
        low, high = censored_slope(pairs, given).interval(given.degrees)
        covered.append(low <= -4.0 <= high)
    assert 0.85 <= np.mean(covered) <= 1.0


@pytest.mark.parametrize(
    ("limit", "languages", "note"),
    [(-10.0, 30, "0 languages where the end is known"), (100.0, 3, "too few ends are known")],
)
def test_without_enough_ends_there_is_no_slope_and_that_is_said(limit: float, languages: int, note: str) -> None:
    pairs, given = planted(3, languages, limit=limit)
    slope = censored_slope(pairs[pairs["unit"] == "u"], given)
    assert math.isnan(slope.estimate)
    assert note in slope.note


def test_ranks_tie_what_was_not_reached_at_the_top() -> None:
    pairs = pd.DataFrame({"unit": "u", "language": list("abcd"), "value": [5.0, 7.0, 5.5, 7.0], "side": [-1, 1, 0, 1]})
    assert ranks(pairs)["value"].tolist() == [0.25, 0.875, 0.5, 0.875]
