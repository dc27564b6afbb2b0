"""One run from start to finish: load the start, train, export, score; what is done is skipped. Every rank calls it.

start (parent's export, encoder, or fresh weights) -> engine -> loop -> model/ -> results.jsonl
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from dist_stilts.conventions import OnProgress, fingerprint
from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.evaluate.conditions import training_of
from dist_stilts.evaluate.suite import Job, evaluate
from dist_stilts.experiment.optimise import optimise
from dist_stilts.experiment.plan import Run, folder_of
from dist_stilts.experiment.run_config import FROM_RANDOM, REUSE, TRUNK, Recipe
from dist_stilts.experiment.states import keep_state
from dist_stilts.experiment.status import claim, evaluation_id, is_done, place, read_status, versions, write_status
from dist_stilts.experiment.training_data import TrainingData, data_root, load_training_data
from dist_stilts.layout import RunFolder, is_complete, whole_folder
from dist_stilts.model.carry_over import carry_over, without_language_model
from dist_stilts.model.encoder import (
    LoadReport,
    Provenance,
    encoder_digest,
    export,
    load_encoder,
    load_tokenizer,
    new_encoder,
    read_provenance,
    set_dropout,
)
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.parallel.collectives import any_rank, barrier, broadcast_value
from dist_stilts.parallel.once import hold
from dist_stilts.parallel.preemption import Preempted
from dist_stilts.parallel.watch import last_words
from dist_stilts.parallel.world import World, lost_rank
from dist_stilts.report.monitor import Progress, record_final, say
from dist_stilts.results.record import ResultRecord, Training
from dist_stilts.train.stability import next_seed


class Busy(UserError):
    """Another program works at the run; on every rank alike."""


def run_phase(run: Run, recipe: Recipe, world: World) -> None:
    """Do what is left to do of a run.

    Raises:
        Busy: another program does it.
        UserError: anything else that the user can mend; the status says so too.
    """
    folder = folder_of(recipe).run(run.name)
    if is_done(run, folder, recipe.evaluation):
        return
    lock = hold(folder.lock) if world.is_main else None
    if any_rank(world.is_main and lock is None):
        raise Busy("another program is working here", where=folder.path, fix="Wait for it, or choose another name=…")
    started, before = time.monotonic(), read_status(folder) if world.is_main else {}
    if world.is_main:
        claim(run, folder)
        starts = before.get("starts", 0) + 1
        write_status(
            folder, "running", run_id=run.id, starts=starts, world_size=world.size, versions=versions(), place=place()
        )
    barrier()
    try:
        with last_words(partial(_lost, folder, world)):
            if has_own_model(run) and not is_complete(folder.model):
                train_phase(run, recipe, folder, world)
            if world.is_main:
                keep_state(run, folder)
            score_phase(run, recipe, folder, world)
    except Exception as error:
        if world.is_main:
            state = "queued" if isinstance(error, Preempted) else "failed"
            with suppress(OSError):  # a full disk is what the error says; it must not be lost over this
                reason = str(lost_rank(error) or error)
                ended = {"starts": before.get("starts", 0)} if state == "queued" else {}
                write_status(folder, state, reason=reason, code=getattr(error, "code", EXIT_FAILED), **ended)
        raise
    else:
        if world.is_main:
            seconds = round(before.get("seconds", 0) + time.monotonic() - started, 1)
            write_status(folder, "done", evaluated=evaluation_id(run, recipe.evaluation), starts=0, seconds=seconds)
    finally:
        if lock:
            lock.release()
    barrier()


def _lost(folder: RunFolder, world: World, reason: str) -> None:
    """Say in the status that this job ends because of another rank."""
    if world.is_main:
        with suppress(OSError):
            write_status(folder, "failed", reason=reason, code=EXIT_FAILED)


def has_own_model(run: Run) -> bool:
    """Whether the run exports a model; one that only scores its start uses the start's."""
    return bool(run.tasks) or run.start == FROM_RANDOM


def model_path(run: Run, recipe: Recipe) -> str:
    """Folder or Hub name of the model that the run scores."""
    if has_own_model(run):
        return str(folder_of(recipe).run(run.name).model)
    return model_path(run.parent, recipe) if run.parent else str(recipe.encoder.path)


def train_phase(run: Run, recipe: Recipe, folder: RunFolder, world: World) -> None:
    """Train from the newest checkpoint, or from the start, to the end, and export the model."""
    tokenizer = recipe_tokenizer(recipe)
    data = load_training_data(run, recipe, tokenizer, bar(world), may_build=world.size == 1)
    if run.tasks:
        model, before = train_until_sound(run, recipe, folder, tokenizer, data, world)
    else:
        model, before = start_model(run, recipe, tokenizer, data, world)
    if world.is_main:
        provenance = provenance_of(run, data, before, encoder_digest(model.encoder))
        with whole_folder(folder.model) as temporary:
            export(temporary, model.encoder, model.heads, tokenizer, provenance)
        write_status(folder, "running", digest=provenance.digest)
    barrier()


