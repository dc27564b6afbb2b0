from __future__ import annotations

import math

import numpy as np
import pytest

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


def test_a_form_with_as_many_parameters_as_sizes_is_left_out() -> None:
    assert list(fits_of(np.array([50.0, 52, 54, 55]), SIZES[:4])) == ["constant", "log-linear"]
    assert list(fits_of(np.array([50.0, 52]), SIZES[:2])) == ["constant"]


def test_aicc_has_its_formula_and_none_with_too_few_runs() -> None:
    assert aicc(20.0, 10, 3) == pytest.approx(10 * math.log(2) + 6 + 24 / 6)
    assert aicc(20.0, 4, 3) == math.inf


def test_of_forms_within_two_aicc_the_better_forecast_is_chosen() -> None:
    def fit(form: str, score: float, error: float | None) -> Fit:
        return Fit(form, {}, score, error)

    near = (fit("constant", 10.0, 3.0), fit("log-linear", 11.5, 0.5), fit("power law", 13.0, 0.1))
    assert choose(near) == near[1]
    assert choose((fit("constant", 10.0, 3.0), fit("log-linear", 12.5, 0.5))) == fit("constant", 10.0, 3.0)
    too_few_runs = (fit("constant", 10.0, 3.0), fit("log-linear", math.inf, 0.5))
    assert choose(too_few_runs) == too_few_runs[1]
    assert choose(near[:1]) is None


def test_half_of_the_gain_is_where_the_offset_puts_it() -> None:
    halves, betas = np.array([10.0, 500.0, 1499.0]), np.array([0.3, 1.0, -0.2])
    offsets = offsets_of_halves(halves, betas, 3000.0)
    reached = power_basis(np.stack([offsets, betas], axis=-1), halves[:, None], 3000.0)[:, 0]
    assert reached == pytest.approx([0.5, 0.5, 0.5], abs=1e-3)


@pytest.mark.parametrize("scores", [np.zeros(5), np.full(5, 100.0), np.array([0.0, 100, 0, 100, 0])])
def test_any_scores_are_fitted_without_failing(scores: np.ndarray) -> None:
    for fit in fits_of(scores).values():
        assert np.isfinite(fit(np.array([0, 1, 100, 6000]))).all()
