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
    pytest.mark.timeout(300),
    pytest.mark.skipif(find_spec("accelerate") is None, reason="Trainer needs accelerate, which is not installed"),
]
Weights = dict[str, torch.Tensor]


@pytest.fixture(params=[1, 2], ids="accumulation {}".format)
def pair(request: pytest.FixtureRequest, saved: Callable[..., list[Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What we and what `Trainer` got."""
    (results,) = saved("worker_trainer.py", 1)
    return results["ours", request.param], results["theirs", request.param]


def test_both_take_the_same_steps_at_the_same_learning_rates(pair: Any) -> None:
    ours, theirs = pair
    assert ours["learning_rate"] == pytest.approx(theirs["learning_rate"], rel=1e-12)
    assert len(ours["learning_rate"]) >= 12
    assert min(theirs["grad_norm"]) < 1 < max(theirs["grad_norm"])  # some steps are clipped, others not


def test_losses_are_those_of_trainer(pair: Any) -> None:
    ours, theirs = pair
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=2e-6)


def test_gradient_norms_are_those_of_trainer(pair: Any) -> None:
    ours, theirs = pair
    assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=5e-6)


def test_weights_are_those_of_trainer(pair: Any) -> None:
    """How far they are off, in units of how far training went."""
    ours, theirs = pair
    off = distance(ours["weights"], theirs["weights"]) / distance(theirs["before"], theirs["weights"])
    assert off < 5e-5


def distance(some: Weights, others: Weights) -> float:
    """Euclidean distance over all weights."""
    assert some.keys() == others.keys()
    return sum(float((weight.double() - others[name].double()).square().sum()) for name, weight in some.items()) ** 0.5