def train_until_sound(
    run: Run, recipe: Recipe, folder: RunFolder, tokenizer: Any, data: TrainingData, world: World
) -> tuple[MultiTaskModel, Provenance]:
    """Train, and again with the next seed while the run is degenerate and the recipe allows it; all is recorded.

    Returns:
        The model, trained on rank 0 only, and the provenance of its start, with why it is degenerate if it is.
    """
    goes_on_from = folder_of(recipe).run(run.parent.name).state if run.parent and run.continues else None
    failed: list[dict[str, Any]] = broadcast_value(read_status(folder).get("restarted", []))
    while True:
        seed = next_seed(run.seed, len(failed))
        attempt = replace(run, seed=seed, head_seed=seed if run.head_seed == run.seed else run.head_seed)
        model, before = start_model(attempt, recipe, tokenizer, data, world)
        own = replace(data, revision=fingerprint([data.revision, len(failed)]))  # checkpoints of one attempt only
        trained = optimise(model, attempt, folder, tokenizer, own, recipe.evaluation, world, goes_on_from)
        if world.is_main:
            say(f"{run.name}: {trained.chosen}" + (f"; degenerate: {trained.degenerate}" if trained.degenerate else ""))
            outcome = {"seed": attempt.seed, "degenerate": trained.degenerate, "dev": trained.dev}
            write_status(folder, "running", **outcome, exported=trained.chosen)
        if not trained.degenerate or len(failed) == run.train.restarts:
            return trained.model, replace(before, degenerate=trained.degenerate)
        failed = [*failed, {"seed": attempt.seed, "degenerate": trained.degenerate}]
        if world.is_main:
            say(f"{run.name}: starting again with seed {next_seed(run.seed, len(failed))}")
            shutil.rmtree(folder.checkpoints, ignore_errors=True)  # before the note: a crash between loses time only
            write_status(folder, "running", restarted=failed)
        barrier()


def provenance_of(run: Run, data: TrainingData, before: Provenance, digest: str) -> Provenance:
    """What the run's model is: its start's history, and this phase."""
    trained_on = list(before.trained_on)
    heads = {name: list(tasks) for name, tasks in before.heads.items()}
    for spec, task, examples in zip(data.specs, run.tasks.values(), data.examples, strict=True):
        heads[head_name(spec)] = list(dict.fromkeys([*heads.get(head_name(spec), []), spec.name]))
        entry = {"phase": run.phase, "role": run.role, "task": spec.name, "examples": examples}
        trained_on.append({**entry, "split": task.split, "languages": task.languages})
    return replace(before, digest=digest, trained_on=trained_on, heads=heads)


def recipe_tokenizer(recipe: Recipe) -> Any:
    """The tokenizer that the recipe names: its own, the simulated world's, or the encoder's."""
    root = data_root(recipe)
    if recipe.encoder.tokenizer == "simulated" and root:
        return load_tokenizer(str(root / "tokenizer"))
    name = recipe.encoder.tokenizer or recipe.encoder.path
    if not name:
        raise UserError("nothing says which tokenizer to use", fix="Set encoder.path=MODEL or encoder.tokenizer=FOLDER")
    return load_tokenizer(name, recipe.encoder.revision)


def start_model(
    run: Run, recipe: Recipe, tokenizer: Any, data: TrainingData, world: World
) -> tuple[MultiTaskModel, Provenance]:
    """The run's model before its first step, and what is then known of it; says what was loaded (law 8).

    Fresh heads are drawn from ``head_seed`` alone, so that they are the same on every rank of any number.
    """
    path, revision, before = None, None, None
    if run.start == FROM_RANDOM:
        encoder = new_encoder(recipe.encoder.config, recipe.encoder.path, recipe.encoder.revision, tokenizer, run.seed)
        report = LoadReport([], sorted(encoder.state_dict()), [])
    else:
        path = model_path(run.parent, recipe) if run.parent else str(recipe.encoder.path)
        revision = recipe.encoder.revision if path == recipe.encoder.path else None
        before = read_provenance_of(path)
        expected = read_status(folder_of(recipe).run(run.parent.name)).get("digest") if run.parent else None
        encoder, report = load_encoder(path, revision, expected or (before.digest if before else None))
    if recipe.encoder.dropout is not None:
        set_dropout(encoder, recipe.encoder.dropout)
    torch.manual_seed(run.head_seed)
    model = MultiTaskModel(encoder, data.specs)
    heads = carry_over(model.heads, encoder.config, path, revision, reuse=run.heads == REUSE)
    if world.is_main:
        say(f"{run.name}: start {run.start}; {without_language_model(report, heads).line()}; {heads.line()}")
        write_status(folder_of(recipe).run(run.name), "running", heads=asdict(heads))
    began = before if run.continues else None  # one training, in parts
    return model, Provenance(
        run.name,
        run.id,
        run.origin,
        digest="",
        trained_on=list(before.trained_on) if before else [],
        heads={name: list(before.heads.get(name, [])) for name in heads.loaded} if before else {},
        start=began.start if began else before.digest if before else encoder_digest(encoder) if world.is_main else "",
        start_heads=began.start_heads if began else encoder_digest(model.heads),
        carried=asdict(heads),
    )


