from __future__ import annotations

import pytest
import torch

from dist_stilts.model.pooling import mean_pool, normalise, pool


def test_mean_is_taken_over_real_tokens_only() -> None:
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]], [[5.0, 5.0], [7.0, 7.0], [0.0, 3.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert mean_pool(hidden, mask).tolist() == [[2.0, 4.0], [4.0, 5.0]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_padding_changes_nothing_and_half_precision_is_pooled_in_fp32(dtype: torch.dtype) -> None:
    hidden = torch.randn(2, 100, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    padded = torch.cat([hidden, torch.full((2, 9, 8), 1e4, dtype=dtype)], dim=1)
    mask = torch.cat([torch.ones(2, 100), torch.zeros(2, 9)], dim=1).long()
    pooled = mean_pool(hidden, torch.ones(2, 100))
    torch.testing.assert_close(mean_pool(padded, mask), pooled)
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled.double(), hidden.double().mean(1), rtol=1e-5, atol=1e-6)


def test_normalised_rows_have_length_one_and_those_of_nothing_are_zero_not_nan() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 2.0], [0.0, 0.0]])
    torch.testing.assert_close(normalise(rows), torch.tensor([[0.6, 0.8], [0.0, 1.0], [0.0, 0.0]]))
    assert mean_pool(torch.ones(1, 3, 2), torch.zeros(1, 3)).tolist() == [[0.0, 0.0]]


def test_cls_is_the_first_token_in_fp32_whatever_the_mask_says() -> None:
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]], dtype=torch.bfloat16)
    first = pool(hidden, torch.tensor([[0, 1]]), "cls")
    assert first.dtype == torch.float32
    assert first.tolist() == [[1.0, 2.0]]
    assert pool(hidden, torch.tensor([[0, 1]]), "mean").tolist() == [[3.0, 6.0]]
