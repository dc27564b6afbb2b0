from __future__ import annotations

import math

import pytest

from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.train.stability import degenerate, next_seed, refuse_more_skips

CHANCES = {"xnli": math.log(3)}


@pytest.mark.parametrize(
    ("losses", "collapsed", "said"),
    [
        ({"xnli": 0.981 * math.log(3)}, {}, "stuck at chance"),  # within two per cent
        ({"xnli": 1.2}, {}, "stuck at chance"),
        ({"xnli": 0.979 * math.log(3)}, {}, None),
        ({"xnli": 0.1}, {"xnli": "class 1 of 3"}, "xnli: class 1 of 3"),
        ({"mlm": 9.0}, {}, None),  # which has no classes and no chance level
    ],
)
def test_a_loss_at_chance_or_one_predicted_class_on_english_dev_is_degenerate(
    losses: dict[str, float], collapsed: dict[str, str], said: str | None
) -> None:
    found = degenerate(losses, CHANCES, collapsed)
    assert found is None if said is None else said in str(found)


def test_seeds_of_restarts_are_no_other_runs_seeds() -> None:
    assert next_seed(3, 0) == 3
    seeds = {next_seed(seed, restart) for seed in range(1000) for restart in range(5)}
    assert len(seeds) == 5000


def test_steps_left_out_are_allowed_up_to_the_limit() -> None:
    refuse_more_skips(step=9, skipped=2, allowed=2)
    with pytest.raises(UserError, match="not finite at step 9, and 2 steps were left out before") as caught:
        refuse_more_skips(step=9, skipped=3, allowed=2)
    assert caught.value.code == EXIT_FAILED
