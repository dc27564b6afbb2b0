"""What a rank may do before it starts (see :mod:`warm_ranks`): plant a loss that is not a number."""

from __future__ import annotations

import itertools
import os
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
