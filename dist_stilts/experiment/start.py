"""What a run starts from, and what its model is: the start's history and this phase (law 8)."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from dist_stilts.experiment.fits import check_fit, length_notes
from dist_stilts.experiment.plan import Run, folder_of
from dist_stilts.experiment.run_config import FROM_RANDOM, REUSE, Recipe
from dist_stilts.experiment.status import read_status
from dist_stilts.experiment.training_data import TrainingData
from dist_stilts.model.carry_over import carry_over, without_heads
from dist_stilts.model.encoder import LoadReport, load_encoder, new_encoder, set_dropout
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.provenance import Provenance, Seen, read_provenance, require_intact, weights_digest
from dist_stilts.model.trial import try_heads
from dist_stilts.parallel.world import World
from dist_stilts.report.progress import say


def has_own_model(run: Run) -> bool:
    """Whether the run exports a model; one that only scores its start uses the start's."""
    return bool(run.tasks) or run.start == FROM_RANDOM


def model_path(run: Run, recipe: Recipe) -> str:
    """Folder or Hub name of the model that the run scores."""
    if has_own_model(run):
        return str(folder_of(recipe).run(run.name).model)
    return model_path(run.parent, recipe) if run.parent else str(recipe.encoder.path)


def start_model(
    run: Run, recipe: Recipe, tokenizer: Any, data: TrainingData, world: World
) -> tuple[MultiTaskModel, Provenance]:
    """The run's model before its first step, and what is then known of it; says what was loaded (law 8).

    Fresh heads are drawn from ``head_seed`` alone, so that they are the same on every rank of any number.
    """
    path, revision, labels, before = None, None, None, None
    if run.start == FROM_RANDOM:
        encoder = new_encoder(recipe.encoder.config, recipe.encoder.path, recipe.encoder.revision, tokenizer, run.seed)
        report = LoadReport([], sorted(encoder.state_dict()), [])
    else:
        path = model_path(run.parent, recipe) if run.parent else str(recipe.encoder.path)
        own = path == recipe.encoder.path
        revision, labels = (recipe.encoder.revision, recipe.encoder.labels) if own else (None, None)
        before = read_provenance_of(path)
        require_intact(Path(path), before)
        expected = read_status(folder_of(recipe).run(run.parent.name)).digest if run.parent else None
        encoder, report = load_encoder(path, revision, expected or (before.digest if before else None))
    if recipe.encoder.dropout is not None:
        set_dropout(encoder, recipe.encoder.dropout)
    torch.manual_seed(run.head_seed)
    model = MultiTaskModel(encoder, data.specs)
    heads = carry_over(model, data.specs, path, revision, labels, reuse=run.heads == REUSE)
    check_fit(run, recipe, encoder, tokenizer, data)
    try_heads(model, path or "encoder.config")
    if world.is_main:
        for note in length_notes(run, recipe, tokenizer.model_max_length):
            say(f"{run.name}: note: {note}")
        left = without_heads(report, [model.head(name) for name in heads.loaded])
        if before:  # of ours: what the encoder does not read are the heads, of which the other line speaks
            left = replace(left, dropped=[])
        say(f"{run.name}: start {run.start}; {left.line()}; {heads.line()}")
    began = before if run.continues else None  # one training, in parts
    return model, Provenance(
        run.name,
        run.id,
        run.origin,
        digest="",
        trained_on=list(before.trained_on) if before else [],
        heads={name: list(before.heads.get(name, [])) for name in heads.loaded} if before else {},
        start=began.start if began else before.digest if before else weights_digest(encoder) if world.is_main else "",
        start_heads=began.start_heads if began else weights_digest(model.heads, model.encoder),
        carried=asdict(heads),
    )


def provenance_of(run: Run, data: TrainingData, before: Provenance, digest: str) -> Provenance:
    """What the run's model is: its start's history, and this phase."""
    trained_on = list(before.trained_on)
    heads = {name: list(tasks) for name, tasks in before.heads.items()}
    for spec, task, examples in zip(data.specs, run.tasks.values(), data.examples, strict=True):
        heads[head_name(spec)] = list(dict.fromkeys([*heads.get(head_name(spec), []), spec.name]))
        entry = Seen(phase=run.phase, role=run.role, task=spec.name, examples=examples, split=task.split)
        trained_on.append({**entry, "languages": task.languages})
    return replace(before, digest=digest, trained_on=trained_on, heads=heads)


def read_provenance_of(path: str) -> Provenance | None:
    """Provenance of a local folder; None for models of the Hub."""
    return read_provenance(Path(path)) if Path(path).is_dir() else None
