from __future__ import annotations

from typing import Any

import pytest
import torch

from dist_stilts.search import cpu_products
from dist_stilts.search.cpu_products import fast_linear

CPU = torch.device("cpu")
LAYER = torch.nn.Linear(96, 40)
INPUT = torch.randn(3, 7, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What oneDNN was asked."""
    calls: list[Any] = []
    real = cpu_products._linear
    monkeypatch.setattr(cpu_products, "_linear", lambda *args: (calls.append(args), real(*args))[1])
    return calls


@torch.no_grad()
def test_products_are_as_exact_as_pytorchs_reach_layers_and_only_inside_the_block(asked: list[Any]) -> None:
    for bias in (LAYER.bias, None):
        double = None if bias is None else bias.double()
        exact = torch.nn.functional.linear(INPUT.double(), LAYER.weight.double(), double)
        with fast_linear(CPU):
            fast = torch.nn.functional.linear(INPUT, LAYER.weight, bias)
        assert fast.dtype == torch.float32
        assert (fast - exact).abs().max() < 1e-5
    assert len(asked) == 2
    with fast_linear(CPU):
        inside = LAYER(INPUT)
    assert len(asked) == 3
    torch.testing.assert_close(inside, LAYER(INPUT))
    assert len(asked) == 3


def test_other_types_and_passes_with_gradients_are_left_alone(asked: list[Any]) -> None:
    with fast_linear(CPU):
        LAYER(INPUT).sum().backward()
        with torch.no_grad():
            torch.nn.functional.linear(INPUT.double(), LAYER.weight.double())
    assert LAYER.weight.grad is not None
    assert not asked
