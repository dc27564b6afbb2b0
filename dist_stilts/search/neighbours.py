"""Exact k nearest neighbours of two sets of embeddings, in both directions, from one pass over their similarities.

Each tile of the similarity matrix is computed once and read twice: along its rows for the source side's neighbours
and along its columns for the target side's. Memory is bounded; the matrix never exists as a whole.

Promises:

* exact in fp32 without TF32: bf16 and TF32 leave gaps near a cosine of 1 that turn neighbours into ties;
* ties go to the lowest row number, so the answer is a function of the input;
* the answer does not depend on the memory budget: products are taken on a fixed grid of cells, whose shapes follow
  from the input alone, because a matrix product may round differently in another shape. The budget only decides how
  many cells are searched together. (Another device, BLAS or thread count may still differ in the last bit.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from dist_stilts.errors import EXIT_FAILED, UserError

CELL_ROWS = {"cpu": 512, "cuda": 2048}
"""Side of a grid cell: large enough to keep the device busy, small enough for any sensible budget."""
BYTES_PER_SIMILARITY = 12
"""A tile (fp32), its transposed copy inside top-k, and the copy of the rows whose ties are being settled."""
EMPTY = torch.iinfo(torch.int64).min
LOW_32_BITS = 0xFFFFFFFF


@dataclass(frozen=True)
class Neighbours:
    """The nearest rows of the other side.

    Attributes:
        scores: inner products [n, k], fp32, descending; cosines if the embeddings have length 1.
        ids: row numbers on the other side [n, k], int64; the lower one first where scores are equal.
    """

    scores: Tensor
    ids: Tensor


def both_directions(
    source: Tensor, target: Tensor, k: int, memory_bytes: int = 256 << 20
) -> tuple[Neighbours, Neighbours]:
    """Find the k nearest targets of every source row and the k nearest sources of every target row.

    Args:
        source: L2-normalised embeddings [n, d].
        target: L2-normalised embeddings [m, d] on the same device.
        k: neighbours per row; at most the size of the other side is returned.
        memory_bytes: working memory beside the inputs and results; one grid cell is used even if it needs more.

    Raises:
        UserError: an embedding is not finite.
        ValueError: the shapes or ``k`` make no sense.
    """
    if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1] or k < 1:
        raise ValueError(f"cannot search {tuple(source.shape)} against {tuple(target.shape)} with k={k}")
    source, target = source.float(), target.float()
    _refuse_non_finite(source, "source")
    _refuse_non_finite(target, "target")
    forward = _no_neighbours(source, min(k, len(target)))
    backward = _no_neighbours(target, min(k, len(source)))
    cell = CELL_ROWS.get(source.device.type, CELL_ROWS["cuda"])
    rows_per_tile = _rows_per_tile(memory_bytes, cell)
    with _full_fp32(source.device.type):
        for rows in _spans(len(source), rows_per_tile):
            for columns in _spans(len(target), rows_per_tile):
                tile = _similarities(source[rows], target[columns], cell)
                _merge(forward[rows], tile, columns.start)
                _merge(backward[columns], tile.T, rows.start)
    return _unpack(forward), _unpack(backward)


def _rows_per_tile(memory_bytes: int, cell: int) -> int:
    """Side of a square tile that fits the budget, in whole cells."""
    side = int((memory_bytes / BYTES_PER_SIMILARITY) ** 0.5)
    return max(side // cell, 1) * cell


def _spans(rows: int, step: int) -> Iterator[slice]:
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _similarities(source: Tensor, target: Tensor, cell: int) -> Tensor:
    """Inner products [rows, columns], one product per grid cell."""
    tile = source.new_empty(len(source), len(target))
    for rows in _spans(len(source), cell):
        for columns in _spans(len(target), cell):
            tile[rows, columns] = source[rows] @ target[columns].T
    return tile


def _merge(best: Tensor, tile: Tensor, first_id: int) -> None:
    """Bring the running keys ``best`` [rows, k] up to date, in place, with one more tile [rows, columns]."""
    found = _best_in_tile(tile, first_id, best.shape[1])
    best.copy_(torch.cat([best, found], dim=1).topk(best.shape[1], dim=1).values)


def _best_in_tile(tile: Tensor, first_id: int, k: int) -> Tensor:
    """Keys of the k best columns of every row [rows, min(k, columns)].

    Top-k on scores picks any of several equal ones, so one more than k is asked for: where number k and number k + 1
    are equal, that row alone is searched again by key. The order among the k themselves is settled by the keys.
    """
    rows, width = tile.shape
    if width <= k:
        return _pack(tile, torch.arange(first_id, first_id + width, device=tile.device).expand(rows, width))
    scores, columns = tile.topk(k + 1, dim=1)
    keys = _pack(scores[:, :k], columns[:, :k] + first_id)
    tied = (scores[:, k - 1] == scores[:, k]).nonzero().squeeze(1)
    ids = torch.arange(first_id, first_id + width, device=tile.device)
    for span in _spans(len(tied), max(rows // 8, 1)):
        some = tied[span]
        keys[some] = _pack(tile[some], ids.expand(len(some), width)).topk(k, dim=1).values
    return keys


def _no_neighbours(side: Tensor, k: int) -> Tensor:
    return torch.full((len(side), k), EMPTY, dtype=torch.int64, device=side.device)


def _pack(scores: Tensor, ids: Tensor) -> Tensor:
    """One int64 per pair that sorts like (score, then lower id): score bits above, inverted id (< 2^32) below."""
    bits = (scores + 0.0).contiguous().view(torch.int32)  # + 0.0 turns -0.0 into 0.0: equal scores, equal bits
    return (_sortable(bits).long() << 32) | (LOW_32_BITS - ids)


def _unpack(keys: Tensor) -> Neighbours:
    keys = keys.sort(dim=1, descending=True).values
    scores = _sortable((keys >> 32).int()).view(torch.float32)
    return Neighbours(scores, LOW_32_BITS - (keys & LOW_32_BITS))


def _sortable(bits: Tensor) -> Tensor:
    """Map fp32 bits to int32 in the order of the floats; its own inverse. Negative floats sort backwards by bits."""
    return torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


def _refuse_non_finite(side: Tensor, name: str) -> None:
    bad = (~side.sum(dim=1).isfinite()).nonzero()
    if len(bad):
        raise UserError(
            f"{len(bad)} of {len(side)} {name} embeddings are not finite, the first in row {int(bad[0])}",
            fix="The encoder is broken: look at the losses of its training",
            code=EXIT_FAILED,
        )


@contextmanager
def _full_fp32(device_type: str) -> Iterator[None]:
    """Plain fp32 products whatever the caller has set: no TF32 on GPU, no bf16 on CPU, no autocast."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device_type, enabled=False), torch.no_grad():
            yield
    finally:
        torch.set_float32_matmul_precision(before)
