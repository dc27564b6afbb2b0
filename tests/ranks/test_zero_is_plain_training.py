"""Law 1: ranks, packing, micro-batches, accumulation and ZeRO-2 leave no trace in losses, gradient norms and weights.

Weights are compared by ``|ours - reference| / |reference - start|``: how far off the training's result is, in units of
how far training went. Losses alone would hide much, and Adam hides the scale of gradients from weights, so norms count.

Tolerances. fp32: sums in another order differ by some 1e-7, which Adam's division and twenty steps grow to some 1e-5.
bf16 against an fp32 reference: a number has 8 significant bits, so gradients carry errors of half a percent; Adam gives
small elements steps as large as those of large ones, and 4 to 5 % of the way remain. A lost micro-batch or rank costs
ten times as much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch

pytestmark = [pytest.mark.timeout(400), pytest.mark.allowed_seconds(20, "the first of each size trains all its cases")]
Saved = Callable[..., list[dict[str, Any]]]


class Tolerance(NamedTuple):
    """Greatest relative difference."""

    loss: float
    grad_norm: float
    weights: float


FP32, BF16 = Tolerance(2e-6, 5e-6, 1e-4), Tolerance(2**-7, 2**-5, 0.1)
MIXTURE = "xnli+mlm+squad_v1"
PLAIN = tuple(f"plain {tasks}" for tasks in ("xnli", "mlm", MIXTURE))
STAGES = ("zero1", "zero2_offload", "zero3")
DEFAULT = {
    1: ["zero2_fp32 xnli 2"],
    2: [*(f"zero2_fp32 {case}" for case in ("xnli 1", "xnli 2", "mlm 2", f"{MIXTURE} 2")), "zero2_bf16 xnli 2"],
    3: ["zero2_fp32 xnli 3"],  # 32 rows in nine parts
}
SLOW = {
    1: [f"zero2_{case}" for case in ("fp32 xnli 1", "fp32 xnli 4", "fp32 mlm 2", "bf16 xnli 2", f"fp32 {MIXTURE} 2")],
    2: [
        *(f"zero2_{case}" for case in ("fp32 xnli 4", "bf16 xnli 1", "bf16 xnli 4", "bf16 mlm 2")),
        *(f"{stage}_{case}" for stage in STAGES for case in ("fp32 xnli 2", "bf16 xnli 2", f"fp32 {MIXTURE} 2")),
    ],
    3: ["zero2_fp32 mlm 3"],
}
"""Number of ranks to cases: configuration, tasks, accumulation."""


class Case(NamedTuple):
    """One training; ``together`` are trained in the same start of the ranks."""

    name: str
    ranks: int
    together: tuple[str, ...]

    @property
    def tolerance(self) -> Tolerance:
        return FP32 if "fp32" in self.name else BF16

    @property
    def tasks(self) -> str:
        return self.name.split()[1]


def cases(tier: dict[int, list[str]], *marks: pytest.MarkDecorator) -> list[Any]:
    return [
        pytest.param(Case(name, ranks, tuple(names)), id=f"{ranks} ranks, {name}", marks=marks)
        for ranks, names in tier.items()
        for name in names
    ]


@pytest.fixture(params=[*cases(DEFAULT), *cases(SLOW, pytest.mark.slow)])
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def ours(saved: Saved, case: Case) -> list[dict[str, Any]]:
    """What each rank got."""
    return [rank[case.name] for rank in saved("worker_training.py", case.ranks, *case.together)]


@pytest.fixture
def plain(saved: Saved, case: Case) -> dict[str, Any]:
    """The single-process reference, always in fp32."""
    return saved("worker_training.py", 1, *PLAIN)[0][f"plain {case.tasks}"]


def test_losses_gradient_norms_and_weights_are_those_of_plain_training(ours: Any, plain: Any, case: Case) -> None:
    assert len(plain["loss"]) == 20
    for rank in ours:
        assert rank["loss"] == pytest.approx(plain["loss"], rel=case.tolerance.loss)
        assert rank["grad_norm"] == pytest.approx(plain["grad_norm"], rel=case.tolerance.grad_norm)
    off = distance(ours[0]["weights"], plain["weights"]) / distance(plain["before"], plain["weights"])
    assert off < case.tolerance.weights


def test_rank_0_gathers_whole_master_weights_in_fp32_and_every_rank_computes_with_them_rounded(
    ours: Any, case: Case
) -> None:
    weights = ours[0]["weights"]
    assert {name: tuple(weight.shape) for name, weight in weights.items()} == ours[0]["parameters"]
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert [rank["weights"] for rank in ours[1:]] == [{}] * (len(ours) - 1)
    for rank in ours:
        assert rank["module"].keys() == ours[0]["gathered"].keys()
        for name, weight in rank["module"].items():
            assert torch.equal(weight, ours[0]["gathered"][name].to(weight.dtype)), name
    if "bf16" in case.name:
        changed = [weight for name, weight in weights.items() if "dense.weight" in name]
        assert changed
        assert not any(torch.equal(weight, weight.bfloat16().float()) for weight in changed)


def test_words_that_do_not_occur_are_trained_as_if_they_were_parameters(ours: Any, plain: Any, case: Case) -> None:
    """They decay, and are no parameters where no word is predicted."""
    name = "encoder.embeddings.word_embeddings.weight"
    assert (f"{name.removesuffix('weight')}scale" in ours[0]["gathered"]) == (case.tasks == "xnli")
    if case.tasks == "xnli":
        assert len(ours[0]["gathered"][name]) == 61
        unused = [1, 3, 63]
        off = (ours[0]["weights"][name] - plain["weights"][name])[unused].abs().max()
        assert off < 1e-6 < 1e-3 < (plain["before"][name] - plain["weights"][name])[unused].abs().max()


def test_gradients_are_added_up_in_fp32_and_communication_does_not_overlap(ours: Any, case: Case) -> None:
    config, _, accumulation = case.name.split()
    for rank in ours:
        assert rank["zero_stage"] == int(config.removeprefix("zero")[0])
        assert rank["communication_data_type"] is torch.float32
        assert rank["grad_accum_dtype"] is torch.float32
        assert rank["overlap_comm"] is False
        assert rank["model_dtype"] is (torch.bfloat16 if config.endswith("bf16") else torch.float32)
        assert rank["ranks"] == case.ranks
        passes = rank["passes"] / len(rank["loss"])
        assert passes == 1 if accumulation == "1" else passes > 0.9 * int(accumulation)
    assert len({rank["passes"] for rank in ours}) == 1


def test_the_reference_clips_some_steps_and_not_others(saved: Saved) -> None:
    """Else a fault in clipping could not show."""
    for tasks in ("xnli", MIXTURE):
        norms = saved("worker_training.py", 1, *PLAIN)[0][f"plain {tasks}"]["grad_norm"]
        assert min(norms) < 0.9 < 1.1 < max(norms)


def distance(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> float:
    """Euclidean distance over all weights."""
    assert some.keys() == others.keys()
    return sum(float((weight.double() - others[name].double()).square().sum()) for name, weight in some.items()) ** 0.5
