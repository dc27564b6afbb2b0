"""Bitext mining as in LASER and XTREME's BUCC: margin, candidates, a threshold tuned on dev gold.

    neighbours both ways -> margin_scores -> select_candidates -> best_threshold (dev) -> score_at (test)

Margins and LASER's candidate selection: Artetxe & Schwenk (ACL 2019), section 3; CSLS: Conneau et al. (ICLR 2018),
section 2.3. XTREME uses the ratio, "max" and k = 4. Texts that stand twice: :mod:`dist_stilts.scoring.duplicates`.
Array code throughout: nothing here loops over sentences or candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dist_stilts.errors import UserError, nearest

Floats = NDArray[np.floating[Any]]
Ids = NDArray[np.integer[Any]]

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""What :func:`margin_quantiles` reports."""


class Candidates(NamedTuple):
    """Pairs of rows [c] by descending score; equal scores by source, then target."""

    source: Ids
    target: Ids
    scores: Floats


class BitextScore(NamedTuple):
    """What extracting every candidate with ``score >= threshold`` gives; the last three are in 0..1."""

    threshold: float
    f1: float
    precision: float
    recall: float


class Curve(NamedTuple):
    """Scores of extraction at every distinct candidate score [t], from the highest threshold down; all in 0..1.

    ``average_precision`` is the area under the steps of the curve, sum of precision times gain in recall, not
    interpolated; recall counts the gold pairs that are no candidate.
    """

    threshold: Floats
    precision: Floats
    recall: Floats
    f1: Floats
    average_precision: float


def _ratio(cosine: Floats, middle: Floats) -> Floats:
    margins: Floats = np.divide(cosine, middle, out=np.full_like(cosine, -np.inf), where=middle > 0)
    return margins


MARGINS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "ratio": _ratio,
    "distance": lambda cosine, middle: cosine - middle,
    "absolute": lambda cosine, middle: cosine,
    "csls": lambda cosine, middle: 2 * (cosine - middle),
}
"""From the cosine of a pair and the mean of its two neighbourhoods' mean cosines to its margin."""


def margin_scores(scores: Floats, ids: Ids, other_scores: Floats, margin: str = "ratio") -> Floats:
    """Margin of every row with each of its neighbours: its cosine, made relative to the two neighbourhoods.

    With c the cosine of a pair and b the mean of its two rows' k-NN mean cosines:

    * ``ratio`` c / b. Where b is near 0 the ratio is huge whatever c is (unrelated pairs then top the list: see
      :func:`margin_quantiles`); where b is not positive it has no meaning and is ``-inf``, so that it is never mined.
    * ``distance`` c - b.
    * ``absolute`` c: no margin, the plain cosine.
    * ``csls`` 2c - 2b: twice the distance, the same pairs in the same order.

    Args:
        scores: cosines with the k nearest rows of the other side [n, k].
        ids: the row numbers of those neighbours [n, k].
        other_scores: the other side's cosines with its own k' nearest rows [m, k'].
        margin: a name in :data:`MARGINS`.

    Returns:
        Margins [n, k], float64; the same number from both sides of a pair.

    Raises:
        UserError: no such margin.
    """
    if margin not in MARGINS:
        raise UserError(f"unknown margin '{margin}'", fix=nearest(margin, MARGINS))
    own = np.asarray(scores, np.float64)
    if not own.size:
        return own
    other_mean = np.asarray(other_scores, np.float64).mean(axis=1)
    return MARGINS[margin](own, (own.mean(axis=1, keepdims=True) + other_mean[ids]) / 2)


def margin_quantiles(scores: Floats) -> dict[str, float]:
    """How the margins of candidates are spread, to be looked at before a threshold is believed.

    A long upper tail of ratios is a sign of neighbourhoods with means near 0, where the ratio is unstable and
    ``distance`` the safer margin.

    Args:
        scores: margins of any shape.

    Returns:
        ``undefined``, the share of ``-inf``, and the quantiles of the others (:data:`QUANTILES`), from ``q0``, the
        least, to ``q100``, the greatest, if there are any.
    """
    finite = np.asarray(scores)[np.isfinite(scores)]
    spread = {"undefined": 1 - finite.size / np.size(scores) if np.size(scores) else 0.0}
    if finite.size:
        values = np.quantile(finite, QUANTILES).tolist()
        spread |= {f"q{100 * q:g}": value for q, value in zip(QUANTILES, values, strict=True)}
    return spread


