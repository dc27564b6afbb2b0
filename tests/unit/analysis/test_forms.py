from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from dist_stilts.analysis.estimate import Estimate
from dist_stilts.analysis.forms import (
    FORMS,
    Fit,
    aicc,
    choose,
    fit_forms,
    minimise,
    offsets_of_halves,
    power_basis,
    solve,
)
from dist_stilts.analysis.profile import Profile, last_above
from dist_stilts.analysis.shape import Shape, clearest_drop, course

SIZES = (0, 100, 300, 1000, 3000)
MORE_SIZES = (0, 50, 100, 300, 1000, 3000, 10000)

PLANTED = {
    "constant": [{"c": 61.5}],
    "log-linear": [{"a": 50.0, "b": 2.0, "n0": 40.0}, {"a": 70.0, "b": -1.0, "n0": 200.0}],
    "power law": [
        {"e_inf": 75.0, "A": 60.0, "beta": 0.4, "n0": 30.0},
        {"e_inf": 50.0, "A": -80.0, "beta": 0.6, "n0": 90.0},
    ],
    "log-law": [
        {"log A": 2.0, "alpha": 1.5, "beta": 1.4, "n0": 5.0},
        {"log A": 90.0, "alpha": -4.0, "beta": 0.9, "n0": 20.0},
    ],
}


def fits_of(scores: np.ndarray, sizes: tuple[int, ...] = SIZES, runs: int = 3) -> dict[str, Fit]:
    per_size = np.full(len(sizes), float(runs))
    return {fit.form: fit for fit in fit_forms(sizes, scores, 0.0, per_size, np.ones(len(sizes)))}


