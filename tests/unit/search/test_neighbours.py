"""Law 4: search is exact, up to ties, at any tile size, whichever product finds the candidates."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dist_stilts.errors import UserError
from dist_stilts.search.neighbours import Found, Neighbours, both_directions

ONE_CELL_PER_TILE = 1
"""A budget in bytes that nothing fits, which leaves one cell."""
BUDGETS = st.sampled_from([ONE_CELL_PER_TILE, 1500, 4000, 12_000, 1 << 20])
"""On the small grid: tiles of one cell, of 2 x 2 and so on, of all cells; candidates row by row, and all at once."""
PRECISIONS = st.sampled_from(["fp32", "bf16"])
Rows = Callable[[int, int, int], Tensor]
Grid = Callable[[], AbstractContextManager[None]]
both_precisions = pytest.mark.parametrize("precision", ["fp32", "bf16"])


def same_bits(found: Found, wanted: Found) -> bool:
    pairs = zip(found[:2], wanted[:2], strict=True)
    return all(torch.equal(a.scores, b.scores) and torch.equal(a.ids, b.ids) for a, b in pairs)


@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    k=st.integers(1, 7),
    copies=st.integers(0, 20),
    budget=BUDGETS,
    precision=PRECISIONS,
    seed=st.integers(0, 10**6),
)
def test_search_equals_exhaustive_float64_up_to_ties(
    sizes: tuple[int, int],
    k: int,
    copies: int,
    budget: int,
    precision: Any,
    seed: int,
    unit_rows: Rows,
    assert_exact: Callable[..., None],
    small_grid: Grid,
) -> None:
    sides = (unit_rows(size, 5, seed + side) for side, size in enumerate(sizes))
    source, target = (torch.cat([rows, rows[:copies]]) for rows in sides)
    with small_grid():
        found = both_directions(source, target, k, budget, precision=precision)
    assert_exact(found.forward, source, target, min(k, len(target)))
    assert_exact(found.backward, target, source, min(k, len(source)))


# Whole numbers below 2^24 are exact in fp32, so every tie here is a true one, zeros of both signs included.
WHOLE = st.lists(st.tuples(*[st.integers(-1, 1).map(float)] * 2), min_size=1, max_size=30).map(torch.tensor)


@given(source=WHOLE, target=WHOLE, k=st.integers(1, 5), budget=BUDGETS, precision=PRECISIONS)
def test_ties_go_to_the_lowest_id(
    source: Tensor,
    target: Tensor,
    k: int,
    budget: int,
    precision: Any,
    exhaustive: Callable[..., Neighbours],
    small_grid: Grid,
) -> None:
    with small_grid():
        found = both_directions(source, target, k, budget, precision=precision)
    assert torch.equal(found.forward.ids, exhaustive(source, target, k).ids)
    assert torch.equal(found.backward.ids, exhaustive(target, source, k).ids)


@both_precisions
def test_neither_budget_nor_where_rows_lie_nor_the_callers_precision_changes_a_bit_of_the_answer(
    precision: Any, tmp_path: Path, unit_rows: Rows
) -> None:
    source, target = unit_rows(1300, 48, 0), unit_rows(1100, 48, 1)
    reference = both_directions(source, target, 4, precision=precision)
    for budget in (ONE_CELL_PER_TILE, 6 << 20):
        found = both_directions(source, target, 4, budget, precision=precision)
        assert same_bits(found, reference)
        assert found.searched_again == reference.searched_again
    np.save(tmp_path / "source.npy", source.numpy())
    mapped = np.load(tmp_path / "source.npy", mmap_mode="r")
    for sides in [(mapped, target.numpy()), (Counted(source), Counted(target))]:
        assert same_bits(both_directions(*sides, 4, 8 << 20, precision=precision), reference)
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = both_directions(source, target, 4, 1 << 30, precision=precision)
        assert torch.get_float32_matmul_precision() == "medium", "the caller's setting is put back"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert found.forward.scores.dtype == torch.float32
    assert same_bits(found, reference)


@both_precisions
def test_neighbours_that_come_in_rising_order_or_are_all_the_same_are_found(
    precision: Any, assert_exact: Callable[..., None], small_grid: Grid
) -> None:
    # The worst order for a search that skips tiles: each has something better than all before it.
    angles = torch.linspace(1.5, 0.0, 100)
    rows = torch.stack([angles.cos(), angles.sin()], dim=1)
    with small_grid():
        found = both_directions(rows[-10:], rows, 3, 1500, precision=precision)
    assert_exact(found.forward, rows[-10:], rows, 3)
    assert_exact(found.backward, rows, rows[-10:], 3)
    same = torch.ones(70, 1)
    with small_grid():
        found = both_directions(same, same[:50], 3, ONE_CELL_PER_TILE, precision=precision)
    assert found.forward.ids.tolist() == [[0, 1, 2]] * 70
    assert found.backward.ids.tolist() == [[0, 1, 2]] * 50


@both_precisions
def test_k_is_capped_at_the_other_side(precision: Any, unit_rows: Rows) -> None:
    found = both_directions(unit_rows(2, 3, 0), unit_rows(5, 3, 1), 4, precision=precision)
    assert found.forward.ids.shape == (2, 4)
    assert found.backward.ids.shape == (5, 2)
    for rows in (3, 0):
        found = both_directions(unit_rows(3, 3, 0)[:rows], unit_rows(1, 3, 1)[:0], 4, precision=precision)
        assert (found.forward.ids.shape, found.backward.scores.shape) == ((rows, 0), (0, rows))


class Counted:
    """Rows that can only be sliced; counts how often they are read."""

    def __init__(self, rows: Tensor) -> None:
        self._rows, self.shape = rows, tuple(rows.shape)
        self.read = 0

    def __getitem__(self, rows: slice) -> Tensor:
        part = self._rows[rows]
        self.read += len(part)
        return part


def test_a_side_is_read_once_and_then_no_more_than_the_budget_forces_and_progress_counts_tiles(
    small_grid: Grid, unit_rows: Rows
) -> None:
    source, target, told = Counted(unit_rows(16, 3, 0)), Counted(unit_rows(24, 3, 1)), []
    with small_grid():
        both_directions(source, target, 2, ONE_CELL_PER_TILE, progress=lambda *s: told.append(s), precision="fp32")
    assert source.read == 2 * 16
    assert target.read == (1 + 16 // 4) * 24
    assert told == [(done, 24) for done in range(1, 25)]


def test_what_cannot_be_searched_is_refused(unit_rows: Rows) -> None:
    broken = unit_rows(4, 3, 0)
    broken[2, 1] = float("nan")
    with pytest.raises(UserError, match="1 of 4 target embeddings are not finite, the first in row 2"):
        both_directions(unit_rows(4, 3, 1), broken, 1)
    broken[3, 0] = float("inf")
    with pytest.raises(UserError, match="2 of 4 source embeddings are not finite, the first in row 2"):
        both_directions(broken.numpy(), unit_rows(4, 3, 1), 1)
    for columns, k in ((3, 0), (4, 1)):
        with pytest.raises(ValueError, match="cannot search"):
            both_directions(unit_rows(2, 3, 0), unit_rows(2, columns, 1), k)
    with pytest.raises(ValueError, match="precision is one of auto, fp32, bf16"):
        both_directions(unit_rows(2, 3, 0), unit_rows(2, 3, 1), 1, precision="fp16")  # type: ignore[arg-type]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@both_precisions
def test_gpu_search_is_exact_in_bounded_memory(
    precision: Any, unit_rows: Rows, assert_exact: Callable[..., None]
) -> None:
    source, target = unit_rows(20_000, 256, 0).cuda(), unit_rows(30_000, 256, 1).cuda()
    reference = both_directions(source, target, 4, 1 << 30, precision=precision)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    found = both_directions(source, target, 4, 256 << 20, precision=precision)
    assert torch.cuda.max_memory_allocated() - before < 300 << 20
    assert same_bits(found, reference)
    elsewhere = both_directions(source.cpu(), target.cpu().numpy(), 4, device="cuda", precision=precision)
    assert same_bits(elsewhere, reference)
    some = torch.arange(0, 20_000, 97).cuda()
    part = Neighbours(found.forward.scores[some], found.forward.ids[some])
    assert_exact(part, source[some], target, 4)
