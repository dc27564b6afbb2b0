from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.errors import UserError
from dist_stilts.train.plan import BatchPlan, TrainConfig, derive, learning_rate, task_probabilities


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 4000) | st.just("auto"))
def test_the_batch_is_what_the_recipe_says_at_any_number_of_ranks(rows: int, ranks: int, most: int | str) -> None:
    batch_size = max(rows, ranks)
    plan = derive(TrainConfig(batch_size=batch_size, max_micro_tokens=most), [1000], ranks)
    assert (plan.batch_size, plan.ranks, plan.micro_tokens) == (batch_size, ranks, most)
    assert (plan.rows_per_rank - 1) * ranks < batch_size <= plan.rows_per_rank * ranks


def test_steps_of_mnli_are_those_of_the_paper_and_warmup_of_a_tenth_is_a_tenth_of_the_steps() -> None:
    plan = derive(TrainConfig(batch_size=32, epochs=2, warmup=0.1), [392_702], 8)
    assert (plan.steps, plan.warmup_steps) == (24_544, 2_455)
    for steps in range(10, 200, 10):
        assert derive(TrainConfig(steps=steps, warmup=0.1), [1], 1).warmup_steps == steps // 10


@pytest.mark.parametrize(
    ("changes", "sizes", "shares", "steps"),
    [
        ({}, [64], [], 2),
        ({}, [65], [], 3),
        ({"epochs": 0.5}, [64], [], 1),
        ({"epochs": 0.001}, [64], [], 1),
        ({}, [64, 320], [], 12),
        ({"cap": 96}, [64, 320], [], 5),
        ({"epochs": 10, "max_steps": 7}, [640], [], 7),
        ({"max_steps": 700}, [640], [], 20),
        ({"steps": 9, "max_steps": 7}, [640], [], 9),
        # Tasks with a share add steps to the epochs of the others.
        ({}, [320, 10**6], [None, 0.5], 20),
        ({}, [320, 10**6], [None, 0.9], 100),  # 1 - 0.9 is less than 0.1
        ({}, [320, 640, 5], [None, None, 0.25], 40),
        ({}, [320, 640, 5], [None, None, None], 31),
        ({}, [320, 640], [0.5, 0.5], 30),
        ({"cap": 320}, [320, 640], [0.5, 0.5], 20),
        ({"max_steps": 7}, [320, 10**6], [None, 0.5], 7),
        ({"steps": 9}, [320, 10**6], [None, 0.5], 9),
    ],
)
def test_steps_follow_from_rows_shares_epochs_and_bounds(
    changes: dict[str, Any], sizes: list[int], shares: list[float | None], steps: int
) -> None:
    assert derive(TrainConfig(**{"batch_size": 32, "epochs": 1, **changes}), sizes, 1, shares).steps == steps


@given(st.integers(100, 10**5), st.integers(1, 10**5), st.floats(0.01, 0.95))
def test_tasks_without_a_share_have_their_epochs(size: int, other: int, share: float) -> None:
    plan = derive(TrainConfig(batch_size=32, epochs=2), [size, other], 1, [None, share])
    assert plan.steps * (1 - share) * 32 == pytest.approx(2 * size, abs=33)


def test_probabilities_are_those_of_the_settings() -> None:
    config = TrainConfig(task_sampling="temperature", temperature=2, cap=900)
    assert task_probabilities(config, [100, 10**6, 7], [None, None, 0.2]) == pytest.approx([0.2, 0.6, 0.2])


@pytest.mark.parametrize("steps", [None, 5])
def test_settings_that_contradict_each_other_are_refused(steps: int | None) -> None:
    with pytest.raises(UserError, match=r"train\.batch_size=4 leaves some of 5 ranks without a row.*at most 4 ranks"):
        derive(TrainConfig(batch_size=4, steps=steps), [100], 5)
    with pytest.raises(UserError, match=r"shares sum to 1\.2"):
        derive(TrainConfig(steps=steps), [100, 100, 100], 1, [0.6, 0.6, None])


def test_epochs_that_nobody_waits_for_are_refused() -> None:
    with pytest.raises(UserError, match=r"train\.epochs=1e\+300 are .* steps. At most 100,000,000"):
        derive(TrainConfig(epochs=1e300), [100], 1)
    assert derive(TrainConfig(epochs=1e300, max_steps=7), [100], 1).steps == 7


def rates(schedule: str, warmup: float = 0.1, steps: int = 100) -> list[float]:
    config = TrainConfig(schedule=schedule, warmup=warmup, steps=steps, learning_rate=2e-5)
    plan = derive(config, [1], 1)
    return [learning_rate(config, plan, step) for step in range(steps)]


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_rate_rises_evenly_to_its_peak_and_falls_to_nearly_zero_but_every_step_trains(schedule: str) -> None:
    found = rates(schedule)
    assert found[:11] == pytest.approx([2e-5 * (step + 1) / 11 for step in range(11)])
    assert max(found) == found[10] == pytest.approx(2e-5)
    if schedule != "constant":
        assert all(later < earlier for earlier, later in pairwise(found[10:]))
        assert 0 < found[-1] < 0.02 * 2e-5
    for warmup in (0.0, 1.0):
        assert rates(schedule, warmup, steps=1)[0] > 0


def test_linear_is_straight_cosine_is_half_way_in_the_middle_and_constant_stays_at_its_peak() -> None:
    linear, cosine = rates("linear"), rates("cosine")
    assert linear[55] == pytest.approx(1e-5)
    assert cosine[55] == pytest.approx(1e-5)
    assert cosine[30] > linear[30]
    assert cosine[80] < linear[80]
    assert rates("constant", warmup=0.0) == [2e-5] * 100
    assert rates("linear", warmup=0.0)[0] == 2e-5


def test_plan_is_said_on_one_line() -> None:
    line = BatchPlan(100, 10, 32, 2, 16_384).line()
    assert line == "100 steps (10 warm-up) of 32 rows on 2 ranks, at most 16,384 tokens per pass"
    line = derive(TrainConfig(batch_size=32, max_micro_tokens="auto", steps=100), [1], 1).line()
    assert line == "100 steps (10 warm-up) of 32 rows on 1 rank, as many tokens as fit per pass"
