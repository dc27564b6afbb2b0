from __future__ import annotations

import math

import pytest

from dist_stilts.report.intervals import mean_of_languages


def test_mean_of_one_language_has_its_binomial_error() -> None:
    mean, half = mean_of_languages([80.0], [400])
    assert mean == 80.0
    assert half == pytest.approx(1.959964 * 100 * math.sqrt(0.8 * 0.2 / 400), rel=1e-6)


def test_mean_over_languages_is_unweighted_and_narrows_with_their_number() -> None:
    mean, half = mean_of_languages([60.0, 80.0], [100, 900])
    assert mean == 70.0
    assert half == pytest.approx(1.959964 * 100 * math.sqrt(0.24 / 100 + 0.16 / 900) / 2, rel=1e-6)
    assert mean_of_languages([50.0] * 4, [100] * 4)[1] == pytest.approx(mean_of_languages([50.0], [100])[1] / 2)


@pytest.mark.parametrize(("values", "counts"), [([], []), ([1.0], [1, 2]), ([1.0], [0])])
def test_scores_need_counts(values: list[float], counts: list[int]) -> None:
    with pytest.raises(ValueError, match="scores with counts"):
        mean_of_languages(values, counts)
