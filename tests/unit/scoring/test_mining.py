from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.errors import UserError
from dist_stilts.scoring.duplicates import RULES, original_rows, unique_texts
from dist_stilts.scoring.mining import (
    MARGINS,
    SELECTIONS,
    BitextScore,
    Candidates,
    best_first,
    best_threshold,
    curve,
    gold_mask,
    greedy_one_to_one,
    margin_quantiles,
    margin_scores,
    score_at,
    select_candidates,
)

# Few distinct values, so that ties are common.
pairs = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 6)), max_size=40)


def nearest(cosines: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    ids = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(cosines, ids, axis=1), ids


@pytest.mark.parametrize(
    ("margin", "expected"), [("ratio", 0.9 / 0.775), ("distance", 0.125), ("absolute", 0.9), ("csls", 1.8 - 0.7 - 0.85)]
)
def test_margin_relates_a_cosine_to_the_means_of_both_neighbourhoods(margin: str, expected: float) -> None:
    cosines = np.array([[0.9, 0.5, 0.1], [0.8, 0.7, 0.3]])
    scores, ids = nearest(cosines, 2)
    other, _ = nearest(cosines.T, 2)
    # Source 0 with target 0: its own mean is (0.9 + 0.5) / 2, the target's (0.9 + 0.8) / 2.
    assert margin_scores(scores, ids, other, margin)[0, 0] == pytest.approx(expected)


@pytest.mark.parametrize("margin", MARGINS)
def test_margin_is_the_same_from_both_sides(margin: str) -> None:
    cosines = np.random.default_rng(0).uniform(0.1, 1, (6, 5))
    (forward, forward_ids), (backward, backward_ids) = nearest(cosines, 5), nearest(cosines.T, 6)
    one = margin_scores(forward, forward_ids, backward, margin)
    other = margin_scores(backward, backward_ids, forward, margin)
    for row, ids in enumerate(forward_ids):
        for column, target in enumerate(ids):
            assert one[row, column] == other[target, list(backward_ids[target]).index(row)]


def test_a_neighbourhood_without_positive_mean_is_never_mined_and_quantiles_show_an_unstable_ratio() -> None:
    margins = margin_scores(np.array([[-0.1], [0.5]]), np.array([[0], [0]]), np.array([[-0.2]]))
    assert margins[0, 0] == -math.inf
    assert margins[1, 0] == pytest.approx(0.5 / 0.15)
    for how in SELECTIONS:
        assert len(select_candidates(margins[:1], np.array([[0]]), margins[:1], np.array([[0]]), how).scores) == 0
    spread = margin_quantiles(np.array([[1.0, 1.1, 1.2], [1.3, 40.0, -math.inf]]))
    assert spread["undefined"] == pytest.approx(1 / 6)
    assert (spread["q0"], spread["q50"], spread["q100"]) == (1.0, 1.2, 40.0)
    assert margin_quantiles(np.full(2, -math.inf)) == {"undefined": 1.0}
    assert margin_quantiles(np.zeros(0)) == {"undefined": 0.0}


def test_an_unknown_name_is_told_the_nearest() -> None:
    none, ids = np.zeros((1, 1)), np.zeros((1, 1), int)
    with pytest.raises(UserError, match=r"unknown margin 'ration'.*'ratio'"):
        margin_scores(none, ids, none, "ration")
    with pytest.raises(UserError, match=r"unknown candidate selection 'intersect'.*'intersection'"):
        select_candidates(none, ids, none, ids, "intersect")
    with pytest.raises(UserError, match=r"unknown rule for duplicates 'dorp'.*'drop'"):
        original_rows(Candidates(ids[0], ids[0], none[0]), unique_texts(["a"]), unique_texts(["b"]), "dorp")


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
    # A triple may be there twice; either will do.
    assert [triples[i] for i in found] == [triples[i] for i in greedy_loop(source, target, scores)]


def test_greedy_follows_a_long_chain_of_better_rivals() -> None:
    # 0-0 < 1-0 < 1-1 < 2-1 < ...: only the last pair is a mutual best, and each round frees the next but one.
    source, target = np.arange(1, 101) // 2, np.arange(100) // 2
    found = greedy_one_to_one(source, target, np.arange(100.0))
    assert found.tolist() == greedy_loop(source.tolist(), target.tolist(), list(range(100)))


def published(
    how: str, forward: np.ndarray, forward_ids: np.ndarray, backward: np.ndarray, backward_ids: np.ndarray
) -> list[tuple[float, int, int]]:
    """The definitions, sentence by sentence: (margin, source, target), best first."""
    column = (lambda margins: 0) if how == "mutual" else np.argmax
    source_best = [
        (row[column(row)], i, int(ids[column(row)]))
        for i, (row, ids) in enumerate(zip(forward, forward_ids, strict=True))
    ]
    target_best = [
        (row[column(row)], int(ids[column(row)]), j)
        for j, (row, ids) in enumerate(zip(backward, backward_ids, strict=True))
    ]
    if how == "max":
        offers = source_best + target_best
        return [offers[i] for i in greedy_loop([o[1] for o in offers], [o[2] for o in offers], [o[0] for o in offers])]
    both = [pair for pair in source_best if pair in target_best]
    chosen = {"forward": source_best, "backward": target_best, "intersection": both, "mutual": both}[how]
    return sorted(chosen, key=lambda pair: (-pair[0], *pair[1:]))


# Few distinct cosines, so that ties are common.
@given(
    st.sampled_from(list(SELECTIONS)), st.integers(1, 7), st.integers(1, 7), st.integers(1, 4), st.integers(0, 10**6)
)
def test_candidates_equal_the_published_procedure(how: str, n: int, m: int, k: int, seed: int) -> None:
    cosines = np.random.default_rng(seed).integers(1, 12, (n, m)) / 12
    (forward, forward_ids), (backward, backward_ids) = nearest(cosines, k), nearest(cosines.T, k)
    forward, backward = margin_scores(forward, forward_ids, backward), margin_scores(backward, backward_ids, forward)
    found = select_candidates(forward, forward_ids, backward, backward_ids, how)
    expected = published(how, forward, forward_ids, backward, backward_ids)
    assert list(zip(found.scores, found.source, found.target, strict=True)) == expected
    if how != "backward":
        assert len(set(found.source)) == len(found.source)
    if how != "forward":
        assert len(set(found.target)) == len(found.target)


@pytest.mark.parametrize("how", SELECTIONS)
def test_mining_an_empty_side_finds_nothing(how: str) -> None:
    nothing, no_ids = np.zeros((3, 0)), np.zeros((3, 0), int)
    margins = margin_scores(nothing, no_ids, np.zeros((0, 3)))
    found = select_candidates(margins, no_ids, np.zeros((0, 3)), np.zeros((0, 3), int), how)
    assert len(found.source) == len(found.target) == len(found.scores) == 0


def test_mutual_asks_for_cosine_where_intersection_asks_for_margin() -> None:
    # Each is the other's nearest (0, 0), but by margin both prefer their second neighbour.
    margins, ids = np.array([[1.1, 1.3], [1.0, 1.2]]), np.array([[0, 1], [0, 1]])
    assert select_candidates(margins, ids, margins, ids, "mutual") == Candidates(*map(np.array, ([0], [0], [1.1])))
    assert select_candidates(margins, ids, margins, ids, "intersection").target.tolist() == [1]


def test_gold_mask_is_membership_of_pairs() -> None:
    gold = [(0, 5), (2, 1)]
    assert gold_mask(np.array([0, 2, 2, 5]), np.array([5, 1, 5, 0]), gold).tolist() == [True, True, False, False]
    assert gold_mask(np.array([0]), np.array([0]), []).tolist() == [False]


scored = st.lists(st.tuples(st.integers(0, 9).map(lambda x: x / 7), st.booleans()), min_size=1, max_size=25)


@given(scored, st.integers(0, 5))
def test_every_point_of_the_curve_is_the_score_at_its_threshold_and_the_tuned_one_the_best(
    candidates: list[tuple[float, bool]], missed: int
) -> None:
    scores, is_gold = np.array([c[0] for c in candidates]), np.array([c[1] for c in candidates])
    n_gold = int(is_gold.sum()) + missed
    points = curve(scores, is_gold, n_gold)
    assert points.threshold.tolist() == sorted(set(scores), reverse=True)
    for threshold, *rates in zip(points.threshold, points.f1, points.precision, points.recall, strict=True):
        assert tuple(rates) == score_at(scores, is_gold, n_gold, threshold)[1:]
    best = best_threshold(scores, is_gold, n_gold)
    assert best == score_at(scores, is_gold, n_gold, best.threshold)
    assert best.f1 == max(points.f1)


def test_average_precision_is_the_area_under_the_steps() -> None:
    points = curve(np.array([0.9, 0.8, 0.8, 0.7]), np.array([True, True, False, True]), 5)
    # Recall rises by 1/5 at precision 1, by 1/5 at the tie's 2/3, by 1/5 at 3/4; two gold pairs are never found.
    assert points.average_precision == pytest.approx((1 + 2 / 3 + 3 / 4) / 5)
    assert curve(np.zeros(0), np.zeros(0, bool), 3).average_precision == 0.0


def test_threshold_lies_half_way_after_the_best_prefix_which_may_be_everything_or_nothing() -> None:
    best = best_threshold(np.array([1.0, 1.4, 1.2]), np.array([False, True, True]), 2)
    assert best == BitextScore(pytest.approx(1.1), 1.0, 1.0, 1.0)
    assert best_threshold(np.array([1.2, 1.1]), np.array([True, True]), 4) == (1.1, pytest.approx(2 / 3), 1.0, 0.5)
    assert best_threshold(np.array([1.2, 1.1]), np.array([False, False]), 3)[1:] == (0.0, 0.0, 0.0)
    assert best_threshold(np.zeros(0), np.zeros(0, bool), 3) == (0.0, 0.0, 0.0, 0.0)
    assert score_at(np.array([1.0]), np.array([False]), 0, 0.5)[1:] == (0.0, 0.0, 0.0)


def test_threshold_between_adjacent_floats_keeps_the_prefix_and_is_not_rounded_to_fp32() -> None:
    low = np.nextafter(1.0, 2.0)
    single = np.nextafter(np.float32(1), np.float32(2))
    for scores in (np.array([low, 1.0]), np.array([np.nextafter(low, 2.0), low]), np.array([single, 1], np.float32)):
        best = best_threshold(scores, np.array([True, False]), 1)
        assert best.f1 == 1.0
        assert best == score_at(scores, np.array([True, False]), 1, best.threshold)


# Few distinct texts, so that most stand more than once.
files = st.lists(st.text("ab \u3000", max_size=2), max_size=12)


@given(files)
def test_texts_are_numbered_by_their_first_rows(texts: list[str]) -> None:
    found = unique_texts(texts)
    distinct = list(dict.fromkeys(text.strip() for text in texts))
    assert [distinct.index(text.strip()) for text in texts] == found.of_row.tolist()
    assert [[t.strip() for t in texts].index(text) for text in distinct] == found.first.tolist()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("drop", [(1, 1, 3.0)]),
        ("all_ids", [(0, 0, 3.0), (1, 1, 3.0), (2, 0, 3.0), (3, 2, 1.0), (3, 3, 1.0)]),
        ("first", [(0, 0, 3.0), (1, 1, 3.0), (3, 2, 1.0)]),
    ],
)
def test_a_repeated_text_stands_for_what_the_rule_says(rule: str, expected: list[tuple[int, int, float]]) -> None:
    source, target = unique_texts(["twice", "once", "twice", "one"]), unique_texts(["uno", "due", "tre", "tre"])
    pairs = Candidates(np.arange(3), np.arange(3), np.array([3.0, 3.0, 1.0]))
    assert list(zip(*original_rows(pairs, source, target, rule), strict=True)) == expected


