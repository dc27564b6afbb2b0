from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from dist_stilts.analysis.permutation import holm, least_p, permutation_test


def test_few_languages_are_tried_in_every_order() -> None:
    rng = np.random.default_rng(0)
    values, distance = rng.standard_normal(6), rng.uniform(size=6)
    real = abs(np.corrcoef(values, distance)[0, 1])
    orders = itertools.permutations(range(6))
    as_good = [abs(np.corrcoef(values[list(order)], distance)[0, 1]) >= real - 1e-9 for order in orders]
    p, r = permutation_test(values, np.ones(6), distance, np.ones((6, 1)), 10, rng)
    assert p == pytest.approx(np.mean(as_good))
    assert abs(r) == pytest.approx(real)


def test_partial_correlation_holds_covariates_fixed() -> None:
    rng = np.random.default_rng(0)
    covariate, noise = rng.standard_normal((2, 200))
    distance = covariate + 0.3 * rng.standard_normal(200)
    others = np.column_stack([np.ones(200), covariate])
    p, r = permutation_test(covariate + 0.1 * noise, np.ones(200), distance, others, 200, rng)
    assert p > 0.05
    assert abs(r) < 0.2
    assert permutation_test(distance - covariate, np.ones(200), distance, others, 200, rng)[1] == pytest.approx(1.0)


def test_false_alarms_are_as_many_as_promised_with_and_without_covariates() -> None:
    """A witness of law 13: under no effect at all p < .05 is no more frequent than that."""
    rng = np.random.default_rng(1)
    for covariates in (0, 2):
        p = []
        for _ in range(400):
            others = np.column_stack([np.ones(12), rng.standard_normal((12, covariates))])
            distance = rng.uniform(size=12) + others[:, 1:].sum(axis=1)
            values = others @ rng.standard_normal(1 + covariates) + rng.exponential(size=12)
            p.append(permutation_test(values, np.ones(12), distance, others, 99, rng)[0])
        assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.085


def test_nothing_to_explain_is_no_evidence_and_p_is_never_zero() -> None:
    rng = np.random.default_rng(0)
    assert permutation_test(np.ones(9), np.ones(9), np.arange(9.0), np.ones((9, 1)), 10, rng) == (1.0, 0.0)
    assert permutation_test(np.arange(9.0), np.ones(9), np.ones(9), np.ones((9, 1)), 10, rng) == (1.0, 0.0)
    distance = np.arange(20.0)
    assert permutation_test(distance, np.ones(20), distance, np.ones((20, 1)), 50, rng)[0] == pytest.approx(1 / 51)
    assert least_p(20, 50) == pytest.approx(1 / 51)
    assert least_p(5, 50) == pytest.approx(1 / 120)


def test_holm_is_that_of_statsmodels_and_passes_over_what_was_not_tested() -> None:
    rng = np.random.default_rng(0)
    for count in range(1, 10):
        p_values = rng.choice([0.0, 0.004, 0.01, 0.04, 0.2, 1.0], count).tolist()  # ties among them
        assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert holm([0.01, math.nan, 0.02]) == pytest.approx([0.02, math.nan, 0.02], nan_ok=True)
