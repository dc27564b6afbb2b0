from __future__ import annotations

import numpy as np
import pytest

from dist_stilts.analysis.estimate import Estimate
from dist_stilts.analysis.shape import clearest_drop, course

SIZES = (0, 100, 300, 1000, 3000)
GAIN = Estimate(3.0, 1.0, 5.0)


def found(means: list[float], gain: Estimate = GAIN, noise: float = 0.4, seed: int = 0) -> tuple[str, str]:
    errors = noise * np.random.default_rng(seed).normal(size=(1000, 5))
    return course(SIZES, np.array(means), noise**2 * np.eye(5), errors, (), None, gain)


def test_a_drop_is_named_with_its_sizes_its_points_and_its_p() -> None:
    shape, note = found([55.0, 59, 62.1, 61, 58])
    assert shape == "non-monotone"
    assert note == "falls from 62.1 at 300 to 58.0 at 3,000, p < 0.001"


def test_a_curve_that_only_falls_is_falling() -> None:
    assert found([62.0, 61, 59, 58.5, 57], Estimate(-5.0, -6.0, -4.0))[0] == "falling"


def test_a_fall_after_a_rise_is_not_falling_even_where_it_ends_below_its_start() -> None:
    assert found([60.0, 66, 62, 58, 55], Estimate(-5.0, -6.0, -4.0))[0] == "non-monotone"


def test_a_drop_within_the_noise_is_not_one() -> None:
    assert found([55.0, 59, 62.1, 61.8, 62.0])[0] == "rising"


def test_flat_curves_raise_no_more_alarms_than_the_level() -> None:
    rng = np.random.default_rng(0)
    errors = rng.normal(size=(500, 5))
    alarms = [clearest_drop(rng.normal(size=5), np.eye(5), errors).p <= 0.05 for _ in range(1000)]
    assert np.mean(alarms) < 0.07


def test_a_common_shift_of_all_sizes_is_no_drop() -> None:
    """Test rows that all sizes share move them together: the test must look at differences alone."""
    rng = np.random.default_rng(0)
    covariance = 25.0 + 0.01 * np.eye(5)
    errors = 5 * rng.normal(size=(500, 1)) + 0.1 * rng.normal(size=(500, 5))
    assert clearest_drop(np.array([50.0, 51, 52, 51, 52]), covariance, errors).p < 0.05
    assert clearest_drop(np.array([50.0, 51, 52, 52, 53]), covariance, errors).p > 0.05


@pytest.mark.parametrize(("end", "shape"), [(50.5, "flat"), (55.0, "rising"), (45.0, "falling")])
def test_one_seed_is_not_tested_and_says_so(end: float, shape: str) -> None:
    means = np.linspace(50.0, end, 5)
    note = "one seed: not tested"
    assert course(SIZES, means, np.eye(5), None, (), None, Estimate(end - 50)) == (shape, note)
