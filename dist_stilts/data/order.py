"""Which rows make up which optimiser step: a pure function of (seed, size, batch size, step), nothing else.

The rows of a step do not depend on the number of ranks, and no iterator has to be wound forward: a resumed run asks
for step 501 and gets it (law 2). Epochs follow each other without a gap; the last batch of an epoch is filled from
the next one, so every row is used equally often.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=64)
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


def deal(lengths: np.ndarray, ranks: int, micro_batches: int) -> list[list[np.ndarray]]:
    """Share one global batch out among ranks and micro-batches, like lengths together to keep padding small.

    Where the rows cannot be shared evenly, the micro-batches of the shortest rows hold one row more, and so do the
    first ranks: neither two micro-batches nor two ranks ever differ by more than one row.

    Args:
        lengths: ``[batch_size]`` tokens per row; at least one row for each of ``ranks * micro_batches``.

    Returns:
        For each rank and each of its micro-batches, positions in the batch. At each micro-batch all ranks hold rows of
        similar length, so none waits long for another.
    """
    cells = ranks * micro_batches
    assert len(lengths) >= cells, f"{len(lengths)} rows for {ranks} ranks x {micro_batches} micro-batches"
    parts = np.array_split(np.argsort(lengths, kind="stable"), cells)
    return [parts[rank::ranks] for rank in range(ranks)]
