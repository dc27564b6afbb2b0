from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dist_stilts.analysis.differences import difference, mean

AFTER, BEFORE = {0: 71.0, 1: 74.0, 2: 70.0}, {0: 70.0, 1: 71.0, 2: 69.0}


def half(result: object) -> float:
    """Of SciPy's own interval."""
    interval = result.confidence_interval(0.95)  # type: ignore[attr-defined]
    return float(interval.high - interval.low) / 2


def test_a_mean_has_students_interval() -> None:
    found = mean(AFTER)
    expected = half(stats.ttest_1samp(list(AFTER.values()), 0))
    assert (found.value, found.half_width, found.seeds) == pytest.approx((71.6667, expected, 3), rel=1e-4)


def test_seeds_in_common_are_paired() -> None:
    found = difference(AFTER, BEFORE)
    expected = half(stats.ttest_rel(list(AFTER.values()), list(BEFORE.values())))
    assert (found.value, found.half_width, found.seeds) == pytest.approx((5 / 3, expected, 3))
    assert found.test == "paired t"
    assert difference(AFTER, {**BEFORE, 7: 10.0}) == found, "a seed that only one side has takes no part"


def test_seeds_apart_are_compared_as_welch_does() -> None:
    before = {10: 60.0, 11: 61.0, 12: 66.0, 13: 65.0}
    found = difference(AFTER, before)
    expected = stats.ttest_ind(list(AFTER.values()), list(before.values()), equal_var=False)
    assert (found.value, found.half_width) == pytest.approx((71.66667 - 63.0, half(expected)))
    assert found.test == "Welch"


def test_a_baseline_without_seeds_does_not_vary() -> None:
    found = difference(AFTER, {0: 70.0}, fixed=True)
    assert (found.value, found.half_width) == pytest.approx((71.6667 - 70, mean(AFTER).half_width), rel=1e-4)


@pytest.mark.parametrize(("after", "before"), [({0: 3.0}, {0: 1.0}), ({0: 3.0}, {1: 0.0, 2: 2.0})])
def test_one_seed_has_a_value_and_no_interval(after: dict[int, float], before: dict[int, float]) -> None:
    found = difference(after, before)
    assert (found.value, found.half_width, found.test) == (2.0, None, "")
    assert mean({0: 3.0}).half_width is None


def test_equal_scores_have_an_interval_of_no_width() -> None:
    assert difference({0: 1.0, 1: 1.0}, {2: 1.0, 3: 1.0}).half_width == 0.0
    assert mean({0: 1.0, 1: 1.0}).half_width == 0.0


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    draw = np.random.default_rng(0)
    hits = {"paired t": 0, "Welch": 0}
    for _ in range(1000):
        shared = draw.normal(0, 3, 3)
        before = dict(enumerate(70 + shared + draw.normal(0, 1, 3)))
        paired = difference(dict(enumerate(72 + shared + draw.normal(0, 1, 3))), before)
        apart = difference({seed: 72 + draw.normal(0, 2) for seed in (5, 6, 7, 8)}, before)
        for found in (paired, apart):
            hits[found.test] += abs(found.value - 2) <= (found.half_width or 0)
    assert 0.92 < hits["paired t"] / 1000 < 0.98
    assert 0.92 < hits["Welch"] / 1000 < 0.99, "Welch's is somewhat too wide with so few"
