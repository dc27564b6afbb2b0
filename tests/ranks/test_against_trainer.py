"""Law 1 against Hugging Face's `Trainer`: same rows in the same order, fp32, with and without accumulation.

`Trainer` is left all that it does itself: batching, accumulation, clipping, AdamW and what of the model decays. The
order of rows and the learning rate are ours. The tolerance is that of :mod:`test_zero_is_plain_training` in fp32.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
import torch

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(find_spec("accelerate") is None, reason="Trainer needs accelerate, which is not installed"),
]
Weights = dict[str, torch.Tensor]


@pytest.mark.parametrize("accumulation", [1, 2])
def test_steps_losses_gradient_norms_and_weights_are_those_of_trainer(
    saved: Callable[..., list[Any]], accumulation: int
) -> None:
    """Weights: how far they are off, in units of how far training went."""
    (results,) = saved("worker_trainer.py", 1)
    ours, theirs = results["ours", accumulation], results["theirs", accumulation]
    assert ours["learning_rate"] == pytest.approx(theirs["learning_rate"], rel=1e-12)
    assert len(ours["learning_rate"]) >= 12
    assert min(theirs["grad_norm"]) < 1 < max(theirs["grad_norm"])  # some steps are clipped, others not
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=2e-6)
    assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=5e-6)
    off = distance(ours["weights"], theirs["weights"]) / distance(theirs["before"], theirs["weights"])
    assert off < 5e-5


def distance(some: Weights, others: Weights) -> float:
    """Euclidean distance over all weights."""
    assert some.keys() == others.keys()
    return sum(float((weight.double() - others[name].double()).square().sum()) for name, weight in some.items()) ** 0.5
