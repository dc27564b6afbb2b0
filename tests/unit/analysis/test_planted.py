from __future__ import annotations

import math

import numpy as np
import pytest
from planted import Design, TrueCurve, logit, study


def test_there_is_one_record_per_run_target_and_language_and_outcomes_for_accuracies() -> None:
    design = Design(languages=5, sizes=(0, 10, 30), seeds=2, targets={"xnli": "accuracy", "panx": "f1"}, rows=40)
    results = study(design, 1)
    assert results.records == study(design, 1).records != study(design, 2).records
    assert len(results.records) == 3 * 2 * 2 * 6
    assert len(results.outcomes) == 3 * 2 * 6
    for record in results.records:
        key = record["run"], record["target"], record["language"]
        assert (key in results.outcomes) == (record["metric"] == "accuracy")
        if key in results.outcomes:
            assert record["value"] == pytest.approx(100 * results.outcomes[key].mean())
        assert record["intermediate"] == ("mnli" if record["size"] else "")


def test_scores_have_the_true_score_as_their_mean_over_rows_and_runs() -> None:
    design = Design(languages=2, sizes=(0, 300), seeds=400, rows=200, run_noise=0.3, run_language_noise=0.2, level=1.0)
    off = []
    for seed in range(8):
        results = study(design, seed)
        for language in ("l01", "l02"):
            for size in design.sizes:
                values = [r["value"] for r in results.records if r["language"] == language and r["size"] == size]
                off.append(np.mean(values) - results.truth.curves["xnli", language].score(size))
    # The hardness of 200 rows is drawn anew per table: 2 points of noise on each of 8 independent tables.
    assert abs(np.mean(off)) < 3 * 2.5 / math.sqrt(8)


def test_hard_rows_are_hard_in_every_run_and_language() -> None:
    results = study(Design(languages=2, rows=4000, seeds=2), 0)
    first = results.outcomes["none-xnli-s0", "xnli", "l01"]
    again = [results.outcomes["none-xnli-s1", "xnli", language] for language in ("l01", "l02")]
    same, across = (np.corrcoef(first, other)[0, 1] for other in again)
    assert same > across + 0.05 > 0.15


def test_true_curve_knows_its_gains_and_those_that_never_end_or_never_come() -> None:
    curve = TrueCurve("points", level=40.0, gain=20.0, beta=1.0, bend=100.0, largest=900)
    assert curve.total_gain() == pytest.approx(18.0)
    assert curve.per_doubling(100) == pytest.approx(20 * (200 / 300 - 100 / 200))
    assert curve.half_gain() == pytest.approx(100 * 9 / 11, rel=2e-3)  # 20 n / (100 + n) = 9
    ends = curve.enough(0.25)
    assert curve.per_doubling(ends) == pytest.approx(0.25, abs=1e-3)
    assert curve.per_doubling(ends * 1.1) < 0.25
    assert TrueCurve("points", 10.0, 80.0, 0.0001, 1.0, 900).enough(1e-4) == math.inf
    flat = TrueCurve("points", 40.0, 0.0, 1.0, 100.0, 900)
    assert flat.enough() == 0.0
    assert math.isnan(flat.half_gain())


def test_planted_slope_is_the_slope_of_the_true_curves_on_distance() -> None:
    results = study(Design(languages=40, gain_slope=-1.5, gain_spread=0.0, level_spread=0.0), 0)
    sizes = np.array([100, 300, 1000, 3000])
    of_language = [results.truth.curves["xnli", language] for language in results.truth.distances]
    slopes = [np.polyfit(np.log2(sizes), logit(curve.score(sizes)), 1)[0] for curve in of_language]
    expected = np.polyfit(list(results.truth.distances.values()), slopes, 1)[0]
    assert results.truth.slope_on_distance() == pytest.approx(expected)
    assert expected < -0.05
    assert study(Design(gain_slope=0.0), 0).truth.slope_on_distance() == pytest.approx(0.0, abs=1e-9)


def test_declines_and_stuck_runs_are_planted_where_asked_and_nowhere_else() -> None:
    truth = study(Design(languages=3, declining=(1,), decline=0.5, decline_from=300), 0).truth
    rises = [truth.curves["xnli", name].score(3000) > truth.curves["xnli", name].score(300) for name in ("l01", "l02")]
    assert rises == [True, False]
    assert truth.curves["xnli", "en"].decline == 0.0
    results = study(Design(stuck=0.5, rows=2000, level=2.0), 0)
    stuck = [record for record in results.records if record["degenerate"]]
    assert stuck
    assert all(abs(record["value"] - 100 / 3) < 10 and record["reason"] for record in stuck)
    assert all(record["value"] > 60 for record in results.records if not record["degenerate"])


def test_covariates_and_other_distances_are_correlated_as_asked() -> None:
    results = study(Design(languages=400, sizes=(0,), seeds=1, rows=1, covariates={"share": 0.8}, others={"b": -0.6}))
    tables = (results.distances["planted"], results.covariates["share"], results.distances["b"])
    planted, share, other = ([table[language] for language in results.truth.distances] for table in tables)
    assert np.corrcoef(planted, share)[0, 1] == pytest.approx(0.8, abs=0.08)
    assert np.corrcoef(planted, other)[0, 1] == pytest.approx(-0.6, abs=0.08)
    assert results.distances["planted"]["en"] == results.distances["b"]["en"] == 0.0
