"""What a rank may do before its program starts (see :mod:`warm_ranks`): plant a NaN, slow things down."""

from __future__ import annotations

import itertools
import os
import time
from typing import Any


def plant_nan(rank: int, first: int, last: int, accumulation: int = 2) -> None:
    """Make the loss of steps ``first`` to ``last`` of this start, counted from 1, NaN on one rank."""
    from dist_stilts.model.multitask import MultiTaskModel

    if int(os.environ["RANK"]) != rank:
        return
    whole, calls = MultiTaskModel.forward, itertools.count()

    def forward(self: MultiTaskModel, *arguments: Any) -> Any:
        step, micro_batch = divmod(next(calls), accumulation)
        loss = whole(self, *arguments)
        return loss * float("nan") if micro_batch == 0 and first <= step + 1 <= last else loss

    MultiTaskModel.forward = forward  # type: ignore[method-assign]


def slow_evaluation(seconds: float) -> None:
    """Make each batch of an evaluation take so long."""
    from dist_stilts.model.multitask import MultiTaskModel

    whole = MultiTaskModel.predict

    def predict(self: MultiTaskModel, *arguments: Any) -> Any:
        time.sleep(seconds)
        return whole(self, *arguments)

    MultiTaskModel.predict = predict  # type: ignore[method-assign]


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