@pytest.mark.parametrize(("form", "parameters"), [(form, p) for form, planted in PLANTED.items() for p in planted])
def test_every_form_finds_a_curve_of_its_own_rising_or_falling(form: str, parameters: dict[str, float]) -> None:
    truth = Fit(form, parameters, 0.0, None)
    fit = fits_of(truth(MORE_SIZES), MORE_SIZES)[form]
    between = np.geomspace(20, 10000, 30)
    assert np.abs(fit(between) - truth(between)).max() < 0.05
    assert fit.held_out_error == pytest.approx(0, abs=0.3)
    if (form, parameters) == ("power law", PLANTED["power law"][0]):
        assert fit.parameters == pytest.approx(parameters, rel=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_no_random_search_finds_a_better_power_law(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = np.array(SIZES, float)
    scores = 50 + 8 * (1 - (1 + sizes / 100) ** -0.7) + rng.normal(0, 0.8, 5)
    _, found = minimise(FORMS["power law"], SIZES, scores, np.eye(5), SIZES)
    tried = np.exp(rng.uniform(np.log([0.01, 0.05]), np.log([9e4, 12]), (20_000, 2)))
    shapes = np.column_stack([np.log(tried[:, 0]), tried[:, 1]])
    costs = solve(power_basis(shapes, sizes, 3000.0), scores, np.eye(5), intercept=True).cost
    assert found.cost < costs.min() * 1.01 + 1e-6


def test_closed_form_is_generalised_least_squares() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    precision, scores, phi = root @ root.T, rng.normal(size=4), rng.normal(size=(1, 4))
    design = np.stack([np.ones(4), phi[0]], axis=1)
    a, b = np.linalg.solve(design.T @ precision @ design, design.T @ precision @ scores)
    residual = scores - a - b * phi[0]
    found = solve(phi, scores, precision, intercept=True)
    assert [found.a[0], found.b[0], found.cost[0]] == pytest.approx([a, b, residual @ precision @ residual])
    assert 1 / found.information[0] == pytest.approx(np.linalg.inv(design.T @ precision @ design)[1, 1])


def test_aicc_has_its_formula_and_of_forms_within_two_the_better_forecast_is_chosen() -> None:
    assert aicc(20.0, 10, 3) == pytest.approx(10 * math.log(2) + 6 + 24 / 6)
    assert aicc(20.0, 4, 3) == math.inf
    constant = Fit("constant", {}, 10.0, 3.0)
    linear, far, too_few_runs = (Fit("log-linear", {}, score, 0.5) for score in (11.5, 12.5, math.inf))
    assert choose((constant, linear, Fit("power law", {}, 13.0, 0.1))) == linear
    assert choose((constant, far)) == constant
    assert choose((constant, too_few_runs)) == too_few_runs
    assert choose((constant,)) is None


def test_half_of_the_gain_is_where_the_offset_puts_it() -> None:
    halves, betas = np.array([10.0, 500.0, 1499.0]), np.array([0.3, 1.0, -0.2])
    offsets = offsets_of_halves(halves, betas, 3000.0)
    reached = power_basis(np.stack([offsets, betas], axis=-1), halves[:, None], 3000.0)[:, 0]
    assert reached == pytest.approx([0.5, 0.5, 0.5], abs=1e-3)


@pytest.mark.parametrize("scores", [np.zeros(5), np.full(5, 100.0), np.array([0.0, 100, 0, 100, 0])])
def test_any_scores_are_fitted_without_failing_by_forms_with_fewer_parameters_than_sizes(scores: np.ndarray) -> None:
    for fit in fits_of(scores).values():
        assert np.isfinite(fit(np.array([0, 1, 100, 6000]))).all()
    assert list(fits_of(np.array([50.0, 52, 54, 55]), SIZES[:4])) == ["constant", "log-linear"]
    assert list(fits_of(np.array([50.0, 52]), SIZES[:2])) == ["constant"]


AT = np.array(SIZES, float)


def power(n: np.ndarray | float) -> np.ndarray:
    """A power law that half saturates."""
    return 50 + 12 * (1 - (1 + np.asarray(n, float) / 80) ** -0.8)


def profile(means: np.ndarray, noise: float = 0.3, draws: int | None = 300) -> Profile:
    errors = None if draws is None else noise * np.random.default_rng(0).normal(size=(draws, 5))
    return Profile(SIZES, means, np.eye(5) / noise**2, errors)


def test_quantities_of_a_known_power_law_are_exact_and_have_no_interval_without_draws() -> None:
    one, sure = profile(power(AT)), profile(power(AT), draws=None)
    for size in SIZES[1:]:
        assert one.per_doubling(size)[0] == pytest.approx(float(power(2 * size) - power(size)), abs=0.01)
    gain = power(3000) - power(0)
    assert power(one.half_gain()[0]) - power(0) == pytest.approx(gain / 2, abs=0.01)
    enough = one.enough(0.5)[0]
    assert power(2 * enough) - power(enough) == pytest.approx(0.5, abs=0.01)
    assert sure.per_doubling(100)[1] is sure.half_gain()[1] is sure.enough(0.25)[1] is None
    assert not sure.band(AT)[0].size


def test_what_is_true_is_inside_every_interval_and_less_noise_makes_them_narrower() -> None:
    wide, narrow = profile(power(AT), 1.0), profile(power(AT), 0.2)
    for size in SIZES[1:]:
        value, interval = wide.per_doubling(size)
        closer = narrow.per_doubling(size)[1]
        assert interval.low <= min(value, float(power(2 * size) - power(size))) <= value <= interval.high
        assert closer.high - closer.low < (interval.high - interval.low) / 2
    low, high = wide.band(AT)
    assert ((low <= power(AT)) & (power(AT) <= high)).all()


@pytest.mark.parametrize(
    ("means", "value", "high"), [(50 + 2 * np.log2(1 + AT / 50), math.inf, math.inf), (60 - 5 * AT / (AT + 100), 0, 0)]
)
def test_what_goes_on_growing_is_never_enough_and_a_falling_curve_at_once(
    means: np.ndarray, value: float, high: float
) -> None:
    found, interval = profile(means).enough(0.25)
    assert (found, interval.high) == (value, high)
    straight = profile(50 + 10 * AT / 3000).half_gain()[1]
    assert straight.high == pytest.approx(1500), "half of a gain without bend may be at half of the largest size"


def test_a_flat_curve_hides_no_gain_that_the_noise_could_hide() -> None:
    """Of flat curves 95 % and more have 0 among the possible gains: their shape is no evidence."""
    rng = np.random.default_rng(0)
    found = [profile(50 + rng.normal(size=5), 1.0, 150).per_doubling(100)[1] for _ in range(60)]
    assert np.mean([interval.low <= 0 <= interval.high for interval in found]) > 0.86


def test_a_limit_is_crossed_where_the_gains_fall_below_it_for_good() -> None:
    at = np.array([1.0, 10.0, 100.0, 1000.0])
    gains = np.array([[0.1, 0.6, 0.4, 0.1], [0.1, 0.2, 0.2, 0.1], [0.1, 0.2, 0.4, 0.6], [0.9, 0.1, 0.9, 0.1]])
    crossing = last_above(gains, 0.5, at)
    assert crossing[0] == pytest.approx(10**1.5)
    assert crossing[1:3].tolist() == [0.0, math.inf]
    assert crossing[3] == pytest.approx(10**2.5)


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


def test_flat_curves_raise_no_more_alarms_than_the_level_and_a_common_shift_is_no_drop() -> None:
    rng = np.random.default_rng(0)
    errors = rng.normal(size=(500, 5))
    alarms = [clearest_drop(rng.normal(size=5), np.eye(5), errors).p <= 0.05 for _ in range(1000)]
    assert np.mean(alarms) < 0.07
    # Test rows that all sizes share move them together: the test must look at differences alone.
    covariance = 25.0 + 0.01 * np.eye(5)
    errors = 5 * rng.normal(size=(500, 1)) + 0.1 * rng.normal(size=(500, 5))
    assert clearest_drop(np.array([50.0, 51, 52, 51, 52]), covariance, errors).p < 0.05
    assert clearest_drop(np.array([50.0, 51, 52, 52, 53]), covariance, errors).p > 0.05


@pytest.mark.parametrize(("end", "shape"), [(50.5, Shape.FLAT), (55.0, Shape.RISING), (45.0, Shape.FALLING)])
def test_one_seed_is_not_tested_and_says_so(end: float, shape: Shape) -> None:
    means = np.linspace(50.0, end, 5)
    note = "one seed: not tested"
    assert course(SIZES, means, np.eye(5), None, (), None, Estimate(end - 50)) == (shape, note)
