from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.scoring import mining
from dist_stilts.scoring.mining import (
    BitextScore,
    best_threshold,
    gold_mask,
    greedy_one_to_one,
    margin_scores,
    max_candidates,
    retrieval_health,
    score_at,
)

# Few distinct values, so that ties are common.
pairs = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 6)), max_size=40)


def nearest(cosines: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    ids = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(cosines, ids, axis=1), ids


def test_margin_is_cosine_over_the_mean_of_both_neighbourhoods() -> None:
    cosines = np.array([[0.9, 0.5, 0.1], [0.8, 0.7, 0.3]])
    scores, ids = nearest(cosines, 2)
    other, _ = nearest(cosines.T, 2)
    # Source 0 with target 0: its own mean is (0.9 + 0.5) / 2, the target's (0.9 + 0.8) / 2.
    assert margin_scores(scores, ids, other)[0, 0] == pytest.approx(0.9 / ((0.7 + 0.85) / 2))


def test_margin_is_the_same_from_both_sides() -> None:
    cosines = np.random.default_rng(0).uniform(0.1, 1, (6, 5))
    (forward, forward_ids), (backward, backward_ids) = nearest(cosines, 5), nearest(cosines.T, 6)
    one, other = margin_scores(forward, forward_ids, backward), margin_scores(backward, backward_ids, forward)
    for row, ids in enumerate(forward_ids):
        for column, target in enumerate(ids):
            assert one[row, column] == other[target, list(backward_ids[target]).index(row)]


def test_a_neighbourhood_without_positive_mean_is_never_mined() -> None:
    margins = margin_scores(np.array([[-0.1], [0.5]]), np.array([[0], [0]]), np.array([[-0.2]]))
    assert margins[0, 0] == -math.inf
    assert margins[1, 0] == pytest.approx(0.5 / 0.15)
    assert len(max_candidates(margins[:1], np.array([[0]]), margins[:1], np.array([[0]])).scores) == 0


def greedy_loop(source: list[int], target: list[int], scores: list[int]) -> list[int]:
    used_source: set[int] = set()
    used_target: set[int] = set()
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i], source[i], target[i], i)):
        if source[i] not in used_source and target[i] not in used_target:
            used_source.add(source[i])
            used_target.add(target[i])
            kept.append(i)
    return kept


@given(pairs)
def test_rounds_of_mutual_best_equal_the_greedy_loop(triples: list[tuple[int, int, int]]) -> None:
    source, target, scores = ([triple[i] for triple in triples] for i in range(3))
    found = greedy_one_to_one(np.array(source, int), np.array(target, int), np.array(scores, float))
    assert found.tolist() == greedy_loop(source, target, scores)


def test_greedy_follows_a_long_chain_of_better_rivals() -> None:
    # 0-0 < 1-0 < 1-1 < 2-1 < ...: only the last pair is a mutual best, and each round frees the next but one.
    source, target = np.arange(1, 101) // 2, np.arange(100) // 2
    found = greedy_one_to_one(source, target, np.arange(100.0))
    assert found.tolist() == greedy_loop(source.tolist(), target.tolist(), list(range(100)))


@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 4), st.integers(0, 10**6))
def test_candidates_equal_the_published_procedure(n: int, m: int, k: int, seed: int) -> None:
    cosines = np.random.default_rng(seed).uniform(0.1, 1, (n, m))
    (forward, forward_ids), (backward, backward_ids) = nearest(cosines, k), nearest(cosines.T, k)
    forward, backward = margin_scores(forward, forward_ids, backward), margin_scores(backward, backward_ids, forward)
    offers = [(forward[i].max(), i, forward_ids[i][forward[i].argmax()]) for i in range(n)]
    offers += [(backward[j].max(), backward_ids[j][backward[j].argmax()], j) for j in range(m)]
    kept = greedy_loop([o[1] for o in offers], [o[2] for o in offers], [o[0] for o in offers])
    found = max_candidates(forward, forward_ids, backward, backward_ids)
    assert list(zip(found.scores, found.source, found.target, strict=True)) == [offers[i] for i in kept]
    assert len(set(found.source)) == len(found.source)
    assert len(set(found.target)) == len(found.target)


