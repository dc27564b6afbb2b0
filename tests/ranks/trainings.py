"""Trainings with the product's own loop and engine at one world size (law 1), and some that must fail (law 10)."""

from __future__ import annotations

import copy
import json
import os
import signal
from importlib import resources
from pathlib import Path
from typing import Any

import tiny
import torch

from dist_stilts.data.mixture import plan as plan_mixture
from dist_stilts.data.mixture import probabilities
from dist_stilts.errors import UserError
from dist_stilts.layout import RunFolder
from dist_stilts.model import trained_rows
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.trained_rows import all_rows, train_only
from dist_stilts.parallel.collectives import barrier
from dist_stilts.parallel.world import World, current
from dist_stilts.tasks.registry import get_task
from dist_stilts.train import loop
from dist_stilts.train.checkpoint import TrainState, resume, save
from dist_stilts.train.engine import CONFIGS, deepspeed_config, start_engine, whole_module
from dist_stilts.train.loop import Work, take_step, train
from dist_stilts.train.owned_state import gather_weights, owned_state
from dist_stilts.train.plan import TrainConfig, derive
from dist_stilts.train.selection import DevScore, Selection

DATA = "the same rows"


def train_case(precision: str, tasks: str, accumulation: int, world: World, out: Path) -> dict[str, Any]:
    """Train one case; what was logged, the fp32 weights, and what the engine says of its configuration."""
    names = tasks.split("+")
    model = tiny.model(names)
    parameters = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    config = tiny.train_config(in_precision(precision, out, world), world.size, accumulation)
    embeddings = train_only(model.encoder, words_used()) if names == ["xnli"] else None
    training = Training(model, names, config, world, out)
    training.finish()
    engine = training.engine
    module = whole_module(engine, training.whole)
    gathered = training.weights()
    own = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    whole = all_rows(model, model.encoder, embeddings, gathered) if embeddings and gathered else gathered
    result = {
        "loss": [values["loss"] for values in training.logged],
        "grad_norm": [values["grad_norm"] for values in training.logged],
        "weights": whole,
        "gathered": gathered,
        "parameters": parameters,
        "module": own,
        "passes": training.passes,
        "ranks": engine.dp_world_size,
        "model_dtype": next(iter(own.values())).dtype,
        "grad_accum_dtype": engine.get_data_types()[1],
        "overlap_comm": engine.zero_overlap_comm(),
        "communication_data_type": engine.communication_data_type,
        "zero_stage": engine.zero_optimization_stage(),
    }
    engine.destroy()
    return result


def words_used() -> torch.Tensor:
    """All that rows of tokens hold: neither padding, nor the mask, nor one word more."""
    trained_rows.MOST = 1.0
    used = torch.ones(64, dtype=torch.bool)
    used[[tiny.VOCABULARY.pad, 3, tiny.VOCABULARY.mask]] = False
    return used


def in_precision(name: str, out: Path, world: World) -> str:
    """A shipped DeepSpeed configuration's name, or a file: the shipped one of bf16 turned to fp32."""
    if name in ("zero2_fp32",) or not name.endswith("fp32"):
        return name
    file = out.parent / f"{name}-{world.rank}.json"
    settings = json.loads((resources.files(CONFIGS) / f"{name.replace('fp32', 'bf16')}.json").read_text())
    file.write_text(json.dumps({**settings, "bf16": {"enabled": False}}))
    return str(file)


def signal_in(step: int) -> None:
    """From now on, the last rank is asked to stop in the middle of this step, counted from 1."""

    def signalled(engine: Any, work: Work, batches: Any, rate: float, state: TrainState, *others: Any) -> bool:
        if state.step == step - 1 and current().rank == current().size - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return take_step(engine, work, batches, rate, state, *others)

    loop.take_step = signalled


