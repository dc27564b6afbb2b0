from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.data.mixture import plan, probabilities, repeated
from dist_stilts.errors import UserError

SIZES = [100, 300, 60_000]


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ({}, [100, 300, 60_000]),
        ({"cap": 300}, [100, 300, 300]),
        ({"cap": 50}, [50, 50, 50]),
        ({"sampling": "temperature", "temperature": 2.0}, [10, 300**0.5, 60_000**0.5]),
        ({"sampling": "temperature", "temperature": 2.0, "cap": 900}, [10, 300**0.5, 30]),
        ({"sampling": "temperature", "temperature": 1.0}, [100, 300, 60_000]),
        ({"sampling": "temperature", "temperature": math.inf}, [1, 1, 1]),
        ({"sampling": "temperature", "temperature": 1e-3}, [0, 0, 1]),
        ({"sampling": "uniform", "cap": 300}, [1, 1, 1]),
    ],
)
def test_tasks_are_likely_by_their_rows_as_the_sampler_says(settings: dict[str, Any], weights: list[float]) -> None:
    assert probabilities(SIZES, **settings) == pytest.approx(np.array(weights) / sum(weights))


def test_a_share_is_exact_and_the_others_divide_the_rest_by_their_rows() -> None:
    found = probabilities([100, 1, 300], shares=[None, 0.2, None])
    assert found[1] == 0.2
    assert found == pytest.approx([0.2, 0.2, 0.6])
    assert probabilities([100, 10**9, 300], shares=[None, 0.2, None]).tolist() == found.tolist()
    assert probabilities([5, 7], shares=[0.9, 0.1]).tolist() == [0.9, 0.1]
    assert probabilities(list(range(1, 11)), shares=[0.1] * 10).tolist() == [0.1] * 10


tasks = st.lists(st.tuples(st.integers(1, 10**6), st.none() | st.floats(0.01, 0.15)), min_size=1, max_size=6)


@given(tasks, st.sampled_from(["proportional", "temperature", "uniform"]), st.floats(0.1, 10))
def test_probabilities_sum_to_one(tasks: list[tuple[int, float | None]], sampling: str, temperature: float) -> None:
    sizes, shares = [size for size, _ in tasks], [None, *(share for _, share in tasks[1:])]
    found = probabilities(sizes, sampling=sampling, temperature=temperature, shares=shares)
    assert math.fsum(found) == pytest.approx(1, abs=1e-12)
    assert (found >= 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shares": [0.6, 0.6, None]}, r"sum to 1\.2; tasks without one would never train"),
        ({"shares": [0.3, 0.7, None]}, "sum to 1; tasks without one would never train"),
        ({"shares": [0.6, 0.3, 0.3]}, r"sum to 1\.2, not 1"),
        ({"shares": [0.3, 0.3, 0.3]}, r"sum to 0\.9, not 1.*Leave one out"),
    ],
)
def test_what_cannot_be_sampled_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        probabilities(SIZES, **settings)


def test_tasks_train_as_often_as_is_likely_and_turns_count_their_own_steps_and_depend_on_the_seed_alone() -> None:
    shares = np.bincount(plan(np.array([0.1, 0.3, 0.6]), 20_000, seed=0).task) / 20_000
    assert shares == pytest.approx([0.1, 0.3, 0.6], abs=0.015)
    first, again, other = (plan(np.array([0.5, 0.3, 0.2]), 200, seed=seed) for seed in (1, 1, 0))
    for task in range(3):
        assert first.turn[first.task == task].tolist() == list(range((first.task == task).sum()))
    assert (first.task == again.task).all()
    assert (first.task != other.task).any()
    alone = plan(probabilities([7]), 20, seed=0)
    assert (alone.task.tolist(), alone.turn.tolist()) == ([0] * 20, list(range(20)))


@given(st.integers(0, 99), st.integers(1, 60), st.integers(1, 60))
def test_the_task_of_a_step_does_not_depend_on_how_many_steps_there_are(seed: int, fewer: int, more: int) -> None:
    chances = probabilities([5, 3, 9])
    short, long = plan(chances, fewer, seed), plan(chances, fewer + more, seed)
    assert short.task.tolist() == long.task[:fewer].tolist()
    assert short.turn.tolist() == long.turn[:fewer].tolist()


LANGUAGES = [np.arange(0, 800), np.arange(800, 900), np.arange(900, 910)]


def test_languages_share_an_epoch_by_their_rows_to_the_exponent_and_no_row_is_left_out() -> None:
    rows = repeated(LANGUAGES, 0.3, seed=0)
    shares = np.histogram(rows, bins=[0, 800, 900, 910])[0] / len(rows)
    wanted = np.array([800.0, 100.0, 10.0]) ** 0.3
    assert shares == pytest.approx(wanted / wanted.sum(), abs=0.002)
    counts = np.bincount(rows, minlength=910)
    assert (counts[:800] == 1).all()
    assert counts.min() == 1
    for part in LANGUAGES[1:]:  # equally often, but for a rest
        assert counts[part].max() - counts[part].min() <= 1
    assert rows.tolist() == repeated(LANGUAGES, 0.3, seed=0).tolist() != repeated(LANGUAGES, 0.3, seed=1).tolist()
    assert repeated(LANGUAGES, 1.0, seed=0).tolist() == list(range(910))
    assert np.histogram(repeated(LANGUAGES, 0.0, seed=0), bins=[0, 800, 900, 910])[0].tolist() == [800, 800, 800]
