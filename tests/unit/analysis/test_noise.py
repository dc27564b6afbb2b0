from __future__ import annotations

import numpy as np
import pytest

from dist_stilts.analysis.cells import Cells
from dist_stilts.analysis.noise import Over, noise, relative_variances

SIZES = (0, 100, 300)


def cells(values: list[np.ndarray], *, trained: tuple[bool, ...] = (True,) * 3, rows: tuple = (), count: int = 500):
    sizes = SIZES[: len(values)]
    return Cells("mnli", "xnli", "accuracy", "de", sizes, tuple(values), trained[: len(values)], count, 0, rows)


def outcomes(rng: np.random.Generator, rows: int, runs: int, run_noise: float) -> list[np.ndarray]:
    """Right or wrong [runs, rows] per size; rows differ in hardness, which all sizes share."""
    hardness = rng.normal(size=rows)
    levels = [0.2 + run_noise * rng.normal(size=(runs, 1)) for _ in SIZES]
    return [(hardness + rng.normal(size=(runs, rows)) < level).astype(float) for level in levels]


def scored(table: list[np.ndarray]) -> Cells:
    """The cells whose outcomes these are."""
    return cells([100 * block.mean(axis=1) for block in table], rows=(tuple(table),))


def test_variance_of_runs_is_pooled_over_the_sizes_that_have_several_and_one_seed_says_that_there_is_none() -> None:
    found = noise(cells([np.array([50.0, 52.0]), np.array([60.0, 60.0, 63.0]), np.array([70.0])]))
    assert (found.run, found.degrees) == (pytest.approx((2 + 6) / 3), 3)
    assert found.share == pytest.approx([1 / 2, 1 / 3, 1])
    for found in (noise(cells([np.array([50.0]), np.array([55.0])])), noise(cells([]))):
        assert (found.degrees, found.over) == (0, Over.NOTHING)
    assert np.linalg.cond(noise(cells([np.full(3, 50.0)] * 3)).covariance()) < 1e3


def test_intervals_from_two_seeds_cover_as_students_t_does() -> None:
    rng = np.random.default_rng(0)
    tables = [cells(list(rng.normal(60, 1.5, (3, 2)))) for _ in range(400)]
    halves = [np.quantile(np.abs(noise(one).draw(400, rng)[:, 1]), 0.95) for one in tables]
    assert 0.92 < np.mean([abs(one.means[1] - 60) < half for one, half in zip(tables, halves, strict=True)]) < 0.98


def test_rows_and_runs_together_give_the_true_variance_of_a_mean() -> None:
    """The part of a run on a row is in both components, and must not be counted twice."""
    rng = np.random.default_rng(1)
    tables = [outcomes(rng, 200, 3, 0.05) for _ in range(300)]
    means = np.array([[100 * block.mean() for block in table] for table in tables])
    found = np.mean([noise(scored(table)).covariance() for table in tables], axis=0)
    assert found == pytest.approx(np.cov(means.T), rel=0.25)
    assert np.diag(found).mean() == pytest.approx(means.var(axis=0).mean(), rel=0.12)


def test_draws_have_the_covariance_that_is_reported_in_which_hard_rows_pull_all_sizes_together() -> None:
    table = outcomes(np.random.default_rng(3), 300, 20, 0.1)
    found = noise(scored(table))
    errors = found.draw(20_000, np.random.default_rng(0))
    assert np.cov(errors.T) == pytest.approx(found.covariance(), rel=0.1, abs=0.1)
    assert np.corrcoef(errors[:, 0], errors[:, 2])[0, 1] > 0.4
    assert found.over is Over.SEEDS_AND_ROWS


def test_what_was_not_trained_has_no_noise_of_seeds() -> None:
    values = [np.array([30.0]), np.array([50.0, 56.0]), np.array([60.0, 66.0])]
    found = noise(cells(values, trained=(False, True, True), count=10**9))
    errors = found.draw(2000, np.random.default_rng(0))
    assert errors[:, 0].std() < 0.01 < errors[:, 1].std()
    assert relative_variances(found)[0] < relative_variances(found)[1]
