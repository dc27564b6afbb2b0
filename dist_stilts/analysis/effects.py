"""For whom gains diminish: what the curves of the languages have to do with their distance from English.

Four outcomes, each per intermediate task and for all of them together, against each distance by itself:

* ``gain per doubling x distance``: logits per doubling, by mixed-effects regression (:mod:`analysis.mixed`);
* ``size where gains end``: log2 of n*, "not reached" counted as such (:mod:`analysis.censored`);
* ``curvature``: the exponent beta of the power law, of the curves that rise;
* ``total gain``: points from none to all of the examples.

Estimates are per unit of distance, beside the covariates. Languages are the units: intervals are Student's t with
languages - 2 - covariates degrees of freedom. p values come from permuting the distance over the languages (one value
per language; ranks for the two outcomes with long tails), corrected for the number of distances by Holm's method within
an outcome and intermediate task. English is in none of them: it is the training language, and its distance is 0 by
definition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dist_stilts.analysis.censored import censored_slope, ranks
from dist_stilts.analysis.mixed import logit_cells, pair_slopes, slope_on_distance
from dist_stilts.analysis.permutation import holm, least_p, permutation_test
from dist_stilts.analysis.regression import (
    Predictors,
    Slope,
    Unadjusted,
    detectable,
    language_values,
    predictors,
    weighted_slope,
    weights_of,
)
from dist_stilts.analysis.shape import Shape
from dist_stilts.conventions import ENGLISH

if TYPE_CHECKING:
    from dist_stilts.analysis.curves import Curve
    from dist_stilts.analysis.typology import Distances

ALL = "all"
PER_DOUBLING = "gain per doubling x distance"
ENDS = "size where gains end"
CURVATURE = "curvature"
TOTAL_GAIN = "total gain"
UNITS = {
    PER_DOUBLING: "logits per doubling",
    ENDS: "doublings of n*",
    CURVATURE: "beta",
    TOTAL_GAIN: "points",
}
"""Of an outcome; its effect is so much per unit of distance."""


@dataclass(frozen=True)
class Effect:
    """The effect of one distance on one outcome.

    Attributes:
        intermediate: its name, or "all" when pooled.
        estimate, low, high: in :data:`UNITS` per unit of distance, with the 95 % interval; nan where there is none.
        p: two-sided, by permutation; p_holm: corrected for the number of distances.
        standardised: the estimate per standard deviation of the distance among these languages.
        detectable: the smallest true effect (of either sign) that this design finds with 80 % power in one test at 5 %.
        languages: how many had a value and a distance.
        note: for readers alone: what was left out or done otherwise, and why there is no estimate where there is none.
        partial_r: correlation of the languages' values with the distance, covariates held fixed.
        unadjusted: covariates that were left out.
    """

    outcome: str
    intermediate: str
    distance: str
    estimate: float
    low: float
    high: float
    p: float
    p_holm: float
    standardised: float
    detectable: float
    languages: int
    note: str
    partial_r: float = math.nan
    unadjusted: tuple[Unadjusted, ...] = ()


@dataclass(frozen=True)
class _Outcome:
    """One outcome of one intermediate task.

    Attributes:
        pairs: unit, language, value, weight per (target, language).
        slope: from the predictors to the effect.
        ranked: pairs whose values are permuted.
        note: what holds for every distance.
    """

    name: str
    intermediate: str
    pairs: pd.DataFrame
    slope: Callable[[Predictors], Slope]
    ranked: pd.DataFrame
    note: str = ""


def effects(
    scores: pd.DataFrame,
    curves: Sequence[Curve],
    distances: Distances,
    covariates: pd.DataFrame,
    *,
    permutations: int = 2000,
    seed: int = 0,
) -> list[Effect]:
    """Every effect, by intermediate task ("all" last, where there are several), outcome and distance.

    Args:
        scores: one row per score (intermediate, size, seed, target, language, value in percent, count, degenerate).
        curves: of the same scores; those of English and of means are left out here.
        covariates: [language x covariate], standardised here.
        permutations: of the languages, where there are too many languages to try all orders.
    """
    own = [curve for curve in curves if curve.language != ENGLISH and not curve.is_mean]
    names = sorted({curve.intermediate for curve in own} | {name for name in scores["intermediate"].unique() if name})
    result: list[Effect] = []
    for name in [*names, ALL] if len(names) > 1 else names:
        chosen = [curve for curve in own if name in (ALL, curve.intermediate)]
        for outcome in _outcomes(name, _usable(scores, name), chosen):
            result += _of_outcome(outcome, distances, covariates, permutations, seed)
    return result


def _usable(scores: pd.DataFrame, intermediate: str) -> pd.DataFrame:
    """Scores of runs that learned something, in other languages, beyond size 0; with the unit that they belong to."""
    kept = scores[(scores["size"] > 0) & ~scores["degenerate"].astype(bool) & (scores["language"] != ENGLISH)]
    kept = kept if intermediate == ALL else kept[kept["intermediate"] == intermediate]
    return kept.assign(unit=_unit(kept["intermediate"], kept["target"]))


def _unit(intermediate: pd.Series, target: pd.Series) -> pd.Series:
    return intermediate.astype(str) + "\t" + target.astype(str)


def _outcomes(intermediate: str, scores: pd.DataFrame, curves: Sequence[Curve]) -> list[_Outcome]:
    cells = logit_cells(scores)
    slopes = pair_slopes(cells)
    seeds = scores["seed"].nunique()
    one_seed = "one seed: what is due to it is not told from what is due to the language" if seeds == 1 else ""
    ends, unknown = _ends(curves)
    censored = int((ends["side"] > 0).sum())
    said = f"n* not reached in {censored} of {len(ends)} curves" if censored else ""
    said = "; ".join(filter(None, [said, f"n* not known in {unknown} curves, left out" if unknown else "", one_seed]))
    betas, gains = _betas(curves), _gains(curves)
    few = f"beta is known for {len(betas)} of {len(curves)} curves, those that rise"
    return [
        _Outcome(PER_DOUBLING, intermediate, slopes, lambda g: slope_on_distance(cells, slopes, g), slopes, one_seed),
        _Outcome(ENDS, intermediate, ends, lambda g: censored_slope(ends, g), ranks(ends), said),
        _Outcome(
            CURVATURE,
            intermediate,
            betas,
            lambda g: _plain(betas, g),
            ranks(betas.assign(side=0)),
            "; ".join(filter(None, [few if len(betas) < len(curves) else "", one_seed])),
        ),
        _Outcome(TOTAL_GAIN, intermediate, gains, lambda g: _plain(gains, g), gains, one_seed),
    ]


def _table(rows: list[tuple[str, str, float, int]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["unit", "language", "value", "side"]).assign(weight=1.0)
    return table.astype({"unit": str, "language": str, "value": float, "side": int})


def _ends(curves: Sequence[Curve]) -> tuple[pd.DataFrame, int]:
    """log2 n* of every curve that has one, censored at the smallest and largest size; and how many have none."""
    rows, unknown = [], 0
    for curve in curves:
        positive = [size for size in curve.sizes if size > 0]
        value = curve.enough.value
        if not positive or curve.enough.reached is None:
            unknown += 1
            continue
        least, most = math.log2(min(positive)), math.log2(max(positive))
        end = math.inf if value is None else math.log2(value) if value > 0 else -math.inf
        side = 1 if end > most else -1 if end < least else 0
        rows.append((f"{curve.intermediate}\t{curve.target}", curve.language, min(max(end, least), most), side))
    return _table(rows), unknown


def _betas(curves: Sequence[Curve]) -> pd.DataFrame:
    rows = []
    for curve in curves:
        law = next((fit for fit in curve.fits if fit.form == "power law"), None)
        if law is not None and curve.shape is Shape.RISING:
            rows.append((f"{curve.intermediate}\t{curve.target}", curve.language, law.parameters["beta"], 0))
    return _table(rows)


def _gains(curves: Sequence[Curve]) -> pd.DataFrame:
    return _table(
        [
            (f"{curve.intermediate}\t{curve.target}", curve.language, curve.total_gain.value, 0)
            for curve in curves
            if curve.total_gain.value is not None
        ]
    )


def _plain(pairs: pd.DataFrame, given: Predictors) -> Slope:
    values, weights = _by_language(pairs, given)
    return weighted_slope(values, weights, given)


def _by_language(pairs: pd.DataFrame, given: Predictors) -> tuple[np.ndarray, np.ndarray]:
    """One value [L] per language with its weight [L]."""
    kept = pairs[pairs["language"].isin(given.languages)]
    values, variances = (series.reindex(given.languages).to_numpy(float) for series in language_values(kept))
    return values, weights_of(values, variances, given)


def _of_outcome(
    outcome: _Outcome, distances: Distances, covariates: pd.DataFrame, permutations: int, seed: int
) -> list[Effect]:
    found = []
    for name in distances.values.columns:
        note = "; ".join(filter(None, [distances.notes.get(name, ""), outcome.note]))
        given = predictors(distances.values[name], covariates, outcome.pairs["language"])
        blank = _blank(outcome, name, note)
        if isinstance(given, str):
            found.append(replace(blank, note="; ".join(filter(None, [given, note]))))
        else:
            rng = np.random.default_rng([seed, *f"{outcome.name} {outcome.intermediate} {name}".encode()])
            found.append(_estimated(blank, outcome, given, permutations, rng))
    corrected = holm([effect.p for effect in found])
    tested = sum(not math.isnan(effect.p) for effect in found)
    return [
        replace(effect, p_holm=p, note=_too_few(effect, tested, permutations))
        for effect, p in zip(found, corrected, strict=True)
    ]


def _blank(outcome: _Outcome, distance: str, note: str) -> Effect:
    nan = math.nan
    return Effect(outcome.name, outcome.intermediate, distance, nan, nan, nan, nan, nan, nan, nan, 0, note)


def _estimated(
    blank: Effect, outcome: _Outcome, given: Predictors, permutations: int, rng: np.random.Generator
) -> Effect:
    slope = outcome.slope(given)
    values, weights = _by_language(outcome.ranked, given)
    p, r = permutation_test(values, weights, given.distance, given.others(), permutations, rng)
    note = "; ".join(filter(None, [slope.note, *given.notes, blank.note]))
    tested = replace(blank, p=p, languages=len(given.languages), note=note, partial_r=r, unadjusted=given.unadjusted)
    if math.isnan(slope.estimate):
        return tested
    low, high = slope.interval(given.degrees)
    return replace(
        tested,
        estimate=slope.estimate,
        low=low,
        high=high,
        standardised=slope.estimate * float(given.distance.std(ddof=1)),
        detectable=detectable(slope.error, given.degrees),
    )


def _too_few(effect: Effect, tested: int, permutations: int) -> str:
    """The note, with a warning where no effect could ever pass the correction."""
    if math.isnan(effect.p) or tested * least_p(effect.languages, permutations) <= 0.05:
        return effect.note
    return "; ".join(
        filter(None, [f"{effect.languages} languages are too few for p < .05 over {tested} distances", effect.note])
    )
