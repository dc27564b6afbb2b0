from __future__ import annotations

import math

import pytest
import torch

from dist_stilts.model.answers import best_spans


def by_hand(logits: torch.Tensor, context: torch.Tensor, n_best: int, longest: int) -> list[tuple[int, int, float]]:
    length = len(logits)
    spans = [
        (first, last, float(logits[first, 0] + logits[last, 1]))
        for first in range(length)
        for last in range(first, min(length, first + longest))
        if context[first] and context[last]
    ]
    return sorted(spans, key=lambda span: -span[2])[:n_best]


@pytest.mark.parametrize("longest", [1, 3, 30])
@pytest.mark.parametrize("n_best", [1, 5, 40])
def test_the_best_spans_are_those_of_an_exhaustive_search(n_best: int, longest: int) -> None:
    torch.manual_seed(0)
    logits, context = torch.randn(4, 9, 2), torch.rand(4, 9) > 0.4
    context[3] = False
    found = best_spans(logits, context, n_best, longest)
    assert found.shape == (4, 1 + 3 * n_best)
    for row in range(4):
        real = [span for span in found[row, 1:].reshape(-1, 3).tolist() if math.isfinite(span[2])]
        expected = by_hand(logits[row], context[row], n_best, longest)
        assert real == [[first, last, pytest.approx(score, abs=1e-6)] for first, last, score in expected]


def test_no_answer_scores_as_the_first_token_does() -> None:
    logits = torch.zeros(2, 3, 2)
    logits[0, 0] = torch.tensor([1.5, 2.0])
    assert best_spans(logits, torch.ones(2, 3, dtype=torch.bool), 1, 3)[:, 0].tolist() == [3.5, 0.0]


def test_padding_that_is_ruled_out_is_never_an_answer() -> None:
    logits = torch.zeros(1, 5, 2)
    logits[0, 3:] = float("-inf")
    context = torch.tensor([[False, True, True, True, True]])
    spans = best_spans(logits, context, 10, 5)[0, 1:].reshape(-1, 3)
    real = spans[torch.isfinite(spans[:, 2])]
    assert sorted(real[:, :2].tolist()) == [[1, 1], [1, 2], [2, 2]]
