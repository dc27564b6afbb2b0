"""The `auto` micro-batch is the same on every rank: what fits where room is least; a misfit is an error on all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def ranks(saved: Callable[..., list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return saved("worker_micro_batch.py", 2)


def test_what_fits_everywhere_is_what_fits_where_room_is_least(ranks: list[dict[str, Any]]) -> None:
    assert [rank["whole"] for rank in ranks] == [12 * 20, 12 * 20]
    assert [rank["least"] for rank in ranks] == [6 * 20, 6 * 20]


def test_what_the_first_rank_keeps_is_known_to_all(ranks: list[dict[str, Any]]) -> None:
    assert [rank["kept"] for rank in ranks] == [[7, 7], [7, 7]]


def test_a_misfit_on_one_rank_is_the_same_error_on_all(ranks: list[dict[str, Any]]) -> None:
    first, second = (rank["error"] for rank in ranks)
    assert first == second
    assert first.startswith("not one row of 20 tokens fits into memory: ")


def test_ranks_share_their_hosts_memory(ranks: list[dict[str, Any]]) -> None:
    assert all(0 < rank["free"] <= psutil.virtual_memory().total / 2 for rank in ranks)
