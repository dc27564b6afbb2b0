"""A run that goes on with another's training is that training: same moments, same count, no new warm-up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dist_stilts.errors import EXIT_AGAIN

pytestmark = pytest.mark.timeout(400)
CUT, STEPS = 8, 20
Part = dict[str, Any]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("branches")


@pytest.fixture(scope="module")
def parts(out: Path, run_ranks: Callable[..., Any]) -> dict[str, Part]:
    """What rank 0 of two says of each part."""
    run_ranks("worker_branches.py", 2, out, "begin")
    begun = torch.load(out / "rank-0.pt", weights_only=False)
    run_ranks("worker_branches.py", 2, out, "go-on")
    return {**begun, "second": torch.load(out / "rank-0.pt", weights_only=False)}


def curve(part: Part) -> list[tuple[float, float]]:
    return [(values["loss"], values["grad_norm"]) for values in part["logged"]]


def test_two_parts_have_the_losses_gradients_and_counts_of_the_whole_training(parts: dict[str, Part]) -> None:
    """bf16; the second part is asked to stop in its seventh step and goes on from a checkpoint of its own."""
    first, stopped, second = (parts[name] for name in ("first bf16", "stopped", "second"))
    assert (stopped["first"], stopped["code"], second["first"], second["code"]) == (0, EXIT_AGAIN, 7, 0)
    assert curve(first) + curve(stopped) + curve(second) == curve(parts["whole bf16"])
    assert [set(part["count"]) for part in (first, stopped, second)] == [{CUT}, {CUT + 7}, {STEPS}]


def test_two_parts_end_with_the_bits_of_the_whole_training(parts: dict[str, Part]) -> None:
    whole, second = parts["whole bf16"]["weights"], parts["second"]["weights"]
    assert whole.keys() == second.keys()
    assert [name for name, found in second.items() if not torch.equal(found, whole[name])] == []


def test_weights_alone_do_not_make_it_the_same_training(parts: dict[str, Part]) -> None:
    cold, whole = curve(parts["cold"]), curve(parts["whole bf16"])[CUT:]
    assert cold[0] == whole[0]  # the optimiser has not stepped yet
    assert max(abs(a - b) for (a, _), (b, _) in zip(cold, whole, strict=True)) > 1e-2


@pytest.mark.slow
def test_a_part_goes_on_at_other_ranks_and_another_stage(
    parts: dict[str, Part], out: Path, run_ranks: Callable[..., Any]
) -> None:
    """fp32 to rounding: two ranks at stage 2, then three at stage 3."""
    run_ranks("worker_branches.py", 3, out, "elsewhere")
    second = torch.load(out / "rank-0.pt", weights_only=False)
    found = [loss for loss, _ in curve(parts["first fp32"]) + curve(second)]
    assert found == pytest.approx([loss for loss, _ in curve(parts["whole fp32"])], rel=1e-5)
    assert set(second["count"]) == {STEPS}
