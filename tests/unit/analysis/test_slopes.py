from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.optimize import minimize
from scipy.stats import norm
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.stats.power import TTestPower

from dist_stilts.analysis.censored import Censored, censored_slope, ranks, tobit
from dist_stilts.analysis.mixed import logit_cells, pair_slopes, slope_on_distance, two_stage_slope
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


def test_weighted_slope_and_detectable_effect_are_those_of_statsmodels() -> None:
    given, rng = some(covariates=2), np.random.default_rng(1)
    values, weights = rng.standard_normal(12), rng.uniform(0.5, 2, 12)
    reference = sm.WLS(values, np.column_stack([given.others(), given.distance]), weights=weights).fit()
    slope = weighted_slope(values, weights, given)
    assert slope.estimate == pytest.approx(reference.params[-1])
    assert slope.error == pytest.approx(reference.bse[-1])
    assert given.degrees == reference.df_resid
    assert slope.interval(given.degrees) == pytest.approx(tuple(reference.conf_int()[-1]))
    reference = TTestPower().solve_power(nobs=11, alpha=0.05, power=0.8)  # df = 10, error = 1 / sqrt(11)
    assert detectable(1 / math.sqrt(11), 10) == pytest.approx(reference, rel=1e-4)


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


LANGUAGES = [f"l{place:02d}" for place in range(12)]


def test_few_languages_one_distance_and_unknown_ones_are_said() -> None:
    distance = pd.Series(np.linspace(0, 1, 12), LANGUAGES)
    nothing = pd.DataFrame(index=LANGUAGES)
    assert "3 languages with a known distance" in str(predictors(distance[:3], nothing, LANGUAGES))
    assert "same distance" in str(predictors(distance * 0 + 1, nothing, LANGUAGES))
    given = predictors(distance.where(distance < 0.95), nothing, LANGUAGES)
    assert (given.languages, given.unknown) == (tuple(LANGUAGES[:11]), ("l11",))
    assert given.notes == ("distance unknown, left out: l11",)


def test_covariates_that_cannot_be_used_are_left_out_with_the_reason() -> None:
    rng = np.random.default_rng(0)
    distance = pd.Series(rng.uniform(size=12), LANGUAGES)
    covariates = pd.DataFrame({"good": rng.uniform(size=12)}, LANGUAGES)
    covariates["gap"] = covariates["good"].where(distance < distance.max())
    covariates["same"], covariates["copy"] = 1.0, 3 - 2 * distance
    given = predictors(distance, covariates, LANGUAGES)
    assert (given.covariates.shape, given.degrees) == ((12, 1), 9)
    assert given.covariates.std(ddof=1) == pytest.approx(1.0)
    assert {one.covariates: one.reason for one in given.unadjusted} == {
        ("gap",): f"unknown for {distance.idxmax()}",
        ("same",): "the same for all languages",
        ("copy",): "not to be told from the distance and other covariates",
    }
    covariates = pd.DataFrame(rng.uniform(size=(7, 2)), LANGUAGES[:7], ["share", "fertility"])
    given = predictors(pd.Series(rng.uniform(size=7), LANGUAGES[:7]), covariates, LANGUAGES[:7])
    assert given.covariates.shape == (7, 0)
    assert given.unadjusted == (Unadjusted(("share", "fertility"), "too few languages (7)"),)
    assert given.notes == ("not adjusted for share, fertility: too few languages (7)",)


SIZES = (100, 300, 1000, 3000)


def cells(units: int = 1, languages: int = 12, slope: float = -0.2, seed: int = 0, spread: float = 0.1) -> pd.DataFrame:
    """Logit scores with a random level and slope per language, a level and slope per unit, and noise."""
    rng = np.random.default_rng(seed)
    distance = some(languages, seed=99).distance
    rows = []
    levels, slopes = 0.5 * rng.standard_normal(languages), spread * rng.standard_normal(languages)
    for unit in range(units):
        of_unit = rng.standard_normal(2) * 0.1
        for place in range(languages):
            for size in SIZES:
                x = np.log2(size)
                score = levels[place] + of_unit[0] + (0.3 + slope * distance[place] + slopes[place] + of_unit[1]) * x
                rows.append((f"u{unit}", f"l{place:02d}", size, score + 0.05 * rng.standard_normal(), x))
    return pd.DataFrame(rows, columns=["unit", "language", "size", "score", "x"])


