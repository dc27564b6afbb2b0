"""A tile fits its budget, and every similarity is computed once, whatever the budget."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor

from dist_stilts.search.shares import Share
from dist_stilts.search.sides import Side
from dist_stilts.search.tiles import FullPrecision, Operand, Tile, largest_both_ways

CPU = torch.device("cpu")


class Counting(FullPrecision):
    """Counts the similarities that are not padding."""

    def __init__(self) -> None:
        self.computed = 0

    def cell(self, left: Operand, right: Operand, out: Tensor) -> None:
        self.computed += left.rows * right.rows
        super().cell(left, right, out)


@pytest.mark.parametrize("budget", [4000, 12_000, 1 << 20])
def test_tiles_stay_within_the_budget(
    budget: int,
    monkeypatch: pytest.MonkeyPatch,
    unit_rows: Callable[[int, int, int], Tensor],
    small_grid: Callable[[], AbstractContextManager[None]],
) -> None:
    taken: list[int] = []
    original = Tile.__init__

    def spy(self: Tile, cells: int, device: torch.device, memory_bytes: int) -> None:
        original(self, cells, device, memory_bytes)
        taken.append(sum(part.nbytes for part in vars(self).values() if isinstance(part, Tensor)))

    monkeypatch.setattr(Tile, "__init__", spy)
    source, target = Side(unit_rows(101, 4, 0), "source", CPU), Side(unit_rows(90, 4, 1), "target", CPU)
    product = Counting()
    with small_grid():
        largest_both_ways(source, target, (2, 2), product, budget, slice(0, 101))
    assert len(taken) == 1
    assert budget / 12 < taken[0] <= budget or budget == 1 << 20
    assert product.computed == 101 * 90


@pytest.mark.parametrize("rows", [0, 1, 511, 512, 513, 5000])
def test_shares_are_whole_cells_that_cover_a_side_evenly(rows: int) -> None:
    side = Side(torch.empty(rows, 0), "source", CPU)
    for ranks in (1, 2, 3, 4, 7):
        borders = [Share(rank, ranks).of(side) for rank in range(ranks)]
        assert [row for border in borders for row in range(rows)[border]] == list(range(rows))
        assert all(border.start % 512 == 0 or border.start == rows for border in borders)
        cells = [-(-(border.stop - border.start) // 512) for border in borders]
        assert max(cells) - min(cells) <= 1