def score_phase(run: Run, recipe: Recipe, folder: RunFolder, world: World) -> None:
    """Score the run's model on what it should be scored on and is not yet."""
    if not run.evaluate:
        return
    path = model_path(run, recipe)
    provenance = read_provenance_of(path)
    job = Job(
        path,
        run.evaluate,
        recipe.evaluation,
        data_root(recipe),
        folder_of(recipe).prepared,
        recipe.data.max_length,
        folder.results,
        folder.predictions,
        folder.embeddings,
        run.inputs,
        recipe.data.qa,
        conditions_of(run, provenance, broadcast_value(_training_story(run, recipe))),
        versions(),
    )
    records = evaluate(job, world, bar(world))
    if world.is_main:
        shutil.rmtree(folder.embeddings, ignore_errors=True)  # gigabytes, and every score of them is recorded
    if world.is_main and run.tasks:
        record_final(folder, int(read_status(folder).get("step", 0)), mean_scores(records))


def mean_scores(records: list[ResultRecord]) -> dict[str, float]:
    """Each task's main score, the mean over its languages, for TensorBoard."""
    found: dict[str, list[float]] = {}
    for record in records:
        if record.main and record.value is not None:
            found.setdefault(f"{record.task} {record.split}", []).append(record.value)
    return {f"{name} (mean of {len(values)})": sum(values) / len(values) for name, values in found.items()}


def _training_story(run: Run, recipe: Recipe) -> Training:
    """The seed that the run was trained with in the end, its score on English dev, and why it or one before it is
    degenerate, if so. A trunk is on its way: whether it led to anything shows in its branches."""
    statuses = {
        ancestor.name: read_status(folder_of(recipe).run(ancestor.name))
        for ancestor in run.lineage()
        if ancestor.role != TRUNK or ancestor is run
    }
    reasons = [f"run {name}, {status['degenerate']}" for name, status in statuses.items() if status.get("degenerate")]
    own = statuses[run.name]
    return Training(
        seed=own.get("seed", run.seed),
        restarts=len(own.get("restarted", [])),
        dev=own.get("dev"),
        collapsed="; ".join(reasons) or None,
    )


def conditions_of(run: Run, provenance: Provenance | None, story: Training) -> Training:
    """What every record of a run says of it."""
    return replace(
        training_of(provenance, run.phase, run.role),
        run=run.name,
        run_id=run.id,
        branched=any(ancestor.role == TRUNK for ancestor in run.lineage()),
        seed=story.seed,
        planned_seed=run.seed,
        subset_seed=subset_seed_of(run),
        restarts=story.restarts,
        dev=story.dev,
        collapsed=story.collapsed,
        train=asdict(run.train),
    )


def subset_seed_of(run: Run) -> int:
    """The seed by which the intermediate data were chosen, if the run or one before it has such; else its own."""
    seeds = [ancestor.subset_seed for ancestor in run.lineage() if ancestor.role == "intermediate"]
    return seeds[-1] if seeds else run.subset_seed


def read_provenance_of(path: str) -> Provenance | None:
    """Provenance of a local folder; None for models of the Hub."""
    return read_provenance(Path(path)) if Path(path).is_dir() else None


def bar(world: World) -> OnProgress:
    """A progress callback that makes a new bar whenever the work changes; silent on all ranks but one."""
    bars: dict[str, Progress] = {}

    def update(what: str, done: int, total: int) -> None:
        title = what.split(" ")[0]
        if title not in bars:
            bars[title] = Progress(title, total, silent=not world.is_main)
        bars[title].update(done, what.removeprefix(title).strip())
        if total and done >= total:
            bars.pop(title).__exit__()

    return update
