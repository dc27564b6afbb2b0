from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import skew

from dist_stilts.errors import UserError
from dist_stilts.scoring import health
from dist_stilts.scoring.health import collapsed, hubness, retrieval_health


def test_health_equals_its_definition_and_is_of_evenly_spaced_ones_of_many_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "ROWS_PER_BLOCK", 7)
    rows = np.random.default_rng(0).normal(size=(30, 5)) + 0.5
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = unit @ unit.T
    singular = np.linalg.svd(unit, compute_uv=False)
    share = singular / singular.sum()
    found = retrieval_health(rows)
    assert found["mean_cosine"] == pytest.approx(cosines[~np.eye(30, dtype=bool)].mean())
    assert found["effective_rank"] == pytest.approx(math.exp(-(share * np.log(share)).sum()))
    rows = np.random.default_rng(0).normal(size=(28, 3))
    expected = retrieval_health(rows[::3])
    monkeypatch.setattr(health, "SAMPLED_ROWS", 10)
    assert retrieval_health(rows) == expected


def test_health_of_simple_spaces() -> None:
    assert retrieval_health(np.ones((10, 4))) == pytest.approx({"mean_cosine": 1.0, "effective_rank": 1.0}, abs=1e-5)
    assert retrieval_health(np.eye(4)) == pytest.approx({"mean_cosine": 0.0, "effective_rank": 4.0})
    assert retrieval_health(np.zeros((3, 2)))["effective_rank"] == 1.0
    with pytest.raises(ValueError, match="no pairs"):
        retrieval_health(np.ones((1, 4)))
    with pytest.raises(UserError, match="row 4 is not finite"):
        retrieval_health(np.where(np.arange(12).reshape(6, 2) == 9, math.nan, 1.0))


def test_a_collapsed_encoder_is_named() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 8))
    assert collapsed(retrieval_health(rows)) is None
    # Crowded is not collapsed: cosines of untuned encoders are near 1, and still tell texts apart.
    assert collapsed(retrieval_health(rows + 20)) is None
    assert "mean cosine of unrelated sentences is 0.9999" in str(collapsed(retrieval_health(rows + 100)))
    one_line = rows[:, :1] * np.ones(8)
    assert "effective rank of the embeddings is 1.00" in str(collapsed(retrieval_health(one_line)))


def test_hubness_is_the_skewness_of_how_often_a_row_is_near_and_a_hub_shows() -> None:
    ids = np.random.default_rng(0).zipf(2.0, (50, 4)) % 20
    times_near = np.array([(ids == row).sum() for row in range(25)])
    found = hubness(ids, 25)
    assert found["hubness"] == pytest.approx(skew(times_near))
    assert found["largest_hub"] == times_near.max() / 50
    assert found["never_near"] == (times_near == 0).mean()
    one_hub = {"hubness": 8 / 3, "largest_hub": 1.0, "never_near": 0.9}
    assert hubness(np.zeros((10, 1), int), 10) == pytest.approx(one_hub)
    assert hubness(np.arange(10)[:, None], 10) == {"hubness": 0.0, "largest_hub": 0.1, "never_near": 0.0}
    with pytest.raises(ValueError, match="no neighbours"):
        hubness(np.zeros((3, 0), int), 10)
