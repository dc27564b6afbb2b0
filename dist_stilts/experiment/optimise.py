"""Train one model on one run's data: plan, engine, loop, and the weights to export; from the newest checkpoint on."""

from __future__ import annotations

import copy
import gc
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dist_stilts.conventions import fingerprint
from dist_stilts.data.batches import words_used
from dist_stilts.data.mixture import plan as plan_mixture
from dist_stilts.errors import UserError
from dist_stilts.evaluate.suite import EvaluationConfig
from dist_stilts.experiment.claim import Claim
from dist_stilts.experiment.hooks import PhaseHooks
from dist_stilts.experiment.plan import Run
from dist_stilts.experiment.run_config import TRUNK
from dist_stilts.experiment.training_data import TrainingData, nothing_to_learn, streams
from dist_stilts.families.kinds import family_of
from dist_stilts.layout import RunFolder
from dist_stilts.model.encoder import checkpoint_activations
from dist_stilts.model.flops import training_flops_per_token
from dist_stilts.model.heads import MLM, head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.packing import packs
from dist_stilts.model.trained_rows import all_rows, train_only
from dist_stilts.parallel.collectives import gather_values
from dist_stilts.parallel.world import World
from dist_stilts.report.monitor import Monitor, say
from dist_stilts.train.checkpoint import resume
from dist_stilts.train.engine import FILLED_IN, deepspeed_config, start_engine
from dist_stilts.train.loop import Work, train
from dist_stilts.train.memory import engine_bytes, training_dtype
from dist_stilts.train.micro_batch import probe, remembered
from dist_stilts.train.owned_state import gather_weights, has_weights, owned_state
from dist_stilts.train.plan import BatchPlan, derive, task_probabilities
from dist_stilts.train.selection import Selection
from dist_stilts.train.shards import first_not_finite
from dist_stilts.train.stability import degenerate, refuse_not_finite
from dist_stilts.writing import write_text


@dataclass(frozen=True)
class Trained:
    """What training led to.

    Attributes:
        model: on rank 0 with the fp32 weights to export, on the CPU; of no use on the others.
        degenerate: why the run has learned nothing, if so.
        dev: score on English dev, percent, if the tasks have it.
        chosen: which weights these are, for people.
    """

    model: MultiTaskModel
    degenerate: str | None
    dev: float | None
    chosen: str


def optimise(
    model: MultiTaskModel,
    run: Run,
    claim: Claim,
    tokenizer: Any,
    data: TrainingData,
    scoring: EvaluationConfig,
    world: World,
    before: Path | None = None,
) -> Trained:
    """Train the model; every rank must call it.

    Args:
        scoring: how English dev is scored on the way.
        before: last checkpoint of the run that this one goes on from, if it does.

    Raises:
        UserError: training that fails (see the loop); nothing fits; ``before`` is damaged, or not of this model.
    """
    if world.device.type == "cpu" and not packs(model.encoder):  # fused attention's bf16 backward is slow there
        model.encoder.set_attn_implementation("eager")
    if run.train.checkpoint_activations:
        checkpoint_activations(model.encoder)
    folder, embeddings = claim.folder, only_words_used(model, run, data)
    if embeddings:  # checkpoints hold other parameters than with all of them
        data = replace(data, revision=fingerprint([data.revision, "words used"]))
    work = plan_work(model, run, folder, tokenizer, data, world)
    config, plan = work.config, work.plan
    settings = deepspeed_config(config.deepspeed, config, plan)
    if world.is_main:
        announce(run, folder, data, plan, settings)
    whole = copy.deepcopy(model) if settings["zero_optimization"]["stage"] == 3 else None
    loaded = weights_of(model) if before and world.is_main else {}
    engine = start_engine(model.to(world.device), settings, config, world)
    state, chosen = resume(folder, engine, data.revision, world, say, before)
    if before and state.step == 0 and not has_weights(engine, loaded):
        fix = "Delete the folder of that run; the same command trains it again"
        raise UserError("the optimiser's state to go on from is not that of the model beside it", where=before, fix=fix)
    selection = Selection(config, plan, chosen)
    with Monitor(folder, run.name, plan.steps, state.step, world.is_main, world.size) as monitor:
        monitor.hyperparameters({"start": run.start, "seed": run.seed, **asdict(run.train), "ranks": world.size})
        hooks = PhaseHooks(
            engine,
            whole,
            run,
            claim,
            data,
            scoring,
            plan,
            world,
            monitor,
            selection,
            flops_per_token(model, data, work),
            began=time.perf_counter() - state.wall_seconds,
        )
        train(engine, work, state, selection, world, hooks)
        report = hooks.close(state)
    if world.is_main:
        say(report)
    exported = selection.weights(engine)
    refuse_not_finite(state.step, gather_values(first_not_finite(engine, exported)))
    weights = gather_weights(engine, exported, owned_state(engine).pieces)
    engine.destroy()
    gc.collect()
    model = (whole or model).to("cpu", torch.float32)
    if world.is_main:
        if embeddings:
            weights = all_rows(model, model.encoder, embeddings, weights)
        assert weights.keys() == dict(model.named_parameters()).keys()
        model.load_state_dict(weights, strict=False)  # buffers are not trained
    # Of rows that are all alike a constant answer is learned, which looks well where the scored rows are alike, too.
    collapsed = nothing_to_learn(data) or state.collapsed
    verdict = degenerate(state.losses, losses_of_guessing(data), collapsed)
    return Trained(model, verdict, state.dev, selection.line(state))