def by_text(rule: str, pairs: Candidates, source: list[str], target: list[str]) -> list[tuple[int, int, float]]:
    """The rules as the field's code states them, text by text."""
    found = []
    for s, t, score in zip(*pairs, strict=True):
        sides = ((source, s), (target, t))
        rows_of = [[row for row, text in enumerate(file) if text == list(dict.fromkeys(file))[n]] for file, n in sides]
        if rule == "first":
            rows_of = [rows[:1] for rows in rows_of]
        if rule == "drop" and any(len(rows) > 1 for rows in rows_of):
            continue
        found += [(a, b, score) for a in rows_of[0] for b in rows_of[1]]
    return sorted(found, key=lambda pair: (-pair[2], pair[0], pair[1]))


rows = st.lists(st.sampled_from("abcd"), min_size=1, max_size=7)


@given(st.sampled_from(list(RULES)), rows, rows, st.data())
def test_rules_equal_their_definitions(rule: str, source: list[str], target: list[str], data: st.DataObject) -> None:
    every = [(s, t) for s in range(len(set(source))) for t in range(len(set(target)))]
    chosen = data.draw(st.lists(st.sampled_from(every), unique=True))
    scores = data.draw(st.lists(st.integers(0, 3), min_size=len(chosen), max_size=len(chosen)))
    numbers = np.array(chosen, int).reshape(-1, 2)
    pairs = best_first(Candidates(numbers[:, 0], numbers[:, 1], np.array(scores, float)))
    found = original_rows(pairs, unique_texts(source), unique_texts(target), rule)
    assert list(zip(*found, strict=True)) == by_text(rule, pairs, source, target)
