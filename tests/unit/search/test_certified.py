"""What the bf16 product proves is true, what it cannot prove is searched again, and both are said."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dist_stilts.search import certified, tiles
from dist_stilts.search.certified import CentredProduct, worth_it
from dist_stilts.search.neighbours import both_directions
from dist_stilts.search.sides import Side
from dist_stilts.search.tiles import Operand

Rows = Callable[[int, int, int], Tensor]
Grid = Callable[[], AbstractContextManager[None]]
CPU = torch.device("cpu")


def crowded(rows: int, width: int, seed: int, closeness: float) -> Tensor:
    """Rows of length 1 around one direction: the larger ``closeness``, the nearer 1 their cosines."""
    numbers = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))
    numbers[:, 0] += closeness * width**0.5
    return torch.nn.functional.normalize(numbers, dim=1)


@given(
    closeness=st.sampled_from([0.0, 0.3, 3.0]),
    width=st.sampled_from([1, 3, 64, 300]),
    lengths=st.sampled_from([1.0, 1e-3, 30.0]),
    seed=st.integers(0, 10**6),
)
def test_the_bound_holds_for_every_pair(closeness: float, width: int, lengths: float, seed: int) -> None:
    # Of any pair: the true inner product is at most its approximation plus the bound for a highest of just that.
    a = crowded(40, width, seed, closeness)
    b = torch.cat([crowded(37, width, seed + 1, closeness), a[:3]]) * lengths
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tiles.CELL_ROWS, "cpu", 64)
        source, target = Side(a, "source", CPU), Side(b, "target", CPU)
        product = CentredProduct(source, target)
        left, right = (
            Operand(0, 40, torch.nn.functional.pad(product.operand(side, 0, rows), (0, 0, 0, 24)))
            for side, rows in ((source, a), (target, b))
        )
        cell = torch.empty(64, 64)
        product.cell(left, right, cell)
    approximate, true = cell[:40, :40].double(), a.double() @ b.double().T
    for sides, there, here in (((source, target), approximate.T, true.T), ((target, source), approximate, true)):
        for tau, exact in zip(there, here, strict=True):
            assert (exact <= tau + product.bound(*sides, slice(0, 40), tau)).all()


def test_crowded_cosines_are_proved_because_the_means_are_taken_out_and_scores_are_correctly_rounded(
    unit_rows: Rows,
) -> None:
    source, target = crowded(700, 256, 0, 3.0), crowded(600, 256, 1, 3.0)
    assert (source @ target.T).mean() > 0.85
    found = both_directions(source, target, 4, precision="bf16")
    assert found.searched_again < 0.2 * 1300
    source, target = unit_rows(300, 256, 0), unit_rows(200, 256, 1)
    found = both_directions(source, target, 4, precision="bf16")
    assert found.searched_again < 250, "else nothing is shown"
    exact = (source.double() @ target.double().T).gather(1, found.forward.ids).float()
    assert (found.forward.scores == exact).float().mean() > 0.5
    torch.testing.assert_close(found.forward.scores, exact, rtol=0, atol=2e-7)


def near_duplicates(unit_rows: Rows) -> tuple[Tensor, Tensor]:
    """Targets of which 60 differ by less than bf16 can tell, and sources of which the first 20 are near those."""
    target, source = unit_rows(500, 64, 0), unit_rows(400, 64, 1)
    target[100:160] = target[0] + 1e-4 * unit_rows(60, 64, 2)
    source[:20] = target[0] + 0.1 * unit_rows(20, 64, 3)
    return torch.nn.functional.normalize(source, dim=1), torch.nn.functional.normalize(target, dim=1)


def test_rows_that_bf16_cannot_tell_apart_are_searched_again_and_would_be_wrong_without_the_proof(
    monkeypatch: pytest.MonkeyPatch, unit_rows: Rows, assert_exact: Callable[..., None]
) -> None:
    source, target = near_duplicates(unit_rows)
    found = both_directions(source, target, 4, precision="bf16")
    assert 20 <= found.searched_again < 900, "those rows at least, and not all"
    assert_exact(found.forward, source, target, 4)
    assert_exact(found.backward, target, source, 4)
    monkeypatch.setattr(CentredProduct, "bound", lambda self, own, other, rows, highest: torch.full_like(highest, -1.0))
    found = both_directions(source, target, 4, precision="bf16")
    assert found.searched_again == 0
    with pytest.raises(AssertionError):
        assert_exact(found.forward, source, target, 4)


def test_where_most_rows_fail_all_are_searched_again() -> None:
    same = torch.ones(600, 1)
    found = both_directions(same, same, 4, precision="bf16")
    assert found.searched_again == 1200
    assert found.forward.ids.tolist() == [[0, 1, 2, 3]] * 600


def test_auto_depends_on_shapes_and_device_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certified, "_has_matrix_units", lambda device: True)
    assert worth_it(40_000, 40_000, 1024, CPU)
    assert not worth_it(1000, 1000, 1024, CPU), "reading the sides again takes longer"
    assert not worth_it(400_000, 400_000, 16, CPU), "the product is not what takes the time"
    monkeypatch.setattr(certified, "_has_matrix_units", lambda device: False)
    assert not worth_it(40_000, 40_000, 1024, CPU)
