"""Embeddings without their mean: takes out what all sentences of a language have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

ROWS_PER_BLOCK = 1 << 14


class Centred:
    """Rows less the mean of all rows, normalised again; made when they are read, so that nothing is held twice.

    Args:
        rows: L2-normalised embeddings [n, width] that can be sliced, such as a memory map.
    """

    def __init__(self, rows: Any) -> None:
        self._rows = rows
        self.shape: tuple[int, int] = rows.shape
        total = np.zeros(self.shape[1])
        for start in range(0, self.shape[0], ROWS_PER_BLOCK):
            total += np.asarray(rows[start : start + ROWS_PER_BLOCK], np.float64).sum(axis=0)
        self._mean = (total / max(self.shape[0], 1)).astype(np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        moved = np.asarray(self._rows[rows]) - self._mean
        lengths = np.linalg.norm(moved, axis=1, keepdims=True)
        return np.divide(moved, lengths, out=np.zeros_like(moved), where=lengths > 0)