class Training:
    """One phase's engine, streams and hooks, put together as the product's phases do; resumes where it can.

    Attributes:
        state: where it starts, from the newest checkpoint if there is one; logged: metrics by the steps it does.
    """

    def __init__(self, model: MultiTaskModel, tasks: list[str], config: TrainConfig, world: World, out: Path) -> None:
        sizes = [tiny.ROWS[task] for task in tasks]
        self.config, self.world, self.run = config, world, RunFolder(out)
        self.plan, self.mixture = derive(config, sizes, world.size), plan_mixture(probabilities(sizes), tiny.STEPS, 0)
        self.streams = [tiny.stream(task, int(config.max_micro_tokens)) for task in tasks]
        self.heads = [head_name(get_task(task)) for task in tasks]
        self.logged: list[dict[str, float]] = []
        self.warnings: list[str] = []
        settings = deepspeed_config(config.deepspeed, config, self.plan)
        self.whole = copy.deepcopy(model) if settings["zero_optimization"]["stage"] == 3 else None
        self.engine = start_engine(model.to(world.device), settings, config, world)
        self.state, chosen = self.resumed(DATA)
        self.selection = Selection(config, self.plan, chosen)

    def resumed(self, data: str) -> tuple[TrainState, list[torch.Tensor]]:
        """Load the newest good checkpoint."""
        return resume(self.run, self.engine, data, self.world, self.warnings.append)

    @property
    def passes(self) -> int:
        """Micro-batches of all steps."""
        work = Work(self.streams, self.heads, self.mixture, self.plan, self.config)
        return sum(len(work.batches(step, self.world).micro_batches) for step in range(self.plan.steps))

    def finish(self) -> TrainState:
        """Train to the plan's last step."""
        work = Work(self.streams, self.heads, self.mixture, self.plan, self.config, seed=100)
        return train(self.engine, work, self.state, self.selection, self.world, self)

    def weights(self) -> dict[str, torch.Tensor]:
        """What would be exported: whole fp32 parameters, on rank 0."""
        return gather_weights(self.engine, self.selection.weights(self.engine), owned_state(self.engine).pieces)

    def save(self, state: TrainState) -> None:
        """Take a checkpoint if the training is one that saves."""
        if self.config.save_every:
            save(self.run, self.engine, state, self.selection.chosen, self.world, self.config.keep)

    def score_dev(self, state: TrainState) -> DevScore:
        """There is no dev."""
        return DevScore(None)

    def log(self, state: TrainState, values: dict[str, float]) -> None:
        """Keep what was logged."""
        self.logged.append({"step": state.step, **values})


def failure(model: MultiTaskModel, precision: str, world: World, out: Path, allowed: int = 0) -> dict[str, Any]:
    """Train a model that cannot be trained, with a checkpoint after every step; how that ended on this rank."""
    config = tiny.train_config(precision, world.size, 1, save_every=1, max_skipped=allowed)
    training = Training(model, ["xnli"], config, world, out)
    try:
        training.finish()
    except UserError as error:
        ended = {"message": str(error), "code": error.code}
    else:
        ended = {"message": "it trained to the end", "code": 0}
    training.engine.destroy()
    barrier()  # rank 0 may still be deleting the checkpoint before the last
    seen = {"step": training.state.step, "skipped": training.state.skipped, "logged": training.logged}
    return {**ended, **seen, "checkpoints": sorted(path.name for path in out.rglob("*step-*"))}


class NanOnce(MultiTaskModel):
    """Its loss is not a number in one step and on one rank only."""

    def __init__(self, step: int, rank: int) -> None:
        super().__init__(tiny.model(["xnli"]).encoder, [get_task("xnli")])
        self.left, self.rank = step, rank

    def forward(self, head: str, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        loss = super().forward(head, batch)
        self.left -= 1
        return loss * float("nan") if self.left == 0 and current().rank == self.rank else loss


def with_nan_weight() -> MultiTaskModel:
    """A model whose every loss is not a number."""
    model = tiny.model(["xnli"])
    with torch.no_grad():
        next(iter(model.heads.parameters()))[0, 0] = float("nan")
    return model


class FiniteLossNanGradient(MultiTaskModel):
    """Its loss is an ordinary number; its gradient, that of a root at zero, is not."""

    def __init__(self) -> None:
        super().__init__(tiny.model(["xnli"]).encoder, [get_task("xnli")])

    def forward(self, head: str, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        loss = super().forward(head, batch)
        return loss + (loss - loss).sqrt()
