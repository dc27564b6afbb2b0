"""What searches are compared with: everything in float64, sorted; and a grid small enough for hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch
from torch import Tensor

from dist_stilts.search import tiles
from dist_stilts.search.neighbours import Neighbours


@pytest.fixture(scope="session")
def unit_rows() -> Callable[[int, int, int], Tensor]:
    """``unit_rows(rows, width, seed)``: random rows of length 1, fp32."""

    def make(rows: int, width: int, seed: int) -> Tensor:
        numbers = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        return torch.nn.functional.normalize(numbers, dim=1).float()

    return make


@pytest.fixture(scope="session")
def exhaustive() -> Callable[[Tensor, Tensor, int], Neighbours]:
    """Float64, the whole matrix, stable sort: lowest id first among equal scores."""

    def search(source: Tensor, target: Tensor, k: int) -> Neighbours:
        scores, ids = (source.double() @ target.double().T).sort(dim=1, descending=True, stable=True)
        return Neighbours(scores[:, :k], ids[:, :k])

    return search


@pytest.fixture(scope="session")
def assert_exact(exhaustive: Callable[[Tensor, Tensor, int], Neighbours]) -> Callable[..., None]:
    """``assert_exact(found, source, target, k)``: equal to the exhaustive search, up to ties within rounding."""

    def check(found: Neighbours, source: Tensor, target: Tensor, k: int) -> None:
        wanted = exhaustive(source, target, k)
        assert found.ids.shape == wanted.ids.shape
        torch.testing.assert_close(found.scores.double(), wanted.scores, rtol=0, atol=2e-6)
        score_of_found = (source.double() @ target.double().T).gather(1, found.ids)
        torch.testing.assert_close(score_of_found, wanted.scores, rtol=0, atol=2e-6)
        assert all(len(set(row)) == len(row) for row in found.ids.tolist()), "a neighbour was returned twice"

    return check


@pytest.fixture(scope="session")
def small_grid() -> Callable[[], AbstractContextManager[None]]:
    """``with small_grid():`` cells of 4 x 4, groups of 2."""

    @contextmanager
    def patched() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(tiles.CELL_ROWS, "cpu", 4)
            patch.setattr(tiles, "GROUP", 2)
            yield

    return patched