def test_cells_pool_runs_and_their_slopes_are_least_squares() -> None:
    values = {"size": [0, 100, 100], "value": [50.0, 100.0, 90.0], "count": 20}
    found = logit_cells(pd.DataFrame({"unit": "u", "language": "de", **values}))
    assert found["size"].tolist() == [100]
    assert found["score"].item() == pytest.approx(np.log(38.5 / 2.5))
    assert found["x"].item() == pytest.approx(np.log2(100))
    data = cells(2)
    alone = data[(data["language"] != "l03") | (data["size"] == 100)]
    pairs = pair_slopes(alone)
    assert len(pairs) == 22
    first = data[(data["unit"] == "u1") & (data["language"] == "l05")]
    value = pairs[(pairs["unit"] == "u1") & (pairs["language"] == "l05")]["value"].item()
    assert value == pytest.approx(np.polyfit(first["x"], first["score"], 1)[0])


def test_with_one_target_it_is_the_mixed_model_of_statsmodels() -> None:
    data, given = cells(), some(seed=99)
    slope = slope_on_distance(data, pair_slopes(data), given)
    assert not slope.note
    x = (data["x"] - data["x"].mean()).to_numpy()
    distance = np.repeat(given.distance, len(SIZES))
    matrix = np.column_stack([np.ones(len(x)), x, distance, x * distance])
    random = np.column_stack([np.ones(len(x)), x])
    model = MixedLM(data["score"].to_numpy(), matrix, groups=data["language"], exog_re=random)
    reference = model.fit(method="powell")
    assert slope.estimate == pytest.approx(reference.params[3], rel=1e-3)
    assert slope.error == pytest.approx(reference.bse[3], rel=0.05)


@pytest.mark.parametrize(("units", "spread"), [(1, 0.1), (3, 0.1), (6, 0.1), (1, 0.0), (6, 0.0)])
def test_balanced_tables_and_those_without_differences_have_the_answer_of_two_stages(units: int, spread: float) -> None:
    """Of the former the mixed model finds the same; the latter have no fit of it, which is said."""
    data, given = cells(units, spread=spread, seed=0 if spread else 5), some(seed=99)
    pairs = pair_slopes(data)
    slope, two_stage = slope_on_distance(data, pairs, given), two_stage_slope(pairs, given)
    assert bool(spread) is (not slope.note)
    assert slope.estimate == pytest.approx(two_stage.estimate, rel=1e-3)
    assert slope.error == pytest.approx(two_stage.error, rel=0.05)
    if not spread:
        assert "in two stages, as the mixed model" in slope.note
        assert (slope.estimate, slope.error) == (two_stage.estimate, two_stage.error)


def test_two_sizes_leave_no_residual_which_is_said_and_a_model_without_a_fit_is_no_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, given = cells(), some(seed=99)
    two = data[data["size"].isin(SIZES[:2])]
    assert "singular (no residual)" in slope_on_distance(two, pair_slopes(two), given).note

    def fails(*_: object, **__: object) -> None:
        raise np.linalg.LinAlgError

    monkeypatch.setattr(MixedLM, "fit", fails)
    assert "has no fit" in slope_on_distance(data, pair_slopes(data), given).note


def test_targets_that_only_some_languages_have_do_not_pass_for_an_effect_of_distance() -> None:
    given = some(seed=99)
    far = {name for name, distance in zip(given.languages, given.distance, strict=True) if distance > 0.35}
    for units in (2, 6):
        data = cells(units, slope=0.0, spread=0.02)
        data["score"] += np.where(data["unit"] == "u0", 1.0, 0.0) * data["x"]
        data = data[(data["unit"] != "u0") | data["language"].isin(far)]
        slope = slope_on_distance(data, pair_slopes(data), given)
        assert abs(slope.estimate) < 3 * slope.error < 0.5


def planted(seed: int, languages: int = 30, limit: float = 10.0) -> tuple[pd.DataFrame, Predictors]:
    rng = np.random.default_rng(seed)
    names = tuple(f"l{place:02d}" for place in range(languages))
    distance = rng.uniform(0, 1, languages)
    rows = []
    for unit, level in (("u", 11.0), ("v", 10.0)):
        values = level - 4 * distance + rng.standard_normal(languages)
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


def test_not_reached_does_not_bend_the_slope_leaving_it_out_would_and_intervals_cover_it() -> None:
    slopes, left_out, covered = [], [], []
    for seed in range(10):
        pairs, given = planted(seed)
        slopes.append(censored_slope(pairs, given).estimate)
        inside = pairs[pairs["side"] == 0]
        distance = dict(zip(given.languages, given.distance, strict=True))
        left_out.append(np.polyfit(inside["language"].map(distance), inside["value"], 1)[0])
    assert np.mean(slopes) == pytest.approx(-4.0, abs=0.5)
    assert np.mean(left_out) > -3.2
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
