"""Mixed-effects regression of scores on log2(size) x distance: does a doubling bring distant languages less?

    logit(score) = language + target + (language' + target' + slope * distance + covariates) * log2(size)

on the sizes beyond 0, so that the slope is in logits per doubling per unit of distance; what the first examples bring
over none is part of the total gain instead. Scores are percentages of rows, tags or pairs, and a point counts for more
towards 0 and 100: hence the logit, with half a row added on either side (empirical logit). Runs of a cell are pooled.
English is left out: it is the training language, and its distance is 0 by definition.

Languages differ at random in level and slope. Targets have fixed effects; from five on they, too, are random draws, as
a variance between fewer cannot be estimated. Then every (language, target) is first reduced to its slope, which keeps
crossed random effects of many languages and targets affordable and takes out each pair's own level exactly.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dist_stilts.analysis.regression import Predictors, Slope, language_values, weighted_slope, weights_of

Floats = NDArray[np.floating[Any]]

RANDOM_FROM = 5
"""Units (a target after an intermediate task) from which on their effects are random."""
LEAST_VARIANCE = 0.01
"""Of a random effect (the least of any combination of them), in units of its rough size; below, the fit is singular."""
LEAST_SPREAD = 0.1
"""Least rough size of a random effect, in units of the residual standard deviation."""


def logit_cells(scores: pd.DataFrame) -> pd.DataFrame:
    """Empirical logit per (unit, language, size) over runs: log((right + 1/2) / (wrong + 1/2)).

    Args:
        scores: unit, language, size, value (percent) and count, one row per score.

    Returns:
        unit, language, size, score (logit) and x = log2(size), for sizes beyond 0.
    """
    some = scores[scores["size"] > 0]
    right = some["value"].clip(lower=0) / 100 * some["count"]  # of correlations, the only ones below 0
    sums = some.assign(right=right, wrong=some["count"] - right).groupby(["unit", "language", "size"], as_index=False)
    cells = sums[["right", "wrong"]].sum()
    cells["score"] = np.log((cells["right"] + 0.5) / (cells["wrong"] + 0.5))
    cells["x"] = np.log2(cells["size"].to_numpy(float))
    return cells


def pair_slopes(cells: pd.DataFrame) -> pd.DataFrame:
    """Slope of the logit score per doubling of every (unit, language) with at least two sizes beyond 0.

    Returns:
        unit, language, value and weight (the sum of squares of x).
    """
    x, y = cells["x"], cells["score"]
    groups = [cells["unit"], cells["language"]]
    from_mean = x - x.groupby(groups).transform("mean")
    products = cells[["unit", "language"]].assign(product=from_mean * y, weight=from_mean**2)
    pairs = products.groupby(["unit", "language"], as_index=False)[["product", "weight"]].sum()
    pairs = pairs[pairs["weight"] > 1e-9]
    return pairs.assign(value=pairs["product"] / pairs["weight"])[["unit", "language", "value", "weight"]]


def slope_on_distance(cells: pd.DataFrame, pairs: pd.DataFrame, given: Predictors) -> Slope:
    """The distance's effect by the mixed model; where that has no proper fit, in two stages, and the note says so."""
    pairs = pairs[pairs["language"].isin(given.languages)]
    found = _crossed(pairs, given) if pairs["unit"].nunique() >= RANDOM_FROM else _by_language(cells, pairs, given)
    if isinstance(found, Slope):
        return found
    two_stage = two_stage_slope(pairs, given)
    return Slope(two_stage.estimate, two_stage.error, f"in two stages, as the mixed model {found}")


def two_stage_slope(pairs: pd.DataFrame, given: Predictors) -> Slope:
    """One value per language first, then a weighted regression of these on the distance."""
    values, variances = (series.reindex(given.languages).to_numpy(float) for series in language_values(pairs))
    return weighted_slope(values, weights_of(values, variances, given), given)


def _by_language(cells: pd.DataFrame, pairs: pd.DataFrame, given: Predictors) -> Slope | str:
    """All cells; random level and slope by language, fixed ones by unit, a random level by pair."""
    cells = cells.merge(pairs[["unit", "language"]], on=["unit", "language"])
    row = _places(cells["language"], given.languages)
    units = sorted(cells["unit"].unique())
    x = cells["x"].to_numpy(float)
    x_scale, distance_scale = float(x.std()), float(given.distance.std())
    x = (x - x.mean()) / x_scale
    distance = ((given.distance - given.distance.mean()) / distance_scale)[row]
    fixed = np.column_stack([np.ones(len(x)), given.covariates[row]])
    of_unit = (cells["unit"].to_numpy(str)[:, None] == np.array(units[1:], dtype=str)).astype(float)
    plain = np.column_stack([fixed, distance, of_unit])
    matrix = np.column_stack([x * distance, plain, x[:, None] * np.column_stack([fixed, of_unit])])
    components = {"pair": _indicators(cells["unit"].to_numpy(str), row)} if len(units) > 1 else {}
    level, slope, residual = _rough_sizes(cells, pairs)
    if residual <= 0:
        return "is singular (no residual)"
    # The optimiser starts from random effects of variance 1: in these units that is about right.
    sizes = np.maximum([level / residual, slope * x_scale / residual], LEAST_SPREAD)
    random = np.column_stack([np.ones(len(x)), x]) * sizes
    found = _fit(cells["score"].to_numpy(float) / residual, matrix, row, random, components)
    return found if isinstance(found, str) else _scaled(found, x_scale * distance_scale / residual)


