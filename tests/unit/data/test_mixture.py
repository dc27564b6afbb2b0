from __future__ import annotations

import numpy as np
import pytest

from dist_stilts.data.mixture import plan


def test_tasks_train_in_proportion_to_their_rows() -> None:
    shares = np.bincount(plan([100, 300, 600], 20_000, seed=0).task) / 20_000
    assert shares == pytest.approx([0.1, 0.3, 0.6], abs=0.015)


def test_cap_bounds_what_a_large_task_counts_for() -> None:
    shares = np.bincount(plan([100, 300, 60_000], 20_000, seed=0, cap=300).task) / 20_000
    assert shares == pytest.approx([1 / 7, 3 / 7, 3 / 7], abs=0.015)


def test_turns_of_a_task_count_its_own_steps() -> None:
    mixture = plan([5, 3, 2], 200, seed=1)
    for task in range(3):
        assert mixture.turn[mixture.task == task].tolist() == list(range((mixture.task == task).sum()))


def test_one_task_has_every_step() -> None:
    mixture = plan([7], 20, seed=0)
    assert mixture.task.tolist() == [0] * 20
    assert mixture.turn.tolist() == list(range(20))


def test_plan_is_a_function_of_the_seed() -> None:
    first, again, other = (plan([1, 1], 100, seed) for seed in (0, 0, 1))
    assert (first.task == again.task).all()
    assert (first.task != other.task).any()
