"""Law 4: search is exact, up to ties, at any tile size."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dist_stilts.errors import UserError
from dist_stilts.search import neighbours
from dist_stilts.search.neighbours import Neighbours, both_directions

ONE_CELL_PER_TILE = 1
"""A budget in bytes that nothing fits, which leaves one cell."""


def unit_rows(rows: int, width: int, seed: int) -> Tensor:
    numbers = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(numbers, dim=1).float()


def exhaustive(source: Tensor, target: Tensor, k: int) -> Neighbours:
    """Float64, the whole matrix, stable sort: lowest id first among equal scores."""
    exact = source.double() @ target.double().T
    scores, ids = exact.sort(dim=1, descending=True, stable=True)
    return Neighbours(scores[:, :k], ids[:, :k])


def assert_equal_up_to_ties(found: Neighbours, source: Tensor, target: Tensor, k: int) -> None:
    wanted = exhaustive(source, target, k)
    assert found.ids.shape == wanted.ids.shape
    torch.testing.assert_close(found.scores.double(), wanted.scores, rtol=0, atol=2e-6)
    score_of_found = (source.double() @ target.double().T).gather(1, found.ids)
    torch.testing.assert_close(score_of_found, wanted.scores, rtol=0, atol=2e-6)
    assert all(len(set(row)) == len(row) for row in found.ids.tolist()), "a neighbour was returned twice"


@pytest.fixture
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(neighbours.CELL_ROWS, "cpu", 16)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 40), m=st.integers(1, 40), k=st.integers(1, 7), side=st.integers(1, 50), seed=st.integers(0, 10**6)
)
def test_search_equals_exhaustive_float64_up_to_ties(n: int, m: int, k: int, side: int, seed: int) -> None:
    source, target = unit_rows(n, 5, seed), unit_rows(m, 5, seed + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(neighbours.CELL_ROWS, "cpu", 4)
        budget = side * side * neighbours.BYTES_PER_SIMILARITY
        forward, backward = both_directions(source, target, k, memory_bytes=budget)
    assert_equal_up_to_ties(forward, source, target, min(k, m))
    assert_equal_up_to_ties(backward, target, source, min(k, n))


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 30), m=st.integers(1, 30), k=st.integers(1, 5), side=st.integers(1, 40), data=st.data())
def test_ties_go_to_the_lowest_id(n: int, m: int, k: int, side: int, data: st.DataObject) -> None:
    # Whole numbers below 2^24 are exact in fp32, so every tie here is a true one, zeros of both signs included.
    whole = st.integers(-1, 1).map(float)
    source = torch.tensor(data.draw(st.lists(st.tuples(whole, whole), min_size=n, max_size=n)))
    target = torch.tensor(data.draw(st.lists(st.tuples(whole, whole), min_size=m, max_size=m)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(neighbours.CELL_ROWS, "cpu", 4)
        forward, backward = both_directions(source, target, k, side * side * neighbours.BYTES_PER_SIMILARITY)
    assert torch.equal(forward.ids, exhaustive(source, target, k).ids)
    assert torch.equal(backward.ids, exhaustive(target, source, k).ids)


@pytest.mark.parametrize("budget", [ONE_CELL_PER_TILE, 20 << 20, 1 << 30])
def test_memory_budget_changes_no_bit_of_the_answer(budget: int) -> None:
    source, target = unit_rows(1300, 48, 0), unit_rows(1100, 48, 1)
    reference = both_directions(source, target, 4)
    for found, wanted in zip(both_directions(source, target, 4, budget), reference, strict=True):
        assert torch.equal(found.scores, wanted.scores)
        assert torch.equal(found.ids, wanted.ids)


def test_tiles_stay_within_the_budget(monkeypatch: pytest.MonkeyPatch, small_cells: None) -> None:
    tiles: list[int] = []
    original = neighbours._similarities

    def spy(source: Tensor, target: Tensor, cell: int) -> Tensor:
        tiles.append(len(source) * len(target))
        return original(source, target, cell)

    monkeypatch.setattr(neighbours, "_similarities", spy)
    both_directions(unit_rows(100, 4, 0), unit_rows(90, 4, 1), 2, memory_bytes=40_000)
    assert max(tiles) * neighbours.BYTES_PER_SIMILARITY <= 40_000
    assert sum(tiles) == 100 * 90, "every similarity is computed once"


def test_a_collapsed_encoder_yields_the_first_rows_as_neighbours(small_cells: None) -> None:
    same = torch.ones(70, 1)
    forward, backward = both_directions(same, same[:50], 3, ONE_CELL_PER_TILE)
    assert forward.ids.tolist() == [[0, 1, 2]] * 70
    assert backward.ids.tolist() == [[0, 1, 2]] * 50


def test_k_is_capped_at_the_other_side() -> None:
    forward, backward = both_directions(unit_rows(2, 3, 0), unit_rows(5, 3, 1), 4)
    assert forward.ids.shape == (2, 4)
    assert backward.ids.shape == (5, 2)
    nothing, none = both_directions(unit_rows(3, 3, 0), unit_rows(1, 3, 1)[:0], 4)
    assert nothing.ids.shape == (3, 0)
    assert none.scores.shape == (0, 3)


def test_scores_are_full_fp32_even_under_autocast_and_reduced_matmul_precision() -> None:
    source, target = unit_rows(30, 64, 0), unit_rows(30, 64, 1)
    reference = both_directions(source, target, 3)[0]
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = both_directions(source, target, 3)[0]
        assert torch.get_float32_matmul_precision() == "medium", "the caller's setting is put back"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert found.scores.dtype == torch.float32
    assert torch.equal(found.scores, reference.scores)


def test_embeddings_that_are_not_finite_are_refused_by_row() -> None:
    broken = unit_rows(4, 3, 0)
    broken[2, 1] = float("nan")
    with pytest.raises(UserError, match="1 of 4 target embeddings are not finite, the first in row 2"):
        both_directions(unit_rows(4, 3, 1), broken, 1)


@pytest.mark.parametrize(("columns", "k"), [(3, 0), (4, 1)])
def test_senseless_shapes_are_refused(columns: int, k: int) -> None:
    with pytest.raises(ValueError, match="cannot search"):
        both_directions(unit_rows(2, 3, 0), unit_rows(2, columns, 1), k)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_search_is_exact_in_bounded_memory() -> None:
    source, target = unit_rows(20_000, 256, 0).cuda(), unit_rows(30_000, 256, 1).cuda()
    reference = both_directions(source, target, 4, 1 << 30)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    forward, backward = both_directions(source, target, 4, 256 << 20)
    assert torch.cuda.max_memory_allocated() - before < 300 << 20
    assert torch.equal(forward.ids, reference[0].ids)
    assert torch.equal(backward.scores, reference[1].scores)
    some = torch.arange(0, 20_000, 97).cuda()
    found = Neighbours(forward.scores[some], forward.ids[some])
    assert_equal_up_to_ties(found, source[some], target, 4)
