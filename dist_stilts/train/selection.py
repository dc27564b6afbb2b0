"""Which weights a phase exports: the last, the best on English dev, or an average along the way; and when it stops.

No target-language label is read here (law 7). Averaging needs not even English ones: Schmidt et al. 2023
(arXiv 2305.16834) average checkpoints taken at even distances over the run and find zero-shot transfer better for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from dist_stilts.train.checkpoint import TrainState
from dist_stilts.train.owned_state import owned_state
from dist_stilts.train.plan import BatchPlan, TrainConfig


@dataclass(frozen=True)
class DevScore:
    """What English dev says.

    Attributes:
        mean: of the tasks' main metrics, in percent; None where no task has dev.
        collapsed: task to why its predictions are those of no model.
    """

    mean: float | None
    collapsed: dict[str, str] = field(default_factory=dict)


class Selection:
    """Keeps the weights that may be exported in the place of the last ones, on this rank and laid out as the engine's.

    Attributes:
        chosen: flat fp32 tensors on the CPU; none as long as nothing was chosen. They are part of every checkpoint.
    """

    def __init__(self, config: TrainConfig, plan: BatchPlan, chosen: Sequence[torch.Tensor] = ()) -> None:
        self.config, self.chosen = config, list(chosen)
        points = {round(plan.steps * i / config.averaged) for i in range(1, config.averaged + 1)}
        self.points = points - {0} if config.select == "average" else set()

    def after_step(self, engine: Any, state: TrainState) -> None:
        """Take the weights into the running mean, at the steps at which that is due."""
        if state.step not in self.points:
            return
        state.averaged += 1
        weights = _copies(engine)
        if not self.chosen:
            self.chosen = weights
        for mean, new in zip(self.chosen, weights, strict=True):
            mean += (new - mean) / state.averaged

    def after_score(self, engine: Any, state: TrainState, score: DevScore) -> None:
        """Keep the weights if English dev was never better; stop after too many scores that were not."""
        if score.mean is None or state.step == 0:  # that one shows that evaluation works
            return
        better = state.best is None or score.mean > state.best
        if better:
            state.best, state.best_step = score.mean, state.step
        if better or self.config.select != "best":
            state.collapsed, state.dev = score.collapsed, score.mean
        if better and self.config.select == "best":
            self.chosen = _copies(engine)
        state.worse = 0 if better else state.worse + 1
        state.stopped = 0 < self.config.patience <= state.worse

    def weights(self, engine: Any) -> list[torch.Tensor]:
        """The weights to export, flat."""
        return self.chosen or owned_state(engine).partitions["weights"]

    def line(self, state: TrainState) -> str:
        """What is exported, for people."""
        if self.config.select == "best" and self.chosen:
            return f"weights of step {state.best_step}, the best on English dev ({state.best:.2f})"
        if self.config.select == "average" and self.chosen:
            return f"mean of the weights at {state.averaged} points"
        return f"weights of step {state.step}, the last"


def _copies(engine: Any) -> list[torch.Tensor]:
    return [flat.detach().to("cpu", copy=True) for flat in owned_state(engine).partitions["weights"]]
