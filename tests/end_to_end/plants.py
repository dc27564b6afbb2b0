"""What a rank may do before its program starts (see :mod:`warm_ranks`): plant a NaN, slow things down."""

from __future__ import annotations

import itertools
import os
import time
from typing import Any


def plant_nan(rank: int, first: int, last: int) -> None:
    """Make the loss of steps ``first`` to ``last`` of this start, counted from 1, NaN on one rank."""
    from dist_stilts.train import loop

    if int(os.environ["RANK"]) != rank:
        return
    whole, steps = loop.take_step, itertools.count(1)

    def take_step(engine: Any, *arguments: Any) -> bool:
        planted = first <= next(steps) <= last
        forget = engine.module.register_forward_hook(lambda *_: _[-1] * float("nan")) if planted else None
        stop = whole(engine, *arguments)
        if forget:
            forget.remove()
        return stop

    loop.take_step = take_step


def slow_evaluation(seconds: float) -> None:
    """Make each batch of an evaluation take so long."""
    from dist_stilts.model.multitask import MultiTaskModel

    whole = MultiTaskModel.logits

    def logits(self: MultiTaskModel, *arguments: Any) -> Any:
        time.sleep(seconds)
        return whole(self, *arguments)

    MultiTaskModel.logits = logits  # type: ignore[method-assign]


def plant_failing_run(name: str) -> None:
    """Make one run of a recipe fail when it begins to train."""
    from dist_stilts.errors import EXIT_FAILED, UserError
    from dist_stilts.experiment import phases

    train = phases.train_phase

    def failing(run: Any, *rest: Any) -> None:
        if run.name == name:
            raise UserError("planted", code=EXIT_FAILED)
        train(run, *rest)

    phases.train_phase = failing
