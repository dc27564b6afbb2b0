"""Which rows make up which optimiser step: a pure function of (seed, size, batch size, step), nothing else.

The rows of a step do not depend on the number of ranks, and no iterator has to be wound forward: a resumed run asks
for step 501 and gets it (law 2). Epochs follow each other without a gap; the last batch of an epoch is filled from
the next one, so every row is used equally often.
"""

from __future__ import annotations

import heapq
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=20)  # ten tasks at the turn of an epoch; those of runs before are let go
def permutation(seed: int, epoch: int, size: int) -> np.ndarray:
    """The order of one epoch: ``[size]`` int64."""
    return np.random.default_rng((seed, epoch)).permutation(size)


def global_batch(seed: int, size: int, batch_size: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of optimiser step ``step`` (0-based).

    Returns:
        ``[batch_size]`` row numbers and ``[batch_size]`` the epoch in which each is drawn.
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs, within = positions // size, positions % size
    rows = np.empty(batch_size, np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        rows[here] = permutation(seed, int(epoch), size)[within[here]]
    return rows, epochs


def deal(tokens: np.ndarray, ranks: int, budget: int) -> list[list[np.ndarray]]:
    """Share one global batch out among ranks and micro-batches of at most ``budget`` tokens, for packing.

    There are as few micro-batches as that allows, and all ranks have equally many. They are filled with the longest
    rows first, each to where there is least, so that no rank waits long for another.

    Args:
        tokens: ``[batch_size]`` per row; at least one row for each rank. A single row may exceed the budget.

    Returns:
        For each rank and each of its micro-batches, positions in the batch, ascending.
    """
    for micro_batches in _numbers(tokens.sum(), len(tokens), ranks, budget):
        parts = _balanced(tokens, ranks * micro_batches)
        if max(tokens[part].sum() for part in parts) <= budget:
            break
    parts.sort(key=lambda part: tokens[part].sum())  # at each micro-batch all ranks hold about as much
    return [parts[rank::ranks] for rank in range(ranks)]


def deal_by_length(places: np.ndarray, ranks: int, budget: int) -> list[list[np.ndarray]]:
    """As :func:`deal`, for encoders that need padding: like lengths together, to keep it small.

    Args:
        places: ``[batch_size, 2]`` segments per row, and tokens of its longest segment.

    Returns:
        For each rank and each of its micro-batches, positions in the batch; rows are cut into parts by length, which
        differ by one row at most. Their padded places are at most ``budget``, or the parts are single rows.
    """
    segments, longest = places.T
    order = np.argsort(longest, kind="stable")
    for micro_batches in _numbers((segments * longest).sum(), len(places), ranks, budget):
        parts = np.array_split(order, ranks * micro_batches)
        if max(segments[part].sum() * longest[part].max() for part in parts) <= budget:
            break
    return [parts[rank::ranks] for rank in range(ranks)]


def _numbers(total: int, rows: int, ranks: int, budget: int) -> range:
    """Micro-batches per rank to try: from the fewest that could do to the most that leave none without a row."""
    assert rows >= ranks, f"{rows} rows for {ranks} ranks"
    most = rows // ranks
    return range(min(most, -(-int(total) // (ranks * budget))), most + 1)


def _balanced(tokens: np.ndarray, parts: int) -> list[np.ndarray]:
    """Rows in parts of about equal size: longest first, each to the part that has least (Graham 1969)."""
    loads = [(0, part) for part in range(parts)]
    where = np.empty(len(tokens), np.int64)
    for row in np.argsort(-tokens, kind="stable").tolist():
        load, part = loads[0]
        where[row] = part
        heapq.heapreplace(loads, (load + int(tokens[row]), part))
    return [np.flatnonzero(where == part) for part in range(parts)]
