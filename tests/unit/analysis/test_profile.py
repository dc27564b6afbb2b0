from __future__ import annotations

import math

import numpy as np
import pytest

from dist_stilts.analysis.profile import Profile, last_above

SIZES = (0, 100, 300, 1000, 3000)
AT = np.array(SIZES, float)


def power(n: np.ndarray | float) -> np.ndarray:
    """A power law that half saturates."""
    return 50 + 12 * (1 - (1 + np.asarray(n, float) / 80) ** -0.8)


def profile(means: np.ndarray, noise: float = 0.3, draws: int | None = 300) -> Profile:
    errors = None if draws is None else noise * np.random.default_rng(0).normal(size=(draws, 5))
    return Profile(SIZES, means, np.eye(5) / noise**2, errors)


def test_quantities_of_a_known_power_law_are_exact() -> None:
    one = profile(power(AT))
    for size in SIZES[1:]:
        assert one.per_doubling(size)[0] == pytest.approx(float(power(2 * size) - power(size)), abs=0.01)
    gain = power(3000) - power(0)
    assert power(one.half_gain()[0]) - power(0) == pytest.approx(gain / 2, abs=0.01)
    enough = one.enough(0.5)[0]
    assert power(2 * enough) - power(enough) == pytest.approx(0.5, abs=0.01)


def test_what_is_true_is_inside_every_interval_and_less_noise_makes_them_narrower() -> None:
    wide, narrow = profile(power(AT), 1.0), profile(power(AT), 0.2)
    for size in SIZES[1:]:
        value, interval = wide.per_doubling(size)
        closer = narrow.per_doubling(size)[1]
        assert interval is not None
        assert closer is not None
        assert interval.low <= min(value, float(power(2 * size) - power(size))) <= value <= interval.high
        assert closer.high - closer.low < (interval.high - interval.low) / 2
    low, high = wide.band(AT)
    assert ((low <= power(AT)) & (power(AT) <= high)).all()


def test_without_draws_there_is_no_interval() -> None:
    one = profile(power(AT), draws=None)
    assert one.per_doubling(100)[1] is one.half_gain()[1] is one.enough(0.25)[1] is None
    assert not one.band(AT)[0].size


@pytest.mark.parametrize(
    ("means", "value", "high"), [(50 + 2 * np.log2(1 + AT / 50), math.inf, math.inf), (60 - 5 * AT / (AT + 100), 0, 0)]
)
def test_what_goes_on_growing_is_never_enough_and_a_falling_curve_at_once(
    means: np.ndarray, value: float, high: float
) -> None:
    found, interval = profile(means).enough(0.25)
    assert interval is not None
    assert (found, interval.high) == (value, high)


def test_half_of_a_gain_without_bend_may_be_at_half_of_the_largest_size() -> None:
    interval = profile(50 + 10 * AT / 3000).half_gain()[1]
    assert interval is not None
    assert interval.high == pytest.approx(1500)


def test_a_flat_curve_hides_no_gain_that_the_noise_could_hide() -> None:
    """Of flat curves 95 % and more have 0 among the possible gains: their shape is no evidence."""
    rng = np.random.default_rng(0)
    found = [profile(50 + rng.normal(size=5), 1.0, 150).per_doubling(100)[1] for _ in range(60)]
    assert np.mean([interval is not None and interval.low <= 0 <= interval.high for interval in found]) > 0.86


def test_a_limit_is_crossed_where_the_gains_fall_below_it_for_good() -> None:
    at = np.array([1.0, 10.0, 100.0, 1000.0])
    gains = np.array([[0.1, 0.6, 0.4, 0.1], [0.1, 0.2, 0.2, 0.1], [0.1, 0.2, 0.4, 0.6], [0.9, 0.1, 0.9, 0.1]])
    crossing = last_above(gains, 0.5, at)
    assert crossing[0] == pytest.approx(10**1.5)
    assert crossing[1:3].tolist() == [0.0, math.inf]
    assert crossing[3] == pytest.approx(10**2.5)
