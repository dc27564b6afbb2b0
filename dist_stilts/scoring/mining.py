"""Bitext mining as in LASER and XTREME's BUCC: margin, one-to-one candidates, a threshold tuned on dev gold.

    neighbours both ways -> margin_scores -> max_candidates -> best_threshold (dev) -> score_at (test)

Margin and candidate selection: Artetxe & Schwenk (ACL 2019), ratio margin, retrieval mode "max"; XTREME uses k = 4.
Array code throughout: nothing here loops over sentences.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]
Ids = NDArray[np.integer[Any]]

ROWS_PER_BLOCK = 1 << 14
"""Rows that :func:`retrieval_health` holds in float64 at a time."""


class Candidates(NamedTuple):
    """Pairs of rows [c], best first; no row is in two pairs."""

    source: Ids
    target: Ids
    scores: Floats


class BitextScore(NamedTuple):
    """What extracting every candidate with ``score >= threshold`` gives; the last three are in 0..1."""

    threshold: float
    f1: float
    precision: float
    recall: float


def margin_scores(scores: Floats, ids: Ids, other_scores: Floats) -> Floats:
    """Ratio margin of every row with each of its neighbours: cosine over the mean of the two sides' k-NN means.

    Args:
        scores: cosines with the k nearest rows of the other side [n, k].
        ids: the row numbers of those neighbours [n, k].
        other_scores: the other side's cosines with its own k' nearest rows [m, k'].

    Returns:
        Margins [n, k], float64. Where the mean is not positive the ratio has no meaning and is ``-inf``.
    """
    own = np.asarray(scores, np.float64)
    own_mean = own.mean(axis=1, keepdims=True)
    other_mean = np.asarray(other_scores, np.float64).mean(axis=1)
    middle = (own_mean + other_mean[ids]) / 2
    margins: Floats = np.divide(own, middle, out=np.full_like(own, -np.inf), where=middle > 0)
    return margins


def max_candidates(forward: Floats, forward_ids: Ids, backward: Floats, backward_ids: Ids) -> Candidates:
    """Select pairs in mode "max": every row offers its best pair, offers are taken greedily, each row once.

    Args:
        forward, forward_ids: margins and neighbours of the source rows [n, k].
        backward, backward_ids: margins and neighbours of the target rows [m, k'].

    Returns:
        Candidates by descending margin; equal margins by source, then target. Margins of ``-inf`` are left out.
    """
    forward_offers = _best_column(forward, forward_ids)
    backward_offers = _best_column(backward, backward_ids)
    source = np.concatenate([np.arange(len(forward)), backward_offers[0]])
    target = np.concatenate([forward_offers[0], np.arange(len(backward))])
    scores = np.concatenate([forward_offers[1], backward_offers[1]])
    finite = np.isfinite(scores)
    source, target, scores = source[finite], target[finite], scores[finite]
    taken = greedy_one_to_one(source, target, scores)
    return Candidates(source[taken], target[taken], scores[taken])


def _best_column(margins: Floats, ids: Ids) -> tuple[Ids, Floats]:
    """Id and margin of the best neighbour per row; none if there are no neighbours."""
    if not margins.size:
        return np.zeros(len(margins), np.int64), np.full(len(margins), -np.inf)
    column = margins.argmax(axis=1)[:, None]
    return np.take_along_axis(ids, column, axis=1)[:, 0], np.take_along_axis(margins, column, axis=1)[:, 0]


def greedy_one_to_one(source: Ids, target: Ids, scores: Floats) -> Ids:
    """Which pairs a greedy pass from the best down keeps, if every source and every target may be used once.

    Done in rounds instead of pairs: a pair that is the best left for both its rows is one that the greedy pass keeps,
    and it rules out every other pair of these rows. The rounds needed grow with the longest chain of ever better
    rival pairs, a few in practice.

    Returns:
        Indices into the input by descending score; equal scores by source, then target.
    """
    order = np.lexsort((target, source, -np.asarray(scores)))
    left_source, left_target = np.asarray(source)[order], np.asarray(target)[order]
    rank, kept = np.arange(len(order)), [np.zeros(0, np.int64)]
    while len(rank):
        best_of_source = np.full(left_source.max() + 1, len(order))
        best_of_target = np.full(left_target.max() + 1, len(order))
        np.minimum.at(best_of_source, left_source, rank)
        np.minimum.at(best_of_target, left_target, rank)
        mutual = (best_of_source[left_source] == rank) & (best_of_target[left_target] == rank)
        kept.append(rank[mutual])
        free = ~(np.isin(left_source, left_source[mutual]) | np.isin(left_target, left_target[mutual]))
        rank, left_source, left_target = rank[free], left_source[free], left_target[free]
    return order[np.sort(np.concatenate(kept))]


def gold_mask(source: Ids, target: Ids, gold: ArrayLike) -> NDArray[np.bool_]:
    """Whether each pair (source row, target row) is among the gold pairs [g, 2]."""
    pairs = np.asarray(gold, np.int64).reshape(-1, 2)
    width = 1 + max(np.max(target, initial=0), np.max(pairs[:, 1], initial=0))
    return np.isin(np.asarray(source, np.int64) * width + target, pairs[:, 0] * width + pairs[:, 1])


def best_threshold(scores: Floats, is_gold: NDArray[np.bool_], n_gold: int) -> BitextScore:
    """Tune the threshold on dev: half way between the last score of the best-F1 prefix and the next one.

    Candidates with equal scores are extracted together, so what is returned is exactly what :func:`score_at` gives
    at the threshold. If the best prefix is everything, its last score is the threshold. If no candidate is gold, only
    the top of the list is extracted, for an F1 of 0; without candidates the threshold is 0.

    Args:
        scores: margins of the candidates [c], any order.
        is_gold: whether each candidate is a gold pair [c].
        n_gold: number of gold pairs, found or not.
    """
    if not len(scores):
        return BitextScore(0.0, 0.0, 0.0, 0.0)
    order = np.argsort(-scores, kind="stable")
    ranked = np.asarray(scores, np.float64)[order]
    last_of_tie = np.append(ranked[1:] < ranked[:-1], True)
    f1 = 2 * np.cumsum(is_gold[order]) / (np.arange(1, len(ranked) + 1) + n_gold)
    best = int(np.argmax(np.where(last_of_tie, f1, -1.0)))
    threshold = ranked[best]
    if best + 1 < len(ranked):
        middle = (ranked[best] + ranked[best + 1]) / 2
        # Half way between two neighbouring floats is one of the two; it must not be the one left out.
        threshold = middle if middle > ranked[best + 1] else threshold
    return score_at(scores, is_gold, n_gold, float(threshold))


def score_at(scores: Floats, is_gold: NDArray[np.bool_], n_gold: int, threshold: float) -> BitextScore:
    """Score the extraction of all candidates with ``score >= threshold`` against ``n_gold`` gold pairs."""
    extracted = np.asarray(scores) >= threshold
    n_extracted, right = int(extracted.sum()), int((extracted & np.asarray(is_gold)).sum())
    return BitextScore(
        threshold=threshold,
        f1=2 * right / (n_extracted + n_gold) if right else 0.0,
        precision=right / n_extracted if right else 0.0,
        recall=right / n_gold if right else 0.0,
    )


def retrieval_health(embeddings: Floats) -> dict[str, float]:
    """Two signs of a collapsed encoder, to be read before its retrieval scores.

    Args:
        embeddings: [n, d], n >= 2; rows are normalised here.

    Returns:
        ``mean_cosine``: mean over all pairs of different rows; near 1 means that every text looks alike.
        ``effective_rank``: exp of the entropy of the normalised singular values (Roy & Vetterli 2007), from 1 (all
        rows on one line) to min(n, d).
    """
    n = len(embeddings)
    if n < 2:
        raise ValueError(f"{n} embeddings have no pairs")
    total = np.zeros(embeddings.shape[1])
    gram = np.zeros((embeddings.shape[1],) * 2)
    squares = 0.0
    for start in range(0, n, ROWS_PER_BLOCK):
        rows = np.asarray(embeddings[start : start + ROWS_PER_BLOCK], np.float64)
        rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float64).tiny)
        total += rows.sum(axis=0)
        gram += rows.T @ rows
        squares += float(np.sum(rows * rows))
    singular = np.sqrt(np.clip(np.linalg.eigvalsh(gram), 0.0, None))
    share = singular[singular > 0] / singular.sum()
    return {
        "mean_cosine": float((total @ total - squares) / (n * (n - 1))),
        "effective_rank": float(np.exp(-np.sum(share * np.log(share)))),
    }
