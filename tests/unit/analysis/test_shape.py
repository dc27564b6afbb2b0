from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dist_stilts.analysis.estimate import Estimate
from dist_stilts.analysis.forms import Fit
from dist_stilts.analysis.shape import Shape, clearest_drop, course

SIZES = (0, 100, 300, 1000, 3000)
GAIN = Estimate(3.0, 1.0, 5.0)


def found(means: list[float], gain: Estimate = GAIN, fits: tuple[Fit, ...] = ()) -> tuple[Shape, str]:
    errors = 0.4 * np.random.default_rng(0).normal(size=(1000, 5))
    return course(SIZES, np.array(means), 0.16 * np.eye(5), errors, fits, fits[0] if fits else None, gain)


def test_a_drop_is_named_with_its_sizes_its_points_and_its_p() -> None:
    note = "falls from 62.1 at 300 to 58.0 at 3,000, p < 0.001"
    assert found([55.0, 59, 62.1, 61, 58]) == (Shape.NON_MONOTONE, note)


CONSTANT, LAW = Fit("constant", {}, 10.0, None), Fit("power law", {}, 9.0, None)
LOSS = Estimate(-5.0, -6.0, -4.0)


@pytest.mark.parametrize(
    ("means", "gain", "fits", "shape"),
    [
        ([62.0, 61, 59, 58.5, 57], LOSS, (), Shape.FALLING),
        ([60.0, 66, 62, 58, 55], LOSS, (), Shape.NON_MONOTONE),  # rises first, though it ends below its start
        ([55.0, 59, 62.1, 61.8, 62.0], GAIN, (), Shape.RISING),  # the drop is within the noise
        ([55.0, 59, 62.1, 61.8, 62.0], GAIN, (CONSTANT,), Shape.FLAT),  # a constant describes it best
        ([55.0, 55.2, 55.1, 55.3, 55.2], Estimate(0.2, -1, 1), (LAW, CONSTANT), Shape.FLAT),  # it is about as good
        ([55.0, 55.2, 55.1, 55.3, 55.2], Estimate(0.2, -1, 1), (LAW, replace(CONSTANT, aicc=12)), Shape.RISING),
        ([55.0, 55.2, 55.1, 55.3, 54.9], Estimate(-0.1, -1, 1), (LAW,), Shape.FLAT),
    ],
)
def test_the_course_follows_from_tests_gain_and_forms(
    means: list[float], gain: Estimate, fits: tuple[Fit, ...], shape: Shape
) -> None:
    assert found(means, gain, fits)[0] is shape
    assert shape.falls == (shape in (Shape.FALLING, Shape.NON_MONOTONE))


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


@pytest.mark.parametrize(("end", "shape"), [(50.5, Shape.FLAT), (55.0, Shape.RISING), (45.0, Shape.FALLING)])
def test_one_seed_is_not_tested_and_says_so(end: float, shape: Shape) -> None:
    means = np.linspace(50.0, end, 5)
    note = "one seed: not tested"
    assert course(SIZES, means, np.eye(5), None, (), None, Estimate(end - 50)) == (shape, note)
