"""Nested, class-stratified subsets of a training set, as pure functions of (seed, ids, classes).

All sizes of one seed are prefixes of one ordering, so a smaller subset is always inside a larger one (law 6). The
ordering is by hash of the row's id: file order, ranks and other languages have no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dist_stilts.conventions import text_hash


def ordering(ids: Sequence[str], classes: Sequence[int], seed: int) -> np.ndarray:
    """Order rows so that every prefix has the class shares of the whole, to within half a row per other class.

    Args:
        ids: unique row ids; classes: one class per row (all equal where there are none).

    Returns:
        ``[n]`` row numbers.
    """
    draws = np.array([_draw(seed, row_id) for row_id in ids], dtype=np.uint64)
    labels = np.asarray(classes)
    place = np.empty(len(ids), dtype=np.float64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        members = members[np.argsort(draws[members], kind="stable")]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)  # evenly spread over the ordering
    return np.lexsort((draws, place))


def subset(ids: Sequence[str], classes: Sequence[int], size: int, seed: int, skip: int = 0) -> np.ndarray:
    """The rows of the subset of ``size``, in ascending order of row number, without those of the subset of ``skip``."""
    return np.sort(ordering(ids, classes, seed)[skip:size])


def _draw(seed: int, row_id: str) -> int:
    return int.from_bytes(text_hash(f"{seed}\t{row_id}"), "little")
