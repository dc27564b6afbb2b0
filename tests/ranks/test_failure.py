"""Law 10: training that has gone wrong ends on all ranks with one line that says why, and saves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dist_stilts.errors import EXIT_FAILED

pytestmark = pytest.mark.timeout(400)
World = list[dict[str, Any]]
SLOW = {"once": ["zero2_bf16", "zero1_bf16", "zero3_bf16", "zero2_offload_bf16"], "gradient": ["zero2_fp32"]}
CASES = {
    "default": ("loss zero2_bf16", "gradient zero2_bf16", "always zero2_bf16", "once zero2_fp32", "weights zero2_bf16"),
    "slow": tuple(f"{what} {config}" for what, configs in SLOW.items() for config in configs),
}


@pytest.fixture
def failed(saved: Callable[..., World]) -> Callable[[str], World]:
    """``failed(case)``: how a case ended on each rank of two."""

    def ended(case: str) -> World:
        cases = CASES["default" if case in CASES["default"] else "slow"]
        return [rank[case] for rank in saved("worker_failure.py", 2, *cases)]

    return ended


def also(what: str) -> list[Any]:
    return [pytest.param(f"{what} {config}", marks=pytest.mark.slow) for config in SLOW[what]]


@pytest.mark.parametrize("case", ["loss zero2_bf16", "gradient zero2_bf16", *also("gradient")])
def test_what_is_not_finite_ends_every_rank_before_anything_is_saved(failed: Callable[[str], World], case: str) -> None:
    """A step with such a gradient the engine leaves out in silence: the run would count steps that it never took."""
    for ended in failed(case):
        assert "not finite at step 1" in ended["message"]
        assert ended["code"] == EXIT_FAILED
        assert ended["checkpoints"] == []


def test_weights_that_are_not_finite_are_saved_by_no_rank(failed: Callable[[str], World]) -> None:
    for ended in failed("weights zero2_bf16"):
        assert "the weights are not finite after step 1 (first: " in ended["message"]
        assert ended["code"] == EXIT_FAILED
        assert ended["checkpoints"] == []


def test_steps_are_left_out_up_to_the_limit_and_one_more_ends_every_rank(failed: Callable[[str], World]) -> None:
    for ended in failed("always zero2_bf16"):
        assert "not finite at step 4, and 3 steps were left out before" in ended["message"]
        assert ended["code"] == EXIT_FAILED


@pytest.mark.parametrize("case", ["once zero2_fp32", *also("once")])
def test_a_loss_that_is_not_finite_on_one_rank_leaves_the_step_out_on_all(
    failed: Callable[[str], World], case: str
) -> None:
    for ended in failed(case):
        assert ended["message"] == "it trained to the end"
        assert (ended["step"], ended["skipped"]) == (20, 1)
        without_loss = [values["step"] for values in ended["logged"] if "loss" not in values]
        assert without_loss == [4]
        assert [values.get("skipped", 0) for values in ended["logged"]] == [0] * 3 + [1] * 17


def test_the_launcher_of_these_tests_ends_ranks_that_hang(run_ranks: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="ranks \\[0, 1\\] were still running"):
        run_ranks("worker_sleeper.py", 2, tmp_path, timeout=2)
    assert [not (Path("/proc") / pid.read_text()).exists() for pid in tmp_path.glob("pid-*")] == [True, True]
