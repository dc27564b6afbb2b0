from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.stats.power import TTestPower

from dist_stilts.analysis.regression import (
    Predictors,
    Unadjusted,
    detectable,
    language_values,
    predictors,
    weighted_slope,
    weights_of,
)


def some(languages: int = 12, covariates: int = 0, seed: int = 0) -> Predictors:
    rng = np.random.default_rng(seed)
    names = tuple(f"l{place:02d}" for place in range(languages))
    return Predictors(names, rng.uniform(0.1, 0.6, languages), rng.standard_normal((languages, covariates)))


def test_weighted_slope_is_that_of_statsmodels() -> None:
    given, rng = some(covariates=2), np.random.default_rng(1)
    values, weights = rng.standard_normal(12), rng.uniform(0.5, 2, 12)
    reference = sm.WLS(values, np.column_stack([given.others(), given.distance]), weights=weights).fit()
    slope = weighted_slope(values, weights, given)
    assert slope.estimate == pytest.approx(reference.params[-1])
    assert slope.error == pytest.approx(reference.bse[-1])
    assert given.degrees == reference.df_resid
    assert slope.interval(given.degrees) == pytest.approx(tuple(reference.conf_int()[-1]))


def test_a_value_per_language_does_not_depend_on_which_targets_it_has() -> None:
    language, unit = {"a": 1.0, "b": 2.0, "c": 4.0, "d": 3.0}, {"u": 10.0, "v": -10.0}
    have = ["au", "av", "bu", "cv", "du", "dv"]
    pairs = pd.DataFrame([(u, lang, language[lang] + unit[u], 1.0) for lang, u in have])
    pairs.columns = ["unit", "language", "value", "weight"]
    values, variances = language_values(pairs)
    assert (values - values["a"]).to_dict() == pytest.approx({"a": 0.0, "b": 1.0, "c": 3.0, "d": 2.0})
    assert variances["b"] == pytest.approx(0.0, abs=1e-20)


def test_a_language_with_more_targets_weighs_more_but_not_without_bound() -> None:
    rng = np.random.default_rng(0)
    given = some(30)
    variances = np.where(np.arange(30) < 15, 0.1, 1.0)
    values = rng.standard_normal(30) * np.sqrt(variances + 0.5)
    weights = weights_of(values, variances, given)
    assert 1.0 < weights[0] / weights[-1] < 10.0
    assert weights_of(values, np.full(30, 0.3), given).tolist() == [1.0] * 30
    sure = weights_of(1e-6 * values, variances, given)
    assert sure[0] / sure[-1] == pytest.approx(10.0, rel=1e-3)


def test_detectable_effect_is_found_with_80_percent_power() -> None:
    reference = TTestPower().solve_power(nobs=11, alpha=0.05, power=0.8)  # df = 10, error = 1 / sqrt(11)
    assert detectable(1 / math.sqrt(11), 10) == pytest.approx(reference, rel=1e-4)


LANGUAGES = [f"l{place:02d}" for place in range(12)]


def test_few_languages_one_distance_and_unknown_ones_are_said() -> None:
    distance = pd.Series(np.linspace(0, 1, 12), LANGUAGES)
    nothing = pd.DataFrame(index=LANGUAGES)
    assert "3 languages with a known distance" in str(predictors(distance[:3], nothing, LANGUAGES))
    assert "same distance" in str(predictors(distance * 0 + 1, nothing, LANGUAGES))
    given = predictors(distance.where(distance < 0.95), nothing, LANGUAGES)
    assert isinstance(given, Predictors)
    assert (given.languages, given.unknown) == (tuple(LANGUAGES[:11]), ("l11",))
    assert given.notes == ("distance unknown, left out: l11",)


def test_covariates_that_cannot_be_used_are_left_out_with_the_reason() -> None:
    rng = np.random.default_rng(0)
    distance = pd.Series(rng.uniform(size=12), LANGUAGES)
    covariates = pd.DataFrame({"good": rng.uniform(size=12)}, LANGUAGES)
    covariates["gap"] = covariates["good"].where(distance < distance.max())
    covariates["same"], covariates["copy"] = 1.0, 3 - 2 * distance
    given = predictors(distance, covariates, LANGUAGES)
    assert isinstance(given, Predictors)
    assert (given.covariates.shape, given.degrees) == ((12, 1), 9)
    assert given.covariates.std(ddof=1) == pytest.approx(1.0)
    assert {one.covariates: one.reason for one in given.unadjusted} == {
        ("gap",): f"unknown for {distance.idxmax()}",
        ("same",): "the same for all languages",
        ("copy",): "not to be told from the distance and other covariates",
    }


def test_with_few_languages_nothing_is_adjusted_for() -> None:
    rng = np.random.default_rng(0)
    covariates = pd.DataFrame(rng.uniform(size=(7, 2)), LANGUAGES[:7], ["share", "fertility"])
    given = predictors(pd.Series(rng.uniform(size=7), LANGUAGES[:7]), covariates, LANGUAGES[:7])
    assert isinstance(given, Predictors)
    assert given.covariates.shape == (7, 0)
    assert given.unadjusted == (Unadjusted(("share", "fertility"), "too few languages (7)"),)
    assert given.notes == ("not adjusted for share, fertility: too few languages (7)",)
