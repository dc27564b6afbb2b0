"""One run from start to finish: load the start, train, export, score; what is done is skipped. Every rank calls it.

start (parent's export, encoder, or fresh weights) -> engine -> loop -> model/ -> results.jsonl
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from dist_stilts.conventions import fingerprint
from dist_stilts.evaluate.conditions import training_of
from dist_stilts.evaluate.suite import Job, evaluate
from dist_stilts.experiment.cards import write_cards
from dist_stilts.experiment.claim import Claim, claimed
from dist_stilts.experiment.optimise import optimise
from dist_stilts.experiment.plan import Run, folder_of
from dist_stilts.experiment.run_config import TRUNK, Recipe
from dist_stilts.experiment.start import has_own_model, model_path, provenance_of, read_provenance_of, start_model
from dist_stilts.experiment.states import keep_state
from dist_stilts.experiment.status import Attempt, RunStatus, is_done, statuses, versions
from dist_stilts.experiment.training_data import (
    TrainingData,
    data_root,
    load_training_data,
    nothing_to_learn,
    recipe_tokenizer,
)
from dist_stilts.model.export import export
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.provenance import Provenance, read_provenance, weights_digest
from dist_stilts.parallel.collectives import any_rank, barrier, broadcast_value
from dist_stilts.parallel.world import World
from dist_stilts.report.monitor import record_final
from dist_stilts.report.progress import bar, say
from dist_stilts.results.record import ResultRecord, Training
from dist_stilts.results.settings import OF_TARGET, tell_apart
from dist_stilts.train.stability import next_seed
from dist_stilts.writing import is_complete, whole_folder


def run_phase(run: Run, recipe: Recipe, world: World, command: str) -> None:
    """Do what is left to do of a run.

    Args:
        command: what a user typed to have it done, for the model's card.

    Raises:
        Busy: another program does it.
        UserError: anything else that the user can mend; the status says so too.
    """
    folder = folder_of(recipe).run(run.name)
    if any_rank(world.is_main and is_done(run, folder, recipe.evaluation)):
        return
    with claimed(run, folder, recipe.evaluation, world) as claim:
        if has_own_model(run) and not is_complete(folder.model):
            train_phase(run, recipe, claim, world, command)
        else:
            claim.status = recalled(run, recipe, claim.status)
            claim.note()
        if world.is_main:
            keep_state(run, folder)
        score_phase(run, recipe, claim, world, command)


def train_phase(run: Run, recipe: Recipe, claim: Claim, world: World, command: str) -> None:
    """Train from the newest checkpoint, or from the start, to the end, and export the model."""
    tokenizer = recipe_tokenizer(recipe)
    data = load_training_data(run, recipe, tokenizer, bar(not world.is_main), may_build=world.size == 1)
    if run.tasks:
        model, before = train_until_sound(run, recipe, claim, tokenizer, data, world)
    else:
        model, before = start_model(run, recipe, tokenizer, data, world)
    if world.is_main:
        provenance = provenance_of(run, data, before, weights_digest(model.encoder))
        with whole_folder(claim.folder.model) as temporary:
            export(temporary, model, tokenizer, provenance)
            write_cards(run, recipe, temporary, provenance, command)
        claim.note(digest=provenance.digest, heads=before.carried)
    barrier()


def train_until_sound(
    run: Run, recipe: Recipe, claim: Claim, tokenizer: Any, data: TrainingData, world: World
) -> tuple[MultiTaskModel, Provenance]:
    """Train, and again with the next seed while the run is degenerate and the recipe allows it; all is recorded. Where
    the data are the reason, no seed helps.

    Returns:
        The model, trained on rank 0 only, and the provenance of its start, with why it is degenerate if it is.
    """
    goes_on_from = folder_of(recipe).run(run.parent.name).state if run.parent and run.continues else None
    while True:
        failed = claim.status.restarted
        seed = next_seed(run.seed, len(failed))
        attempt = replace(run, seed=seed, head_seed=seed if run.head_seed == run.seed else run.head_seed)
        model, before = start_model(attempt, recipe, tokenizer, data, world)
        claim.note(heads=before.carried)
        own = replace(data, revision=fingerprint([data.revision, len(failed)]))  # checkpoints of one attempt only
        trained = optimise(model, attempt, claim, tokenizer, own, recipe.evaluation, world, goes_on_from)
        claim.note(seed=seed, degenerate=trained.degenerate, dev=trained.dev, exported=trained.chosen)
        if world.is_main:
            say(f"{run.name}: {trained.chosen}" + (f"; degenerate: {trained.degenerate}" if trained.degenerate else ""))
        if not trained.degenerate or len(failed) == run.train.restarts or nothing_to_learn(data):
            return trained.model, replace(before, degenerate=trained.degenerate)
        if world.is_main:
            say(f"{run.name}: starting again with seed {next_seed(run.seed, len(failed) + 1)}")
            # before the note: a crash between loses time only
            shutil.rmtree(claim.folder.checkpoints, ignore_errors=True)
        claim.note(restarted=(*failed, Attempt(seed, trained.degenerate)))
        barrier()


def score_phase(run: Run, recipe: Recipe, claim: Claim, world: World, command: str) -> None:
    """Score the run's model on what it should be scored on and is not yet."""
    if not run.evaluate:
        return
    path = model_path(run, recipe)
    there = broadcast_value(statuses(run.lineage(), recipe) if world.is_main else {})
    known = {ancestor.name: recalled(ancestor, recipe, there[ancestor.name]) for ancestor in run.lineage()}
    job = Job(
        path,
        run.evaluate,
        recipe.evaluation,
        data_root(recipe),
        folder_of(recipe).prepared,
        recipe.data.max_length,
        claim.folder.results,
        claim.folder.predictions,
        claim.folder.embeddings,
        run.inputs,
        recipe.data.qa,
        conditions_of(run, read_provenance_of(path), _training_story(run, known)),
        versions(),
        recipe.encoder.revision if path == recipe.encoder.path else None,
        (recipe.encoder.labels or "") if path == recipe.encoder.path else "",
    )
    records = evaluate(job, world, bar(not world.is_main))
    if world.is_main:
        shutil.rmtree(claim.folder.embeddings, ignore_errors=True)  # gigabytes, and every score of them is recorded
        own = read_provenance(claim.folder.model)
        if own is not None:
            write_cards(run, recipe, claim.folder.model, own, command, records)
    if world.is_main and run.tasks:
        record_final(claim.folder, claim.status.step, mean_scores(records))


