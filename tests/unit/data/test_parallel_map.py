from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest

from dist_stilts.data import parallel_map
from dist_stilts.data.parallel_map import FEWEST_CHUNKS, in_order


def doubled(chunk: Sequence[int]) -> tuple[list[int], int]:
    return [2 * number for number in chunk], os.getpid()


def failing(chunk: Sequence[int]) -> list[int]:
    if 7 in chunk:
        raise ValueError("seven")
    return list(chunk)


def chunks(count: int) -> Iterator[list[int]]:
    yield from ([number] for number in range(count))


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_map.os, "sched_getaffinity", lambda _: {0, 1})


@pytest.mark.parametrize("count", [0, 1, FEWEST_CHUNKS - 1, FEWEST_CHUNKS + 15])
def test_results_come_in_the_order_of_the_chunks(count: int) -> None:
    found = list(in_order(doubled, chunks(count)))
    assert [result[0][0] for result, _ in found] == [2 * number for number in range(count)]
    assert all(size == 1 for _, size in found)
    processes = {result[1] for result, _ in found}
    assert (processes <= {os.getpid()}) == (count < FEWEST_CHUNKS)


def test_an_error_in_a_worker_reaches_the_caller() -> None:
    with pytest.raises(ValueError, match="seven"):
        list(in_order(failing, chunks(FEWEST_CHUNKS + 5)))


def test_few_chunks_are_taken_ahead() -> None:
    taken: list[int] = []

    def counted() -> Iterator[list[int]]:
        for number in range(1000):
            taken.append(number)
            yield [number]

    results = in_order(doubled, counted())
    next(results)
    assert len(taken) <= FEWEST_CHUNKS + 5
    results.close()  # type: ignore[attr-defined]
