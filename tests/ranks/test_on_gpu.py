"""Law 1 on one GPU: losses, gradient norms and weights are those of plain training on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
    pytest.mark.timeout(400),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, run_ranks: Callable[..., Any]) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("gpu")
    run_ranks("worker_gpu.py", 1, out, gpu=True)
    result: dict[str, Any] = torch.load(out / "rank-0.pt", weights_only=False)
    assert result["device"] == "cuda"
    return result


@pytest.mark.parametrize(
    ("config", "loss", "norm", "weights"),
    [("zero2_fp32", 1e-4, 1e-3, 0.01), ("zero2_bf16", 2**-7, 2**-5, 0.1), ("zero3_bf16", 2**-7, 2**-5, 0.1)],
)
def test_training_on_a_gpu_is_plain_training(
    found: dict[str, Any], config: str, loss: float, norm: float, weights: float
) -> None:
    ours, plain = found["trained"][config], found["plain"]
    assert ours["loss"] == pytest.approx(plain["loss"], rel=loss)
    assert ours["grad_norm"] == pytest.approx(plain["grad_norm"], rel=norm)
    assert distance(ours["weights"], plain["weights"]) < weights * distance(plain["before"], plain["weights"])


def distance(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> float:
    """Euclidean distance over all weights."""
    return sum(float((weight.double() - others[name].double()).square().sum()) for name, weight in some.items()) ** 0.5