def mean_scores(records: list[ResultRecord]) -> dict[str, float]:
    """Each target's main score, the mean over its languages, for TensorBoard."""
    scored = [record for record in records if record.main and record.value is not None]
    names = tell_apart([f"{record.task} {record.split}" for record in scored], scored, OF_TARGET)
    found: dict[str, list[float]] = {}
    for name, record in zip(names, scored, strict=True):
        found.setdefault(name, []).append(record.number)
    return {f"{name} (mean of {len(values)})": sum(values) / len(values) for name, values in found.items()}


def recalled(run: Run, recipe: Recipe, status: RunStatus) -> RunStatus:
    """The status and, where somebody has deleted it since the training, what the run's model says of itself."""
    made = read_provenance(folder_of(recipe).run(run.name).model)
    if made is None or status.digest:
        return status
    return replace(status, digest=made.digest, heads=made.carried, degenerate=made.degenerate)


def _training_story(run: Run, known: Mapping[str, RunStatus]) -> Training:
    """The seed that the run was trained with in the end, its score on English dev, and why it or one before it is
    degenerate, if so. A trunk is on its way: whether it led to anything shows in its branches."""
    counted = [ancestor.name for ancestor in run.lineage() if ancestor.role != TRUNK or ancestor is run]
    reasons = [f"run {name}, {why}" for name in counted if (why := known[name].degenerate)]
    own = known[run.name]
    return Training(
        seed=run.seed if own.seed is None else own.seed,
        restarts=len(own.restarted),
        dev=own.dev,
        collapsed="; ".join(reasons) or None,
    )


def conditions_of(run: Run, provenance: Provenance | None, story: Training) -> Training:
    """What every record of a run says of it."""
    base = training_of(provenance, run.phase, run.role)
    return replace(
        base,
        run=run.name,
        run_id=run.id,
        branched=any(ancestor.role == TRUNK for ancestor in run.lineage()),
        seed=story.seed,
        planned_seed=run.seed,
        subset_seed=subset_seed_of(run),
        restarts=story.restarts,
        dev=story.dev,
        collapsed=story.collapsed or base.collapsed,
        train=asdict(run.train),
    )


def subset_seed_of(run: Run) -> int:
    """The seed by which the intermediate data were chosen, if the run or one before it has such; else its own."""
    seeds = [ancestor.subset_seed for ancestor in run.lineage() if ancestor.role == "intermediate"]
    return seeds[-1] if seeds else run.subset_seed
