from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.mixed_linear_model import MixedLM

from dist_stilts.analysis.mixed import logit_cells, pair_slopes, slope_on_distance, two_stage_slope
from dist_stilts.analysis.regression import Predictors

SIZES = (100, 300, 1000, 3000)


def cells(units: int = 1, languages: int = 12, slope: float = -0.2, seed: int = 0, spread: float = 0.1) -> pd.DataFrame:
    """Logit scores with a random level and slope per language, a level and slope per unit, and noise."""
    rng = np.random.default_rng(seed)
    distance = predictors(languages).distance
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


def predictors(languages: int = 12) -> Predictors:
    names = tuple(f"l{place:02d}" for place in range(languages))
    return Predictors(names, np.random.default_rng(99).uniform(0.1, 0.6, languages), np.empty((languages, 0)))


def test_cells_pool_runs_and_correct_the_logit_by_half_a_row() -> None:
    scores = pd.DataFrame(
        {"unit": "u", "language": "de", "size": [0, 100, 100], "value": [50.0, 100.0, 90.0], "count": 20}
    )
    found = logit_cells(scores)
    assert found["size"].tolist() == [100]
    assert found["score"].item() == pytest.approx(np.log(38.5 / 2.5))
    assert found["x"].item() == pytest.approx(np.log2(100))


def test_pair_slopes_are_least_squares_and_need_two_sizes() -> None:
    data = cells(2)
    alone = data[(data["language"] != "l03") | (data["size"] == 100)]
    pairs = pair_slopes(alone)
    assert len(pairs) == 22
    first = data[(data["unit"] == "u1") & (data["language"] == "l05")]
    value = pairs[(pairs["unit"] == "u1") & (pairs["language"] == "l05")]["value"].item()
    assert value == pytest.approx(np.polyfit(first["x"], first["score"], 1)[0])


def test_with_one_target_it_is_the_mixed_model_of_statsmodels() -> None:
    data, given = cells(), predictors()
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
    data, given = cells(units, spread=spread, seed=0 if spread else 5), predictors()
    pairs = pair_slopes(data)
    slope, two_stage = slope_on_distance(data, pairs, given), two_stage_slope(pairs, given)
    assert bool(spread) is (not slope.note)
    assert slope.estimate == pytest.approx(two_stage.estimate, rel=1e-3)
    assert slope.error == pytest.approx(two_stage.error, rel=0.05)
    if not spread:
        assert "in two stages, as the mixed model" in slope.note
        assert (slope.estimate, slope.error) == (two_stage.estimate, two_stage.error)


def test_two_sizes_leave_no_residual_which_is_said() -> None:
    data, given = cells(), predictors()
    data = data[data["size"].isin(SIZES[:2])]
    assert "singular (no residual)" in slope_on_distance(data, pair_slopes(data), given).note


def test_a_model_without_a_fit_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise np.linalg.LinAlgError

    monkeypatch.setattr(MixedLM, "fit", fails)
    data, given = cells(), predictors()
    assert "has no fit" in slope_on_distance(data, pair_slopes(data), given).note


def test_targets_that_only_some_languages_have_do_not_pass_for_an_effect_of_distance() -> None:
    given = predictors()
    far = {name for name, distance in zip(given.languages, given.distance, strict=True) if distance > 0.35}
    for units in (2, 6):
        data = cells(units, slope=0.0, spread=0.02)
        data["score"] += np.where(data["unit"] == "u0", 1.0, 0.0) * data["x"]
        data = data[(data["unit"] != "u0") | data["language"].isin(far)]
        slope = slope_on_distance(data, pair_slopes(data), given)
        assert abs(slope.estimate) < 3 * slope.error < 0.5