def only_words_used(model: MultiTaskModel, run: Run, data: TrainingData) -> nn.Embedding | None:
    """Leave the embeddings of words that the data do not have out of training, where that changes nothing.

    It would where all words are predicted, where a batch is padded, and where runs hand their optimiser's state on.

    Returns:
        The embeddings as they were, if they were changed.
    """
    if MLM in model.heads or not packs(model.encoder) or run.continues or run.role == TRUNK:
        return None
    vocabulary = len(model.encoder.get_input_embeddings().weight)
    return train_only(model.encoder, torch.from_numpy(words_used(data.features, data.rows, vocabulary)))


def plan_work(
    model: MultiTaskModel, run: Run, folder: RunFolder, tokenizer: Any, data: TrainingData, world: World
) -> Work:
    """What is trained on at which step, and the numbers that follow from the recipe and the ranks."""
    config = run.train
    if config.max_micro_tokens == "auto":  # found once per number of ranks: a resumed run must add up in the same order
        found = remembered(folder.micro_tokens, world, lambda: fitting(model, run, data, tokenizer, world))
        config = replace(config, max_micro_tokens=found)
    sizes = [len(rows) for rows in data.rows]
    plan = derive(config, sizes, world.size, run.shares)
    mixture = plan_mixture(task_probabilities(config, sizes, run.shares), plan.steps, run.order_seed)
    heads = [head_name(spec) for spec in data.specs]
    batches = streams(data, run, tokenizer, int(config.max_micro_tokens), packs(model.encoder))
    return Work(batches, heads, mixture, plan, config, run.order_seed)


def fitting(model: MultiTaskModel, run: Run, data: TrainingData, tokenizer: Any, world: World) -> int:
    """The most tokens per forward pass that fit on every rank."""
    whole = derive(run.train, [len(rows) for rows in data.rows], world.size, run.shares)
    settings = deepspeed_config(run.train.deepspeed, run.train, whole)
    works = list(zip(map(head_name, data.specs), streams(data, run, tokenizer, 1, packs(model.encoder)), strict=True))
    sizes = [parameter.numel() for parameter in model.parameters()]
    reserve = engine_bytes(sizes, world.size, settings, world.device)
    return probe(model, works, whole.rows_per_rank, reserve, training_dtype(settings), world)


def weights_of(model: MultiTaskModel) -> dict[str, torch.Tensor]:
    """Copies of the parameters, which the engine is about to round."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def announce(run: Run, folder: RunFolder, data: TrainingData, plan: BatchPlan, settings: dict[str, Any]) -> None:
    """Say what is trained on and how; keep the DeepSpeed configuration as it was filled in."""
    cut = ", ".join(f"{share:.1%} of {task} truncated" for task, share in data.truncated.items())
    say(f"{run.name}: {sum(data.examples)} examples; {plan.line()}; {cut}")
    for task, why in nothing_to_learn(data).items():
        say(f"{run.name}: nothing can be learned of {task}: {why}")
    write_text(folder.deepspeed, json.dumps(settings, indent=2) + "\n")
    filled = ", ".join(f"{key} {settings[key]}" for key in FILLED_IN)
    say(f"{run.name}: DeepSpeed {run.train.deepspeed} with {filled}: {folder.deepspeed}")


def losses_of_guessing(data: TrainingData) -> dict[str, float]:
    """The loss of guessing of the tasks whose kind knows it."""
    parts = zip(data.specs, data.features, data.rows, strict=True)
    found = {spec.name: family_of(spec).loss_of_guessing(spec, features, rows) for spec, features, rows in parts}
    return {task: loss for task, loss in found.items() if loss is not None}


def flops_per_token(model: MultiTaskModel, data: TrainingData, work: Work) -> float | None:
    """Floating-point operations of training per real token, averaged over the tokens of all steps; None if unknown."""
    costs, weights = [], []
    for task, (spec, features, rows) in enumerate(zip(data.specs, data.features, data.rows, strict=True)):
        lengths = np.concatenate([features.lengths[row] for row in rows[:1000]]).astype(float)
        predicted = work.config.mlm_rate if family_of(spec).predicts_words else 0.0
        costs.append(training_flops_per_token(model.encoder.config, (lengths**2).sum() / lengths.sum(), predicted))
        weights.append((work.mixture.task == task).sum() * features.tokens[rows].mean())
    known = [cost for cost in costs if cost is not None]
    return float(np.average(known, weights=weights)) if len(known) == len(costs) else None
