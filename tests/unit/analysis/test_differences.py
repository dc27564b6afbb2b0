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


def test_intervals_are_those_of_scipy() -> None:
    """One sample, seeds in common, seeds apart; a baseline without seeds does not vary."""
    after, before, apart = list(AFTER.values()), list(BEFORE.values()), [60.0, 61.0, 66.0, 65.0]
    alone = mean(AFTER)
    assert (alone.value, alone.half_width) == pytest.approx((71.6667, half(stats.ttest_1samp(after, 0))), rel=1e-4)
    paired = difference(AFTER, BEFORE)
    assert (paired.value, paired.half_width) == pytest.approx((5 / 3, half(stats.ttest_rel(after, before))))
    welch = difference(AFTER, dict(enumerate(apart, 10)))
    expected = half(stats.ttest_ind(after, apart, equal_var=False))
    assert (welch.value, welch.half_width) == pytest.approx((71.66667 - 63.0, expected))
    fixed = difference(AFTER, {0: 70.0}, fixed=True)
    assert (fixed.value, fixed.half_width) == pytest.approx((71.6667 - 70, alone.half_width), rel=1e-4)
    assert [found.test for found in (paired, welch)] == ["paired t", "Welch"]
    assert [found.seeds for found in (alone, paired)] == [3, 3]


@pytest.mark.parametrize("before", [{0: 1.0}, {1: 0.0, 2: 2.0}])
def test_only_seeds_in_common_count_one_has_no_interval_and_equal_scores_one_of_no_width(
    before: dict[int, float],
) -> None:
    found = difference({0: 3.0}, before)
    assert (found.value, found.half_width, found.test, mean({0: 3.0}).half_width) == (2.0, None, "", None)
    assert difference({0: 1.0, 1: 1.0}, {2: 1.0, 3: 1.0}).half_width == mean({0: 1.0, 1: 1.0}).half_width == 0.0
    assert difference(AFTER, {**BEFORE, 7: 10.0}) == difference(AFTER, BEFORE)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    draw = np.random.default_rng(0)
    hits = {"paired t": 0, "Welch": 0}
    for _ in range(500):
        shared = draw.normal(0, 3, 3)
        before = dict(enumerate(70 + shared + draw.normal(0, 1, 3)))
        paired = difference(dict(enumerate(72 + shared + draw.normal(0, 1, 3))), before)
        apart = difference({seed: 72 + draw.normal(0, 2) for seed in (5, 6, 7, 8)}, before)
        for found in (paired, apart):
            hits[found.test] += abs(found.value - 2) <= (found.half_width or 0)
    assert 0.92 < hits["paired t"] / 500 < 0.98
    assert 0.92 < hits["Welch"] / 500 < 0.99, "Welch's is somewhat too wide with so few"