def select_candidates(
    forward: Floats, forward_ids: Ids, backward: Floats, backward_ids: Ids, how: str = "max"
) -> Candidates:
    """Select the pairs that a threshold will later cut.

    * ``forward`` (LASER's fwd): every source row with the best target among its neighbours, by margin.
    * ``backward`` (LASER's bwd): every target row with its best source, by margin.
    * ``intersection`` (LASER's intersect): the pairs that are both.
    * ``max`` (LASER's max): the pairs that are either, taken greedily from the best down, every row once.
    * ``mutual`` (mutual nearest neighbours): the pairs that are each other's nearest by cosine; the margin only scores.

    In forward a target, in backward a source, may be in several pairs; in the others every row is in one at most.
    Of neighbours with equal margins a row takes the nearest.

    Args:
        forward, forward_ids: margins and neighbours of the source rows, nearest first [n, k].
        backward, backward_ids: margins and neighbours of the target rows, nearest first [m, k'].
        how: a name in :data:`SELECTIONS`.

    Returns:
        Candidates; margins of ``-inf`` are left out.

    Raises:
        UserError: no such selection.
    """
    if how not in SELECTIONS:
        raise UserError(f"unknown candidate selection '{how}'", fix=nearest(how, SELECTIONS))
    column = _nearest_column if how == "mutual" else _best_column
    ids, margins = column(forward, forward_ids)
    from_source = _with_margin(np.arange(len(ids)), ids, margins)
    ids, margins = column(backward, backward_ids)
    from_target = _with_margin(ids, np.arange(len(ids)), margins)
    return SELECTIONS[how](from_source, from_target)


def _best_column(margins: Floats, ids: Ids) -> tuple[Ids, Floats]:
    """Id and margin of the neighbour with the best margin; rows without neighbours have ``-inf``."""
    if not margins.size:
        return np.zeros(len(margins), np.int64), np.full(len(margins), -np.inf)
    column = margins.argmax(axis=1)[:, None]
    return np.take_along_axis(ids, column, axis=1)[:, 0], np.take_along_axis(margins, column, axis=1)[:, 0]


def _nearest_column(margins: Floats, ids: Ids) -> tuple[Ids, Floats]:
    """Id and margin of the nearest neighbour; rows without neighbours have ``-inf``."""
    return _best_column(margins[:, :1], ids[:, :1])


def _with_margin(source: Ids, target: Ids, scores: Floats) -> Candidates:
    finite = np.isfinite(scores)
    return Candidates(source[finite], target[finite], scores[finite])


def best_first(pairs: Candidates) -> Candidates:
    """The same pairs by descending score; equal scores by source, then target."""
    return _take(pairs, _best_first(*pairs))


def _best_first(source: Ids, target: Ids, scores: Floats) -> Ids:
    """The order of :func:`best_first`; half the time of a lexsort of the three."""
    by_pair = np.argsort(_pair_numbers(source, target, 1 + np.max(target, initial=0)))
    order: Ids = by_pair[np.argsort(-np.asarray(scores)[by_pair], kind="stable")]
    return order


def _pair_numbers(source: Ids, target: Ids, width: int) -> Ids:
    """One number per pair that sorts like (source, target), if all targets are below ``width``."""
    return np.asarray(source, np.int64) * width + target


def _take(pairs: Candidates, which: Ids | NDArray[np.bool_]) -> Candidates:
    return Candidates(pairs.source[which], pairs.target[which], pairs.scores[which])


def _intersection(from_source: Candidates, from_target: Candidates) -> Candidates:
    both = gold_mask(from_source.source, from_source.target, np.stack(from_target[:2], axis=1))
    return best_first(_take(from_source, both))


def _max(from_source: Candidates, from_target: Candidates) -> Candidates:
    source, target, scores = (np.concatenate(parts) for parts in zip(from_source, from_target, strict=True))
    return _take(Candidates(source, target, scores), greedy_one_to_one(source, target, scores))


SELECTIONS: dict[str, Callable[[Candidates, Candidates], Candidates]] = {
    "forward": lambda from_source, from_target: best_first(from_source),
    "backward": lambda from_source, from_target: best_first(from_target),
    "intersection": _intersection,
    "max": _max,
    "mutual": _intersection,
}
"""From the pair that every source row offers and the pair that every target row offers to the candidates."""


