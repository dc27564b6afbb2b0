"""Laws 3 and 4: the number of ranks changes no bit of what a search finds, and every rank has the whole answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.timeout(400), pytest.mark.allowed_seconds(15, "the first of each size starts its ranks")]
Saved = Callable[..., list[dict[Any, Any]]]

CASES = (
    "random",
    "duplicates",
    "near duplicates",
    "true ties",
    "collapsed",
    "one row",
    "k above the rows",
    "no source",
    "no target",
)
PRECISIONS = ("fp32", "bf16")


def assert_same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for direction in ("forward", "backward"):
        for part, wanted_part in zip(found[direction], wanted[direction], strict=True):
            np.testing.assert_array_equal(part, wanted_part, strict=True)
    assert found["searched again"] == wanted["searched again"]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("ranks", [2, 3])
def test_neighbours_are_bit_identical_at_any_number_of_ranks(
    saved: Saved, ranks: int, case: str, precision: str
) -> None:
    alone = saved("worker_search.py", 1)[0][case, precision]
    for rank in saved("worker_search.py", ranks):
        assert_same(rank[case, precision], alone)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_neighbours_of_rows_on_disk_are_those_of_rows_in_memory(saved: Saved, ranks: int, precision: str) -> None:
    without_world = saved("worker_search.py", 1)[0]["without a world", precision]
    for rank in saved("worker_search.py", ranks):
        assert_same(rank["mapped", precision], without_world)


def test_the_cases_have_rows_without_a_proof_some_and_all(saved: Saved) -> None:
    alone = saved("worker_search.py", 1)[0]
    assert 5 <= alone["near duplicates", "bf16"]["searched again"] < 145 + 75
    assert alone["collapsed", "bf16"]["searched again"] == 140 + 75
    assert alone["random", "fp32"]["searched again"] == 0


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_every_similarity_is_computed_on_one_rank_and_all_have_their_share(saved: Saved, ranks: int) -> None:
    each = [rank["random", "fp32"]["tiles"] for rank in saved("worker_search.py", ranks)]
    assert sum(each) == 5 * 3
    assert max(each) - min(each) <= 3, "shares differ by one row of cells at most"


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_bad_row_is_said_alike_by_every_rank(saved: Saved, ranks: int) -> None:
    said = {rank["message"] for rank in saved("worker_search.py", ranks)}
    assert len(said) == 1
    assert "1 of 140 source embeddings are not finite, the first in row 7" in said.pop()
