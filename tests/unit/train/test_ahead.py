from __future__ import annotations

import threading
from typing import Any

import pytest

from dist_stilts.train.ahead import ahead


def test_steps_come_as_they_would_without_it_whichever_is_asked_for() -> None:
    with ahead(lambda step: step * 10, 100) as take:  # type: ignore[arg-type, return-value]
        assert [take(step) for step in (3, 4, 5, 9, 10, 2)] == [30, 40, 50, 90, 100, 20]


def test_the_next_step_is_made_while_this_one_is_worked_on() -> None:
    made = {step: threading.Event() for step in range(4)}

    def make(step: int) -> Any:
        made[step].set()
        return step

    with ahead(make, 3) as take:
        take(0)
        assert made[1].wait(5)
        assert not made[2].is_set()
        take(1)
        take(2)
    assert not made[3].is_set(), "there is no step after the last"


def test_an_error_is_raised_at_its_step_and_not_before() -> None:
    def make(step: int) -> Any:
        if step == 1:
            raise ValueError("step 1")
        return step

    with ahead(make, 5) as take:
        take(0)
        with pytest.raises(ValueError, match="step 1"):
            take(1)


def test_no_thread_is_left_when_the_work_fails() -> None:
    before = threading.active_count()

    def fail() -> None:
        with ahead(lambda step: step, 5) as take:  # type: ignore[arg-type, return-value]
            take(0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert threading.active_count() == before
