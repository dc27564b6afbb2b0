"""Regression of one value per language on a distance, beside covariates: languages are the units.

A distance is a property of a language, so the evidence for its effect grows with the number of languages, not with that
of scores: intervals use Student's t with languages - 2 - covariates degrees of freedom. Languages count as independent;
that related ones are not (Galton's problem) is not modelled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

LEAST_LANGUAGES = 5
LEAST_DEGREES = 5
"""With fewer degrees of freedom left, covariates are not adjusted for: they would use up what there is."""
LEVEL = 0.95
POWER = 0.8


@dataclass(frozen=True)
class Unadjusted:
    """Covariates that a regression leaves out, and why."""

    covariates: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"not adjusted for {', '.join(self.covariates)}: {self.reason}"


@dataclass(frozen=True)
class Predictors:
    """What languages are compared by.

    Attributes:
        languages: L names; distance: [L]; covariates: [L, k], each of mean 0 and standard deviation 1.
        unknown: languages whose distance is not known: left out.
    """

    languages: tuple[str, ...]
    distance: Floats
    covariates: Floats
    unknown: tuple[str, ...] = ()
    unadjusted: tuple[Unadjusted, ...] = ()

    @property
    def degrees(self) -> int:
        """Residual degrees of freedom of one value per language."""
        return len(self.languages) - 2 - self.covariates.shape[1]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, in words."""
        unknown = [f"distance unknown, left out: {' '.join(self.unknown)}"] if self.unknown else []
        return (*unknown, *map(str, self.unadjusted))

    def others(self) -> Floats:
        """[L, 1 + k] constant and covariates."""
        return np.column_stack([np.ones(len(self.languages)), self.covariates])


@dataclass(frozen=True)
class Slope:
    """Change of a value per unit of distance with its standard error; nan where there is none (see ``note``)."""

    estimate: float
    error: float
    note: str = ""

    def interval(self, degrees: int) -> tuple[float, float]:
        """95 % interval."""
        from scipy.stats import t

        half = float(t.ppf((1 + LEVEL) / 2, degrees)) * self.error
        return self.estimate - half, self.estimate + half


def predictors(distance: pd.Series, covariates: pd.DataFrame, languages: Sequence[str]) -> Predictors | str:
    """Languages with a known distance, and the covariates that are usable among them; or why there is no regression.

    Args:
        distance: by language; nan where unknown.
        covariates: [language x covariate]; may lack languages.
        languages: those with a value.
    """
    known = distance.reindex(sorted(set(languages))).dropna()
    names, values = tuple(known.index), known.to_numpy(float)
    if len(names) < LEAST_LANGUAGES:
        return f"{many(len(names), 'language')} with a known distance, at least {LEAST_LANGUAGES} are needed"
    if np.ptp(values) < 1e-9:
        return f"all {len(names)} languages are at the same distance"
    columns, unadjusted = _usable(values, covariates.reindex(names))
    return Predictors(names, values, columns, tuple(sorted(set(languages) - set(names))), tuple(unadjusted))


def _usable(distance: Floats, covariates: pd.DataFrame) -> tuple[Floats, list[Unadjusted]]:
    kept: list[Floats] = []
    names, left_out = [], []
    for name in covariates.columns:
        values = covariates[name].to_numpy(float)
        unknown = list(covariates.index[np.isnan(values)])
        if unknown:
            few = " ".join(unknown[:4]) + (" ..." if len(unknown) > 4 else "")
            left_out.append(Unadjusted((name,), f"unknown for {few}"))
        elif np.ptp(values) < 1e-9:
            left_out.append(Unadjusted((name,), "the same for all languages"))
        elif _dependent([np.ones(len(distance)), distance, *kept, values]):
            left_out.append(Unadjusted((name,), "not to be told from the distance and other covariates"))
        else:
            kept.append((values - values.mean()) / values.std(ddof=1))
            names.append(name)
    if kept and len(distance) - 2 - len(kept) < LEAST_DEGREES:
        left_out.append(Unadjusted(tuple(names), f"too few languages ({len(distance)})"))
        kept = []
    return (np.column_stack(kept) if kept else np.empty((len(distance), 0))), left_out


