"""One pass over the cells of a similarity matrix that keeps the largest of every row and of every column.

Stages, for each tile (a square of cells that fits the memory budget):

1. every cell is computed by one matrix product and, while it is in cache, reduced to the maxima of its groups: of 32
   neighbours along each row, and of 32 along each column;
2. for every row (column) of the tile the groups with the largest maxima are looked up, and only their elements are
   compared with what the row has found so far.

That is exact: sort the groups of a row by (maximum, then lower position). If an element lies in none of the first k
groups, each of those holds an element that comes before it, by score or, at equal score, by lower row number. A tile
may also be skipped by every row that has k neighbours at least as good as the tile's best, because tiles come in
ascending order.

Cells have one fixed shape (the last ones are padded), because a product may round differently in another; the memory
budget only decides how many form a tile. So it changes no bit of the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from dist_stilts.conventions import OnCount
from dist_stilts.search.cpu_products import inner_products
from dist_stilts.search.keys import ids_of, no_keys, pack, scores_of
from dist_stilts.search.sides import Side, spans

CELL_ROWS = {"cpu": 512, "cuda": 4096}
"""Side of a cell: large enough to keep the device busy; on a CPU, small enough for its cache."""
GROUP = 32
"""Neighbours that share one maximum; divides every cell."""
BYTES_PER_CANDIDATE = 64
"""An element whose key is made and compared: its score, its id, its key, and what lies between."""
BYTES_PER_GROUP = 48
"""The same for a group's maximum."""
SHARE_OF_CANDIDATES = 8
"""One part in so many of the budget is for candidates."""


class Product(Protocol):
    """How the cells of one matrix are computed."""

    bytes_per_value: int
    """Working memory for each value of the operands, beside the rows themselves."""

    def operand(self, side: Side, start: int, values: Tensor) -> Tensor:
        """What a product needs of the rows ``values`` [b, width] of a side that begin at ``start``."""

    def cell(self, left: Operand, right: Operand, out: Tensor) -> None:
        """Similarities of two operands, into ``out`` [cell, cell] fp32; what padding yields does not matter."""


class FullPrecision:
    """Inner products in fp32."""

    bytes_per_value = 0

    def operand(self, side: Side, start: int, values: Tensor) -> Tensor:
        """The rows as they are."""
        return values

    def cell(self, left: Operand, right: Operand, out: Tensor) -> None:
        """One matrix product."""
        inner_products(left.values, right.values, out)


@dataclass(frozen=True)
class Operand:
    """One cell's rows of a side, from number ``start`` on; ``values`` [cell, width] are padded."""

    start: int
    rows: int
    values: Tensor


def cell_rows(device: torch.device) -> int:
    """Side of a grid cell."""
    return CELL_ROWS.get(device.type, CELL_ROWS["cuda"])


def largest_both_ways(
    source: Side,
    target: Side,
    keep: tuple[int, int],
    product: Product,
    memory_bytes: int,
    rows: slice,
    progress: OnCount | None = None,
) -> tuple[Tensor, Tensor]:
    """Keys of the most similar targets of the source rows, and of the most similar of these rows for every target.

    Args:
        keep: how many per source row and per target row; at most the size of the other side, 0 for none.
        rows: the source rows to search, a range that begins at a cell.

    Returns:
        Keys ``[rows, keep[0]]`` and ``[targets, keep[1]]``, descending. Where fewer rows than ``keep[1]`` were
        searched, keys below those of any true neighbour fill the rest.
    """
    forward = no_keys(rows.stop - rows.start, keep[0], source.device)
    backward = no_keys(len(target), keep[1], source.device)
    tile = Tile(_cells_per_tile(source, target, product, memory_bytes), source.device, memory_bytes)
    above, across = list(spans(len(forward), tile.rows)), list(spans(len(target), tile.rows))
    for i, lines in enumerate(above):
        left = _operands(source, slice(rows.start + lines.start, rows.start + lines.stop), product)
        for j, columns in enumerate(across):
            right = _operands(target, columns, product)
            tile.search(product, left, right, forward[lines], backward[columns])
            if progress:
                progress(i * len(across) + j + 1, len(above) * len(across))
    return forward, backward


