from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.errors import UserError
from dist_stilts.train.plan import BatchPlan, TrainConfig, derive, learning_rate


@given(st.integers(1, 8), st.integers(1, 24), st.integers(1, 40))
def test_ranks_times_rows_times_accumulation_is_the_batch(ranks: int, per_rank: int, most: int) -> None:
    plan = derive(TrainConfig(batch_size=ranks * per_rank, max_micro_batch=most), [1000], ranks)
    assert plan.ranks * plan.micro_batch * plan.accumulation == plan.batch_size == ranks * per_rank
    assert plan.micro_batch <= most


def test_accumulation_is_as_small_as_memory_allows() -> None:
    config = TrainConfig(batch_size=96, max_micro_batch=20)
    assert [(p.micro_batch, p.accumulation) for p in (derive(config, [1], n) for n in (1, 2, 4, 8))] == [
        (16, 6),
        (16, 3),
        (12, 2),
        (12, 1),
    ]


def test_ranks_that_do_not_divide_the_batch_are_refused_with_numbers_that_do() -> None:
    with pytest.raises(UserError, match=r"3 ranks do not divide train\.batch_size=32.*\[1, 2, 4\] ranks"):
        derive(TrainConfig(batch_size=32), [100], 3)


def test_steps_of_mnli_are_those_of_the_paper() -> None:
    plan = derive(TrainConfig(batch_size=32, epochs=2, warmup=0.1), [392_702], 8)
    assert (plan.steps, plan.warmup_steps) == (24_544, 2_455)


@pytest.mark.parametrize(
    ("changes", "sizes", "steps"),
    [
        ({"epochs": 1}, [64], 2),
        ({"epochs": 1}, [65], 3),
        ({"epochs": 0.5}, [64], 1),
        ({"epochs": 0.001}, [64], 1),
        ({"epochs": 1}, [64, 320], 12),
        ({"epochs": 1, "cap": 96}, [64, 320], 5),
        ({"epochs": 10, "max_steps": 7}, [640], 7),
        ({"epochs": 1, "max_steps": 700}, [640], 20),
        ({"steps": 9, "max_steps": 7}, [640], 9),
    ],
)
def test_steps_follow_from_rows_epochs_and_bounds(changes: dict[str, float], sizes: list[int], steps: int) -> None:
    assert derive(TrainConfig(batch_size=32, **changes), sizes, 1).steps == steps  # type: ignore[arg-type]


@pytest.mark.parametrize("steps", range(10, 200, 10))
def test_warmup_of_a_tenth_is_a_tenth_of_the_steps(steps: int) -> None:
    assert derive(TrainConfig(steps=steps, warmup=0.1), [1], 1).warmup_steps == steps // 10


@pytest.mark.parametrize(
    "changes",
    [{"warmup": 1.5}, {"warmup": -0.1}, {"epochs": 0.0}, {"batch_size": 0}, {"max_micro_batch": 0}],
)
def test_settings_without_meaning_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"train\.warmup is a share"):
        derive(TrainConfig(**changes), [100], 1)  # type: ignore[arg-type]


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown train\.schedule 'polynomial'.*linear, cosine, constant"):
        derive(TrainConfig(schedule="polynomial"), [100], 1)


def rates(schedule: str, warmup: float = 0.1, steps: int = 100) -> list[float]:
    config = TrainConfig(schedule=schedule, warmup=warmup, steps=steps, learning_rate=2e-5)
    plan = derive(config, [1], 1)
    return [learning_rate(config, plan, step) for step in range(steps)]


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_rate_rises_evenly_to_its_peak(schedule: str) -> None:
    found = rates(schedule)
    assert found[:11] == pytest.approx([2e-5 * (step + 1) / 11 for step in range(11)])
    assert max(found) == found[10] == pytest.approx(2e-5)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_rate_falls_to_nearly_zero_but_the_last_step_still_trains(schedule: str) -> None:
    found = rates(schedule)
    assert all(later < earlier for earlier, later in pairwise(found[10:]))
    assert 0 < found[-1] < 0.02 * 2e-5


def test_linear_is_straight_and_cosine_is_half_way_in_the_middle() -> None:
    assert rates("linear")[55] == pytest.approx(1e-5)
    cosine = rates("cosine")
    assert cosine[55] == pytest.approx(1e-5)
    assert cosine[30] > rates("linear")[30]
    assert cosine[80] < rates("linear")[80]


def test_constant_stays_at_its_peak_and_no_warmup_starts_there() -> None:
    assert rates("constant", warmup=0.0) == [2e-5] * 100
    assert rates("linear", warmup=0.0)[0] == 2e-5


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_a_single_step_trains(warmup: float) -> None:
    config = TrainConfig(steps=1, warmup=warmup)
    assert learning_rate(config, derive(config, [1], 1), 0) > 0


def test_plan_is_said_on_one_line() -> None:
    line = BatchPlan(100, 10, 32, 2, 8, 2).line()
    assert line == "100 steps (10 warm-up) of 32 rows = 2 ranks x 8 rows x 2 accumulation"