def _dependent(columns: list[Floats]) -> bool:
    matrix = np.column_stack([column / np.linalg.norm(column) for column in columns])
    return bool(np.linalg.svd(matrix, compute_uv=False)[-1] < 1e-6)


def language_values(pairs: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """One value per language where each has one per unit, a unit being a target after an intermediate task.

    The languages' part of ``value = language + unit`` by weighted least squares, so that a language is not judged by
    which targets happen to have test data in it.

    Args:
        pairs: unit, language, value and weight (inverse variance up to a factor), one row per pair.

    Returns:
        Values, and the sampling variance of each that the scatter within languages shows (0 where there is one unit).
    """
    languages, rows = np.unique(pairs["language"].to_numpy(str), return_inverse=True)
    units, columns = np.unique(pairs["unit"].to_numpy(str), return_inverse=True)
    values, weights = pairs["value"].to_numpy(float), pairs["weight"].to_numpy(float)
    if len(units) == 1:
        return pd.Series(values, pairs["language"].to_numpy(str)), pd.Series(0.0, pairs["language"].to_numpy(str))
    matrix = np.column_stack([np.eye(len(languages))[rows], np.eye(len(units))[columns] - 1 / len(units)])
    root = np.sqrt(weights)
    solution = np.linalg.lstsq(matrix * root[:, None], values * root, rcond=None)[0]
    degrees = len(values) - len(languages) - len(units) + 1
    variance = float((weights * (values - matrix @ solution) ** 2).sum()) / degrees if degrees > 0 else 0.0
    information = np.bincount(rows, weights)
    return pd.Series(solution[: len(languages)], languages), pd.Series(variance / information, languages)


def weights_of(values: Floats, variances: Floats, given: Predictors) -> Floats:
    """[L] inverse variances: the sampling variance of each value plus one between languages, the same for all.

    The latter solves ``sum of squared standardised residuals = degrees of freedom`` (Paule & Mandel 1982); without
    differences in the sampling variances these are equal weights.
    """
    from scipy.optimize import brentq

    if np.ptp(variances) <= 1e-9 * max(float(variances.max()), 1e-300):
        return np.ones(len(values))
    floor = 1e-6 * float(variances.max())

    def surplus(between: float) -> float:
        weights = 1 / (variances + between)
        root = np.sqrt(weights)
        matrix = np.column_stack([given.others(), given.distance])
        fitted = matrix @ np.linalg.lstsq(matrix * root[:, None], values * root, rcond=None)[0]
        return float((weights * (values - fitted) ** 2).sum()) - given.degrees

    top = float(np.var(values)) * len(values) + floor
    between = brentq(surplus, floor, top) if surplus(floor) > 0 > surplus(top) else floor
    weights = 1 / (variances + between)
    return np.asarray(weights / weights.mean())


def weighted_slope(values: Floats, weights: Floats, given: Predictors) -> Slope:
    """Weighted least squares of one value per language [L] on constant, covariates and distance."""
    matrix = np.column_stack([given.others(), given.distance])
    root = np.sqrt(weights)
    solution = np.linalg.lstsq(matrix * root[:, None], values * root, rcond=None)[0]
    variance = float((weights * (values - matrix @ solution) ** 2).sum()) / given.degrees
    covariance = variance * np.linalg.inv((matrix * weights[:, None]).T @ matrix)
    return Slope(float(solution[-1]), math.sqrt(max(float(covariance[-1, -1]), 0.0)))


def detectable(error: float, degrees: int) -> float:
    """The smallest true effect that a two-sided test at the 5 % level finds with 80 % power.

    From the noncentral t distribution, for one test by itself; after a correction for several tests it is larger.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    critical = float(t.ppf((1 + LEVEL) / 2, degrees))
    # The other tail adds less than 1e-6 where the power is 80 %.
    return error * float(brentq(lambda shift: nct.sf(critical, degrees, shift) - POWER, 0.0, 10 * critical))


def many(count: int, what: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
