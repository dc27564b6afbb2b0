"""Law 3: the number of ranks changes no prediction, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.timeout(400)
Saved = Callable[..., list[dict[str, Any]]]

LABELLED = ("xnli", "commonsenseqa", "udpos")
WHAT = (*LABELLED, "squad_v1")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("examples", [23, 3])
@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("ranks", [2, 3])
def test_scores_are_bit_identical_at_any_number_of_ranks(
    saved: Saved, ranks: int, what: str, examples: int, dtype: str
) -> None:
    alone = saved("worker_world.py", 1)[0]["scored"][what, examples, dtype]
    for rank in saved("worker_world.py", ranks):
        np.testing.assert_array_equal(rank["scored"][what, examples, dtype], alone, strict=True)


@pytest.mark.parametrize("task", LABELLED)
def test_every_row_is_predicted_as_if_it_were_alone_and_stands_in_its_place(saved: Saved, task: str) -> None:
    results = saved("worker_world.py", 1)[0]
    expected = results["one by one"][task]
    assert len(np.unique(expected)) > 1, "predictions that are all alike could stand in any order"
    np.testing.assert_array_equal(results["scored"][task, 23, "float32"], expected)


def test_every_window_is_answered_as_if_it_were_alone_and_stands_in_its_place(saved: Saved) -> None:
    results = saved("worker_world.py", 1)[0]
    scored, expected = results["scored"]["squad_v1", 23, "float32"], results["one by one"]["squad_v1"]
    assert len(scored) > 23  # windows
    np.testing.assert_allclose(scored, expected, rtol=1e-4, atol=1e-4)