def _cells_per_tile(source: Side, target: Side, product: Product, memory_bytes: int) -> int:
    """Cells along the side of the largest square tile that fits the budget, with the two blocks of rows it needs."""
    cell = cell_rows(source.device)
    bytes_per_row = sum(
        (0 if s.resident else 4 * s.width) + product.bytes_per_value * s.width for s in (source, target)
    )
    bytes_per_row += BYTES_PER_GROUP * cell // GROUP  # a cell's rows are looked up together
    most = max(-(-max(len(source), len(target)) // cell), 1)
    fitting = 1
    while fitting < most:
        rows = (fitting + 1) * cell
        values = 4 * (rows**2 + cell**2)  # and what lies between a product and its cell
        if values + 2 * values // GROUP + rows * bytes_per_row + memory_bytes // SHARE_OF_CANDIDATES > memory_bytes:
            break
        fitting += 1
    return fitting


def _operands(side: Side, rows: slice, product: Product) -> list[Operand]:
    """The rows in cells, the last one padded by zeros."""
    block, cell = side.block(rows), cell_rows(side.device)
    operands = []
    for span in spans(len(block), cell):
        values = product.operand(side, rows.start + span.start, block[span])
        full = values if len(values) == cell else pad(values, (0, 0, 0, cell - len(values)))
        operands.append(Operand(rows.start + span.start, len(values), full))
    return operands


class Tile:
    """Memory for one tile of similarities, cell by cell, and the maxima of its groups; used for all tiles in turn."""

    def __init__(self, cells: int, device: torch.device, memory_bytes: int) -> None:
        cell = cell_rows(device)
        self.rows, self._cell = cells * cell, cell
        self._candidates = memory_bytes // SHARE_OF_CANDIDATES // BYTES_PER_CANDIDATE
        self._values = torch.empty(cells, cells, cell, cell, device=device)
        self._row_maxima = torch.empty(cells, cells, cell, cell // GROUP, device=device)
        self._column_maxima = torch.empty(cells, cells, cell // GROUP, cell, device=device)

    def search(
        self, product: Product, left: list[Operand], right: list[Operand], forward: Tensor, backward: Tensor
    ) -> None:
        """Compute the tile and bring the keys of its rows and columns up to date, in place."""
        for i, a in enumerate(left):
            for j, b in enumerate(right):
                self._fill(product, a, b, i, j)
            groups = self._values[i, : len(right)].unflatten(2, (-1, GROUP))
            self._merge(forward[i * self._cell :][: a.rows], groups, self._row_maxima[i, : len(right)], right[0].start)
        for j, b in enumerate(right):
            groups = self._values[: len(left), j].unflatten(1, (-1, GROUP)).permute(0, 3, 1, 2)
            maxima = self._column_maxima[: len(left), j].transpose(1, 2)
            self._merge(backward[j * self._cell :][: b.rows], groups, maxima, left[0].start)

    def _fill(self, product: Product, left: Operand, right: Operand, i: int, j: int) -> None:
        cell = self._values[i, j]
        product.cell(left, right, cell)
        if min(left.rows, right.rows) < self._cell:
            cell[left.rows :] = -torch.inf
            cell[:, right.rows :] = -torch.inf
        torch.amax(cell.unflatten(1, (-1, GROUP)), 2, out=self._row_maxima[i, j])
        torch.amax(cell.unflatten(0, (-1, GROUP)), 1, out=self._column_maxima[i, j])

    def _merge(self, best: Tensor, groups: Tensor, maxima: Tensor, first_id: int) -> None:
        """Bring the keys of some lines (rows or columns of the tile) up to date.

        Args:
            best: running keys [lines, keep], descending.
            groups: similarities [cells, lines or more, groups of a cell, GROUP].
            maxima: of the groups [cells, lines or more, groups of a cell].
            first_id: number of the row that the first element stands for.
        """
        (lines, keep), per_cell = best.shape, maxima.shape[2]
        if not keep or not lines:
            return
        numbers = torch.arange(len(maxima) * per_cell, device=best.device)
        by_line = maxima[:, :lines].transpose(0, 1).flatten(1)
        # Tiles come in ascending order: an equal score is no improvement. NaN (nothing found yet) compares as false.
        hopeful = (~(by_line.amax(1) <= scores_of(best[:, -1]))).nonzero().squeeze(1)
        for some in hopeful.split(max(self._candidates // (min(keep, len(numbers)) * GROUP), 1)):
            group = ids_of(pack(by_line[some], numbers).topk(min(keep, len(numbers)), dim=1).values)
            found = groups[group // per_cell, some[:, None], group % per_cell]
            ids = first_id + group[:, :, None] * GROUP + torch.arange(GROUP, device=best.device)
            keys = torch.cat([best[some], pack(found, ids).flatten(1)], dim=1)
            best[some] = keys.topk(keep, dim=1).values