def greedy_one_to_one(source: Ids, target: Ids, scores: Floats) -> Ids:
    """Which pairs a greedy pass from the best down keeps, if every source and every target may be used once.

    Done in rounds instead of pairs: a pair that is the best left for both its rows is one that the greedy pass keeps,
    and it rules out every other pair of these rows. The rounds needed grow with the longest chain of ever better
    rival pairs, a few in practice.

    Returns:
        Indices into the input by descending score; equal scores by source, then target.
    """
    order = _best_first(source, target, scores)
    left_source, left_target = np.asarray(source)[order], np.asarray(target)[order]
    best_of_source = np.empty(1 + left_source.max(initial=0), np.int64)
    best_of_target = np.empty(1 + left_target.max(initial=0), np.int64)
    rank, kept, is_kept = np.arange(len(order)), [np.zeros(0, np.int64)], np.zeros(len(order), bool)
    while len(rank):
        # Where an index repeats, the last value assigned stays: backwards, that is the best rank.
        best_of_source[left_source[::-1]] = rank[::-1]
        best_of_target[left_target[::-1]] = rank[::-1]
        best = rank[(best_of_source[left_source] == rank) & (best_of_target[left_target] == rank)]
        kept.append(best)
        # A row is used up exactly if its own best is a pair just kept.
        is_kept[best] = True
        free = ~(is_kept[best_of_source[left_source]] | is_kept[best_of_target[left_target]])
        rank, left_source, left_target = rank[free], left_source[free], left_target[free]
    return order[np.sort(np.concatenate(kept))]


def gold_mask(source: Ids, target: Ids, gold: ArrayLike) -> NDArray[np.bool_]:
    """Whether each pair (source row, target row) is among the gold pairs [g, 2]."""
    pairs = np.asarray(gold, np.int64).reshape(-1, 2)
    width = 1 + max(np.max(target, initial=0), np.max(pairs[:, 1], initial=0))
    return np.isin(_pair_numbers(source, target, width), _pair_numbers(pairs[:, 0], pairs[:, 1], width))


def curve(scores: Floats, is_gold: NDArray[np.bool_], n_gold: int) -> Curve:
    """Precision, recall and F1 of extracting down to every distinct score: equal scores are extracted together.

    Args:
        scores: margins of the candidates [c], any order.
        is_gold: whether each candidate is a gold pair [c].
        n_gold: number of gold pairs, found or not.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    ranked = np.asarray(scores, np.float64)[order]
    last_of_tie = np.flatnonzero(ranked != np.append(ranked, np.nan)[1:])
    right = np.cumsum(np.asarray(is_gold, bool)[order])[last_of_tie]
    precision, recall, f1 = _rates(right, last_of_tie + 1, n_gold)
    average_precision = float(np.sum(precision * np.diff(recall, prepend=0.0)))
    return Curve(ranked[last_of_tie], precision, recall, f1, average_precision)


def _rates(right: ArrayLike, extracted: ArrayLike, n_gold: int) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 from counts; 0 where nothing is extracted or nothing is gold."""
    right, extracted = np.asarray(right, np.int64), np.asarray(extracted, np.int64)
    precision = right / np.maximum(extracted, 1)
    recall = right / max(n_gold, 1)
    return precision, recall, 2 * right / np.maximum(extracted + n_gold, 1)


def best_threshold(scores: Floats, is_gold: NDArray[np.bool_], n_gold: int) -> BitextScore:
    """Tune the threshold on dev: half way between the last score of the best-F1 prefix and the next one.

    What is returned is exactly what :func:`score_at` gives at the threshold. If the best prefix is everything, its
    last score is the threshold. If no candidate is gold, only the top of the list is extracted, for an F1 of 0;
    without candidates the threshold is 0. Arguments as for :func:`curve`.
    """
    points = curve(scores, is_gold, n_gold)
    if not len(points.f1):
        return BitextScore(0.0, 0.0, 0.0, 0.0)
    best = int(np.argmax(points.f1))
    threshold = points.threshold[best]
    if best + 1 < len(points.threshold):
        left_out = points.threshold[best + 1]
        middle = (threshold + left_out) / 2
        # Half way between two neighbouring floats is one of the two; it must not be the one left out.
        threshold = middle if middle > left_out else threshold
    return BitextScore(float(threshold), *(float(part[best]) for part in (points.f1, points.precision, points.recall)))


def score_at(scores: Floats, is_gold: NDArray[np.bool_], n_gold: int, threshold: float) -> BitextScore:
    """Score the extraction of all candidates with ``score >= threshold`` against ``n_gold`` gold pairs."""
    extracted = np.asarray(scores, np.float64) >= threshold
    precision, recall, f1 = _rates((extracted & np.asarray(is_gold, bool)).sum(), extracted.sum(), n_gold)
    return BitextScore(threshold, float(f1), float(precision), float(recall))
