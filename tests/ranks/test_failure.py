"""Law 10: training that has gone wrong ends on all ranks with one line that says why, and saves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dist_stilts.errors import EXIT_FAILED

pytestmark = pytest.mark.timeout(300)
Saved = Callable[..., list[dict[str, Any]]]


def test_a_loss_that_is_not_finite_ends_every_rank_before_anything_is_saved(saved: Saved) -> None:
    for rank in saved("worker_world.py", 2):
        ended = rank["failed"]["loss"]
        assert "not finite at step 1" in ended["message"]
        assert ended["code"] == EXIT_FAILED
        assert ended["checkpoints"] == []


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_a_gradient_that_is_not_finite_ends_every_rank_before_anything_is_saved(saved: Saved, precision: str) -> None:
    """The engine leaves such a step out and says nothing to the loop: the run would count steps that it never took."""
    for rank in saved("worker_world.py", 2):
        ended = rank["failed"][f"gradient {precision}"]
        assert "not finite at step 1" in ended["message"]
        assert ended["code"] == EXIT_FAILED
        assert ended["checkpoints"] == []


def test_steps_are_left_out_up_to_the_limit_and_one_more_ends_every_rank(saved: Saved) -> None:
    for rank in saved("worker_world.py", 2):
        ended = rank["failed"]["always"]
        assert "not finite at step 4, and 3 steps were left out before" in ended["message"]
        assert ended["code"] == EXIT_FAILED


@pytest.mark.parametrize("config", ["zero2_fp32", "zero2_bf16", "zero1_bf16", "zero3_bf16", "zero2_offload_bf16"])
def test_a_loss_that_is_not_finite_on_one_rank_leaves_the_step_out_on_all(saved: Saved, config: str) -> None:
    for rank in saved("worker_world.py", 2):
        ended = rank["failed"][f"once {config}"]
        assert ended["message"] == "it trained to the end"
        assert (ended["step"], ended["skipped"]) == (20, 1)
        without_loss = [values["step"] for values in ended["logged"] if "loss" not in values]
        assert without_loss == [4]
        assert [values.get("skipped", 0) for values in ended["logged"]] == [0] * 3 + [1] * 17


def test_the_launcher_of_these_tests_ends_ranks_that_hang(run_ranks: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="ranks \\[0, 1\\] were still running"):
        run_ranks("worker_sleeper.py", 2, tmp_path, timeout=2)
    assert [not (Path("/proc") / pid.read_text()).exists() for pid in tmp_path.glob("pid-*")] == [True, True]
