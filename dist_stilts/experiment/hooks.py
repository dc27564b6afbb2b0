"""What the loop calls on its way: the monitor, the status, checkpoints, scores on English dev, the closing report."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dist_stilts.conventions import GIB, KIB
from dist_stilts.evaluate.suite import EvaluationConfig, score_rows
from dist_stilts.experiment.claim import Claim
from dist_stilts.experiment.plan import Run
from dist_stilts.experiment.training_data import TrainingData
from dist_stilts.model.flops import peak_flops
from dist_stilts.parallel.collectives import gather_values
from dist_stilts.parallel.world import World
from dist_stilts.report.closing import Figures, summary
from dist_stilts.report.monitor import Monitor
from dist_stilts.train.checkpoint import TrainState, save
from dist_stilts.train.engine import whole_module
from dist_stilts.train.plan import BatchPlan
from dist_stilts.train.selection import DevScore, Selection


@dataclass(frozen=True)
class PhaseHooks:
    """What the loop calls, with all that it needs.

    Attributes:
        scoring: how English dev is scored: the same at any number of ranks, so that its scores are.
        copy: takes the whole parameters for scoring, where the engine's module has only parts.
        flops_per_token: of training, where known.
        began: reading of the clock at which the phase would have begun, had it not been interrupted.
    """

    engine: Any
    copy: nn.Module | None
    run: Run
    claim: Claim
    data: TrainingData
    scoring: EvaluationConfig
    plan: BatchPlan
    world: World
    monitor: Monitor
    selection: Selection
    flops_per_token: float | None
    began: float

    def log(self, state: TrainState, values: dict[str, float]) -> None:
        """Metrics to the monitor, progress to the status."""
        if (mfu := self.mfu(values["tokens_per_second"])) is not None:
            values = {**values, "mfu": mfu}
        self.monitor.log(state.step, values)
        self.claim.note(
            step=state.step,
            steps=self.plan.steps,
            tokens=state.tokens,
            skipped=state.skipped,
            train_seconds=round(state.seconds, 3),
        )

    def save(self, state: TrainState) -> None:
        """A checkpoint of this step."""
        state.wall_seconds = time.perf_counter() - self.began
        save(self.claim.folder, self.engine, state, self.selection.chosen, self.world, self.run.train.keep)

    def score_dev(self, state: TrainState) -> DevScore:
        """Score English dev of every task that has it."""
        module = whole_module(self.engine, self.copy)
        main: list[float] = []
        logged: dict[str, float] = {}
        collapsed: dict[str, str] = {}
        for name, (wanted, found) in self.data.dev.items():
            score = score_rows(module, wanted, found.features, self.world, self.scoring)
            logged |= {f"{name}/{metric}": value for metric, value in score.recorded.items() if value is not None}
            if (value := score.recorded[wanted.spec.metric]) is not None:
                main.append(value)
            if score.degenerate:
                collapsed[name] = score.degenerate
        if logged:
            self.monitor.score(state.step, logged)
        return DevScore(sum(main) / len(main) if main else None, collapsed)

    def mfu(self, tokens_per_second: float) -> float | None:
        """Model FLOPs utilisation of all ranks, 0..1; None where the device's peak is not known."""
        peak = peak_flops(torch.cuda.get_device_name()) if self.world.device.type == "cuda" else None
        if peak is None or self.flops_per_token is None:
            return None
        return tokens_per_second * self.flops_per_token / (peak * self.world.size)

    def close(self, state: TrainState) -> str:
        """The closing report, on rank 0: returned, kept in the status, and what it ended with in TensorBoard."""
        gpu = self.world.device.type == "cuda"
        kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        memory = gather_values((torch.cuda.max_memory_allocated() if gpu else kib * KIB) / GIB)
        if not self.world.is_main:
            return ""
        figures = Figures(
            steps=state.step - state.skipped,
            examples=sum(self.data.examples),
            tokens=state.tokens,
            padding_share=1 - state.tokens / state.slots,
            skipped_steps=state.skipped,
            restarts=len(self.claim.status.restarted),
            wall_seconds=time.perf_counter() - self.began,
            training_seconds=state.seconds,
            saving_seconds=state.saving_seconds,
            scoring_seconds=state.scoring_seconds,
            peak_memory_gib=memory,
            on_gpu=gpu,
            mfu=self.mfu(state.tokens / state.seconds),
        )
        self.claim.note(closing=figures)
        best = {"best dev score": state.best} if state.best is not None else {}
        self.monitor.final({**{f"loss/{task}": loss for task, loss in state.losses.items()}, **best})
        return summary(figures)