def _rough_sizes(cells: pd.DataFrame, pairs: pd.DataFrame) -> tuple[float, float, float]:
    """Standard deviations of levels and slopes between the languages of a unit, and of scores about a pair's line."""
    groups = cells.groupby(["unit", "language"])
    slopes = cells.merge(pairs, on=["unit", "language"], how="left")["value"].to_numpy(float)
    left = cells["score"] - groups["score"].transform("mean") - slopes * (cells["x"] - groups["x"].transform("mean"))
    degrees = len(cells) - 2 * len(pairs)
    levels = groups["score"].mean().groupby("unit").std(ddof=0).mean()
    between = pairs.groupby("unit")["value"].std(ddof=0).mean()
    return float(levels), float(between), math.sqrt(float((left**2).sum()) / degrees) if degrees > 0 else 0.0


def _crossed(pairs: pd.DataFrame, given: Predictors) -> Slope | str:
    """Slopes of pairs; random effects of language and unit, crossed, so that all rows are one group."""
    row = _places(pairs["language"], given.languages)
    values = pairs["value"].to_numpy(float)
    scale, distance_scale = float(values.std()) or 1.0, float(given.distance.std())
    distance = (given.distance - given.distance.mean()) / distance_scale
    matrix = np.column_stack([distance, given.others()])[row]
    everything = np.zeros(len(pairs), int)
    components = {
        "language": _indicators(pairs["language"].to_numpy(str), everything),
        "unit": _indicators(pairs["unit"].to_numpy(str), everything),
    }
    found = _fit(values / scale, matrix, everything, None, components)
    return found if isinstance(found, str) else _scaled(found, distance_scale / scale)


def _scaled(slope: Slope, scale: float) -> Slope:
    return Slope(slope.estimate / scale, slope.error / scale)


def _places(languages: pd.Series, known: tuple[str, ...]) -> NDArray[np.intp]:
    place = {language: index for index, language in enumerate(known)}
    return np.array([place[language] for language in languages])


def _indicators(names: NDArray[Any], groups: NDArray[np.intp]) -> tuple[list[list[str]], list[Floats]]:
    """Per group: the names in it, and which of its rows bear which [rows, names]."""
    found = [names[groups == group] for group in np.unique(groups)]
    inside = [np.unique(rows) for rows in found]
    return [list(known) for known in inside], [
        (rows[:, None] == known).astype(float) for rows, known in zip(found, inside, strict=True)
    ]


def _fit(
    values: Floats,
    matrix: Floats,
    groups: NDArray[np.intp],
    random: Floats | None,
    components: dict[str, tuple[list[list[str]], list[Floats]]],
) -> Slope | str:
    """REML estimate of the first column's coefficient, or why there is none."""
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

    if np.linalg.matrix_rank(matrix) < matrix.shape[1] or len(values) <= matrix.shape[1]:
        return "is not identified"
    named, indicators = ([component[part] for component in components.values()] for part in (0, 1))
    order = np.argsort(groups, kind="stable")
    model = MixedLM(
        values[order],
        matrix[order],
        groups=groups[order],
        exog_re=None if random is None else random[order],
        exog_vc=VCSpec(list(components), named, indicators) if components else None,
    )
    with warnings.catch_warnings():
        # What they warn of is looked at below.
        warnings.simplefilter("ignore")
        try:
            fit = model.fit(reml=True, method="lbfgs")
        except (np.linalg.LinAlgError, ValueError, ZeroDivisionError):
            return "has no fit"
    return _judged(fit, random is not None)


def _judged(fit: Any, slopes: bool) -> Slope | str:
    estimate, error = float(fit.params[0]), float(np.asarray(fit.bse)[0])
    if not fit.converged or not (math.isfinite(estimate) and math.isfinite(error) and error > 0):
        return "does not converge"
    if slopes:
        between = float(np.linalg.eigvalsh(np.asarray(fit.cov_re))[0]) / float(fit.scale)
    else:
        between = float(fit.vcomp[0]) / float(fit.scale)
    return "is singular (no variance between languages)" if between < LEAST_VARIANCE else Slope(estimate, error)
