"""What ranks say to each other is right at 1, 2 and 3 of them, with uneven and empty shards; building happens once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.timeout(400), pytest.mark.allowed_seconds(20, "the first of each size starts its ranks")]
World = list[dict[str, Any]]


@pytest.fixture(params=[1, 2, 3], ids="{} ranks".format)
def world(request: pytest.FixtureRequest, saved: Callable[..., World]) -> World:
    return saved("worker_world.py", request.param)


def test_rows_of_uneven_shards_meet_in_their_places_on_every_rank(world: World) -> None:
    for rank in world:
        for name in ("table", "numbers"):
            np.testing.assert_array_equal(rank["exchanged"][name], rank[name], strict=True)


@pytest.mark.parametrize(("fault", "rows"), [("doubled", 10), ("missing", 11)])
def test_a_row_that_is_there_twice_or_never_is_an_error_on_every_rank(world: World, fault: str, rows: int) -> None:
    wrong = 1
    assert {rank["exchanged"][fault] for rank in world} == {f"{wrong} of {rows} rows were not scored exactly once"}


def test_rows_are_gathered_by_rank_on_every_rank_however_uneven(world: World) -> None:
    for rank in world:
        parts = rank["exchanged"]["gathered rows"]
        assert [len(part) for part in parts] == {1: [10], 2: [10, 0], 3: [7, 0, 3]}[len(world)]
        order = np.random.default_rng(0).permutation(10)
        np.testing.assert_array_equal(np.concatenate(parts), rank["table"][order], strict=True)
        assert rank["exchanged"]["gathered nothing"] == [(0, 3)] * len(world)


def test_sums_are_over_all_ranks_in_double_precision(world: World) -> None:
    ranks = len(world)
    expected = [sum(range(ranks)), 0.1 * ranks, 2.0**53 + ranks - 1]
    for rank in world:
        assert rank["exchanged"]["sums"] == pytest.approx(expected, rel=1e-15)


def test_a_flag_on_one_rank_is_seen_by_all(world: World) -> None:
    seen = [[rank["exchanged"][f"any of {which}"] for rank in world] for which in ("none", "the last", "all")]
    assert seen == [[False] * len(world), [True] * len(world), [True] * len(world)]


def test_the_least_whole_number_is_exact_and_the_same_on_every_rank(world: World) -> None:
    assert {rank["exchanged"]["least"] for rank in world} == {2**60 - len(world) + 1}


def test_every_rank_gets_the_value_of_the_source(world: World) -> None:
    for rank in world:
        assert rank["exchanged"]["from rank 0"] == {"rank": 0, "path": Path("a/b")}
        assert rank["exchanged"]["from the last"] == len(world) - 1


def test_ranks_that_build_at_the_same_time_build_once_and_all_find_it_whole(world: World) -> None:
    built = [rank["exchanged"]["built"] for rank in world]
    assert sum(rank["worked"] for rank in built) == 1
    assert {rank["makers"] for rank in built} == {1}
    assert all(rank["found"] == ["COMPLETE", "first", "last"] for rank in built)


def test_values_are_gathered_by_rank_on_all_and_tensors_on_rank_0_only(world: World) -> None:
    exchanged = [rank["exchanged"] for rank in world]
    ranks = len(exchanged)
    assert [rank["gathered"] for rank in exchanged] == [[(rank, "a") for rank in range(ranks)]] * ranks
    assert exchanged[0]["gathered tensors"] == [[float(rank)] * 3 for rank in range(ranks)]
    assert all(rank["gathered tensors"] == [] for rank in exchanged[1:])