def test_mining_an_empty_side_finds_nothing() -> None:
    nothing, no_ids = np.zeros((3, 0)), np.zeros((3, 0), int)
    found = max_candidates(nothing, no_ids, np.zeros((0, 3)), np.zeros((0, 3), int))
    assert len(found.source) == len(found.target) == len(found.scores) == 0


def test_gold_mask_is_membership_of_pairs() -> None:
    gold = [(0, 5), (2, 1)]
    assert gold_mask(np.array([0, 2, 2, 5]), np.array([5, 1, 5, 0]), gold).tolist() == [True, True, False, False]
    assert gold_mask(np.array([0]), np.array([0]), []).tolist() == [False]


scored = st.lists(st.tuples(st.integers(0, 9).map(lambda x: x / 7), st.booleans()), min_size=1, max_size=25)


@given(scored, st.integers(0, 5))
def test_tuned_threshold_is_the_best_of_all_thresholds(candidates: list[tuple[float, bool]], missed: int) -> None:
    scores, is_gold = np.array([c[0] for c in candidates]), np.array([c[1] for c in candidates])
    n_gold = int(is_gold.sum()) + missed
    best = best_threshold(scores, is_gold, n_gold)
    assert best == score_at(scores, is_gold, n_gold, best.threshold)
    assert best.f1 == max(score_at(scores, is_gold, n_gold, score).f1 for score in scores)


def test_threshold_lies_half_way_after_the_best_prefix() -> None:
    best = best_threshold(np.array([1.0, 1.4, 1.2]), np.array([False, True, True]), 2)
    assert best == BitextScore(pytest.approx(1.1), 1.0, 1.0, 1.0)


def test_best_prefix_may_be_everything() -> None:
    assert best_threshold(np.array([1.2, 1.1]), np.array([True, True]), 4) == (1.1, pytest.approx(2 / 3), 1.0, 0.5)


def test_threshold_between_adjacent_floats_keeps_the_prefix() -> None:
    low = np.nextafter(1.0, 2.0)
    high = np.nextafter(low, 2.0)
    for top, next_one in ((low, 1.0), (high, low)):
        assert best_threshold(np.array([top, next_one]), np.array([True, False]), 1).f1 == 1.0


def test_no_gold_and_no_candidates_score_zero() -> None:
    assert best_threshold(np.array([1.2, 1.1]), np.array([False, False]), 3)[1:] == (0.0, 0.0, 0.0)
    assert best_threshold(np.zeros(0), np.zeros(0, bool), 3) == (0.0, 0.0, 0.0, 0.0)
    assert score_at(np.array([1.0]), np.array([False]), 0, 0.5)[1:] == (0.0, 0.0, 0.0)


def test_health_equals_its_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining, "ROWS_PER_BLOCK", 7)
    rows = np.random.default_rng(0).normal(size=(30, 5)) + 0.5
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = unit @ unit.T
    singular = np.linalg.svd(unit, compute_uv=False)
    share = singular / singular.sum()
    health = retrieval_health(rows)
    assert health["mean_cosine"] == pytest.approx(cosines[~np.eye(30, dtype=bool)].mean())
    assert health["effective_rank"] == pytest.approx(math.exp(-(share * np.log(share)).sum()))


def test_health_names_a_collapsed_encoder() -> None:
    assert retrieval_health(np.ones((10, 4))) == pytest.approx({"mean_cosine": 1.0, "effective_rank": 1.0}, abs=1e-5)
    assert retrieval_health(np.eye(4)) == pytest.approx({"mean_cosine": 0.0, "effective_rank": 4.0})
    assert retrieval_health(np.zeros((3, 2)))["effective_rank"] == 1.0
    with pytest.raises(ValueError, match="no pairs"):
        retrieval_health(np.ones((1, 4)))
