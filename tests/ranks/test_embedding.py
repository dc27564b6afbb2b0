"""Embeddings are the same bits at any number of ranks, also where one number began and another went on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.timeout(400)
Saved = Callable[..., list[dict[Any, Any]]]
WORKER = "worker_embedding.py"


def bits(layers: list[np.ndarray]) -> list[bytes]:
    return [vectors.tobytes() for vectors in layers]


@pytest.mark.parametrize("dtype", ["torch.float32", "torch.bfloat16"])
@pytest.mark.parametrize("what", ["many", "few", "none"])
@pytest.mark.parametrize("ranks", [2, 3])
def test_embeddings_are_bit_identical_at_any_number_of_ranks(saved: Saved, ranks: int, what: str, dtype: str) -> None:
    alone = saved(WORKER, 1)[0][what, dtype]
    for rank in saved(WORKER, ranks):
        assert [vectors.shape for vectors in rank[what, dtype]] == [vectors.shape for vectors in alone]
        assert bits(rank[what, dtype]) == bits(alone)


def test_there_is_something_to_compare(saved: Saved) -> None:
    layers = saved(WORKER, 1)[0]["many", "torch.float32"]
    assert len(set(bits(layers))) == 3
    for vectors in layers:
        assert vectors.shape == (48, 16)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [0, *[1] * 47], atol=1e-6)
        assert len(np.unique(vectors.round(4), axis=0)) == 48


@pytest.mark.parametrize("ranks", [2, 3])
def test_no_rank_looks_for_a_file_before_it_is_written(saved: Saved, ranks: int) -> None:
    assert [rank["slept"] for rank in saved(WORKER, ranks)] == [[]] * ranks


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_what_one_rank_cannot_read_all_ranks_refuse(saved: Saved, ranks: int) -> None:
    assert {"file system that all hosts share" in rank["unseen"] for rank in saved(WORKER, ranks)} == {True}


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_one_rank_decides_for_all_what_is_still_to_be_scored(saved: Saved, ranks: int) -> None:
    for rank in saved(WORKER, ranks):
        first, again = rank["other texts"]
        assert [record["value"] for record in again] == [100.0, 100.0]
        assert first == again


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_all_ranks_refuse_embeddings_that_are_no_numbers(saved: Saved, ranks: int) -> None:
    (said,) = {rank["nan"] for rank in saved(WORKER, ranks)}
    assert "2 of 5 embeddings of texts" in said
    assert "first: number 3" in said


def test_what_two_ranks_began_three_ranks_end(saved: Saved, run_ranks: Callable[..., Any], tmp_path: Path) -> None:
    ended = run_ranks(WORKER, 2, tmp_path, "4", check=False)
    assert all(rank.code for rank in ended)
    assert list(tmp_path.glob("cache/*/.layer-*.partial"))
    assert not list(tmp_path.glob("cache/*/layer-*.npy"))
    run_ranks(WORKER, 3, tmp_path)
    uninterrupted = saved(WORKER, 1)[0]
    for rank in range(3):
        found = torch.load(tmp_path / f"rank-{rank}.pt", weights_only=False)
        assert bits(found["many", "torch.float32"]) == bits(uninterrupted["many", "torch.float32"])
    assert not list(tmp_path.glob("cache/*/.layer-*.partial"))
