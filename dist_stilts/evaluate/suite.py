"""Score one model on tasks, splits and languages: predictions to files, scores to records, only what is still missing.

    rows -> predict or embed (sharded) -> scoring -> predictions/<task>/<split>-<language>.tsv and results.jsonl

Every rank calls :func:`evaluate`; rank 0 writes. No number leaves without its conditions (law 11).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dist_stilts.conventions import JsonObject, OnProgress
from dist_stilts.data.prepare import Wanted, facts, prepare
from dist_stilts.errors import UserError
from dist_stilts.evaluate.conditions import model_of, reading, scoring, training_of, unscored
from dist_stilts.evaluate.embedding import Embedder
from dist_stilts.evaluate.outputs import Tally, as_predicted, with_matchings, within_reach
from dist_stilts.evaluate.predict import DTYPES, evaluation_dtype, predict
from dist_stilts.evaluate.retrieval import (
    RetrievalConfig,
    open_embedder,
    score_bucc,
    score_tatoeba,
    wanted_layers,
)
from dist_stilts.families.encoding import QaLengths
from dist_stilts.families.features import Features
from dist_stilts.families.kinds import family_of
from dist_stilts.families.score import Decoding, Score
from dist_stilts.layout import layer_folder, prediction_file
from dist_stilts.model.encoder import load_tokenizer, number_of_layers
from dist_stilts.model.fine_tuned import load_model
from dist_stilts.model.fit import require_embeddings
from dist_stilts.model.labels import Match
from dist_stilts.model.provenance import Provenance
from dist_stilts.parallel.collectives import broadcast_value
from dist_stilts.parallel.world import World
from dist_stilts.ranges import at_least, key, one_of, text
from dist_stilts.report.progress import say
from dist_stilts.results.files import append, read
from dist_stilts.results.record import PERCENT, THRESHOLD, Model, ResultRecord, Scoring, Training
from dist_stilts.tasks.registry import find_task
from dist_stilts.tasks.sources import (
    A_SPLIT,
    available_languages,
    base_of,
    check_language,
    check_source,
    data_revision,
    known_languages,
    load_bitext,
    load_rows,
    parse_split,
    task,
)
from dist_stilts.tasks.spec import RETRIEVAL, TaskSpec
from dist_stilts.writing import write_text


@dataclass
class EvaluationConfig:
    """How models are scored."""

    batch_size: int = key(64, at_least(1))
    """Rows per rank and forward pass."""
    n_best: int = key(20, at_least(1))
    """Answers kept per window and question."""
    longest_answer: int = key(30, at_least(1))
    """Most tokens of an answer."""
    dtype: str = key("auto", one_of("auto", *DTYPES))
    """`auto` (bf16 on GPU, fp32 on CPU), `float32` or `bfloat16`. Pooling and search are always exact to fp32."""
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)
    """How sentences are embedded and pairs are found."""


@dataclass
class EvalTask:
    """One task to score."""

    splits: list[str] = key(["test"], text(parse_split, f"such as {A_SPLIT}", fewest=1))
    """Splits or slices, such as `dev[60%:]`."""
    languages: list[str] = key(["all"], text(fewest=1))
    """Language codes, or `all` that the data has."""


@dataclass(frozen=True)
class Job:
    """What to score, on what, and where the results go.

    Attributes:
        model: folder of the model, or its name on the Hub, where ``revision`` is a commit, branch or tag.
        root: folder of the data, None for the Hub; prepared: folder of tokenised data.
        labels: what the model's outputs are, where their names do not tell (:mod:`dist_stilts.model.labels`).
        embeddings: folder of what retrieval has embedded; all of it can be deleted.
        training: how the model came to be; None for what its provenance tells.
        versions: by package, of what runs here.
    """

    model: str
    tasks: dict[str, EvalTask]
    config: EvaluationConfig
    root: Path | None
    prepared: Path
    max_length: int
    results: Path
    predictions: Path
    embeddings: Path
    inputs: str = "full"
    qa: QaLengths = field(default_factory=QaLengths)
    training: Training | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    revision: str | None = None
    labels: str = ""


@dataclass(frozen=True)
class Unit:
    """One thing to score: its scores share one pass over the data.

    Attributes:
        layer: retrieval only: the element of hidden_states that is read.
        matching: how the model's outputs become the task's labels.
    """

    spec: TaskSpec
    split: str
    language: str
    layer: int | None = None
    matching: Match | None = None


def evaluate(job: Job, world: World, progress: OnProgress | None = None) -> list[ResultRecord]:
    """Score everything that ``job.results`` does not hold yet, and return all that it then holds.

    Raises:
        UserError: unknown task, split or language; missing data; a model without the head; rows that were trained on.
    """
    wanted = with_matchings(units(job), job)
    job = within_reach(job, wanted, silent=not world.is_main)
    known = known_records(job) if world.is_main else []
    known_ids = {record.identity for record in known}
    scored, places = broadcast_value(_to_score(job, wanted, known, world) if world.is_main else (Model(), []))
    if missing := [wanted[place] for place in places]:
        specs = list({unit.spec.name: unit.spec for unit in missing if unit.spec.family not in RETRIEVAL}.values())
        model, tokenizer, provenance = load_model(job.model, specs, job.revision, job.labels)
        for unit in missing:
            refuse_trained_rows(unit, provenance)
        model.to(world.device, evaluation_dtype(job.config.dtype, world.device))
        embedder, tally = None, Tally()
        if layers := tuple(sorted({unit.layer for unit in missing if unit.layer is not None})):
            settings = job.config.retrieval
            embedder = open_embedder(
                model, tokenizer, layers, settings, job.max_length, job.embeddings, world, progress
            )
        for number, unit in enumerate(missing):
            if progress:
                progress(f"scoring {unit.spec.name} {unit.split} {unit.language}", number, len(missing))
            started = time.perf_counter()
            records = score(unit, job, model, tokenizer, embedder, world, tally)
            if world.is_main:
                circumstances = scoring(job, world, time.perf_counter() - started)
                records = completed(records, job, scored, provenance, circumstances)
                # Of a unit that was interrupted while it was recorded, the first scores stay as they are.
                append(job.results, [record for record in records if record.identity not in known_ids])
        if progress:
            progress("scoring", len(missing), len(missing))
        for line in tally.lines():
            say(line)
    return broadcast_value(known_records(job) if world.is_main else [])


def known_records(job: Job) -> list[ResultRecord]:
    """What the job's file holds."""
    return read(job.results) if job.results.exists() else []


def _to_score(job: Job, wanted: Sequence[Unit], known: Sequence[ResultRecord], world: World) -> tuple[Model, list[int]]:
    """Which model is scored, and the places of the units that it has yet to be scored on."""
    model = model_of(job.model, job.revision)
    return model, unscored(wanted, known, job, world, model)


def completed(
    records: Sequence[ResultRecord], job: Job, model: Model, provenance: Provenance | None, circumstances: Scoring
) -> list[ResultRecord]:
    """A unit's records with what is the same for all of a job."""
    training = job.training or training_of(provenance)
    same: dict[str, Any] = {"model": model, "training": training, "scoring": circumstances}
    return [replace(record, collapsed=record.collapsed or training.collapsed, **same) for record in records]


def prepare_job(job: Job, progress: OnProgress | None = None) -> list[JsonObject]:
    """Tokenise all rows that the job scores; returns what tokenising did. Retrieval reads its texts when it scores."""
    wanted = with_matchings(units(job), job)
    job = within_reach(job, wanted, silent=False)
    tokenizer = load_tokenizer(job.model, job.revision)
    found = [rows_of(unit, job) for unit in wanted if unit.spec.family not in RETRIEVAL]
    return [facts(rows, prepare(rows, tokenizer, job.prepared, progress)) for rows in found]


def rows_of(unit: Unit, job: Job) -> Wanted:
    """What is tokenised to score a unit."""
    return Wanted(unit.spec, job.root, unit.split, unit.language, job.max_length, job.inputs, job.qa)


def units(job: Job) -> Iterator[Unit]:
    """Expand the job's tasks into units, languages in the order of the task, English first."""
    for name, wanted in job.tasks.items():
        spec = task(name, job.root)
        if spec.family not in RETRIEVAL and not family_of(spec).has_gold:
            raise UserError(f"{name} has no score to evaluate", fix="Leave it out of evaluate")
        check_source(spec, job.root)
        for split in wanted.splits:
            layers: tuple[int | None, ...] = (None,)
            if spec.family in RETRIEVAL:
                layers = wanted_layers(job.config.retrieval.layer, number_of_layers(job.model, job.revision))
            for language in languages_of(spec, job.root, split, wanted.languages):
                yield from (Unit(spec, split, language, layer) for layer in layers)


def languages_of(spec: TaskSpec, root: Path | None, split: str, wanted: list[str]) -> list[str]:
    """Resolve ``all`` to what is there; check the others."""
    if wanted != ["all"]:
        for language in wanted:
            check_language(spec, root, language)
        return wanted
    if base_of(spec, root) is None:
        return list(known_languages(spec, root))
    found = available_languages(spec, root, parse_split(split).name)
    if not found:
        raise UserError(
            f"no files of {spec.name} {split} in any language",
            where=root,
            fix=f"Expected {f'below {root / spec.folders[0]}' if root else 'there'}: {' or '.join(spec.layouts)}",
        )
    return found


def score(
    unit: Unit, job: Job, model: Any, tokenizer: Any, embedder: Embedder | None, world: World, tally: Tally
) -> list[ResultRecord]:
    """Score one unit; every rank gets the records, as yet without model and training; rank 0 writes the predictions and
    keeps the tally."""
    if embedder and unit.layer is not None:
        found = retrieve(unit, job, embedder, world, tally)
        revision = data_revision(unit.spec, job.root, unit.split, unit.language)
    else:
        wanted = rows_of(unit, job)
        prepared = prepare(wanted, tokenizer, job.prepared, may_build=world.size == 1)
        require_embeddings(prepared.features.input_ids.flat, model.encoder)
        found, revision = score_rows(model, wanted, prepared.features, world, job.config), prepared.revision
        if world.is_main:
            tally.add(unit, found, prepared.features)
    if world.is_main:
        write_predictions(unit, job, found)
    about = ResultRecord(
        unit.spec.name,
        unit.language,
        unit.split,
        unit.spec.metric,
        None,
        found.count,
        collapsed=found.degenerate,
        unseen=found.unseen,
        data_revision=revision,
        health=found.health,
        reading=reading(job, unit, world),
    )
    records = [
        replace(about, metric=name, value=value, unit=found.units.get(name, PERCENT))
        for name, value in found.recorded.items()
    ]
    if found.threshold is not None:
        records.append(replace(about, metric="threshold", value=found.threshold, unit=THRESHOLD))
    return [replace(record, main=record.metric == unit.spec.metric) for record in records]


def score_rows(model: Any, wanted: Wanted, features: Features, world: World, config: EvaluationConfig) -> Score:
    """Score a task with labelled rows; every rank gets the same."""
    spec, decoding = wanted.spec, Decoding(config.n_best, config.longest_answer)
    predicted = predict(model, spec, features, world, config.batch_size, decoding)
    rows = partial(load_rows, spec, wanted.root, wanted.split, wanted.language)
    return family_of(spec).score(as_predicted(spec, model), wanted.language, features, predicted, rows)


def write_predictions(unit: Unit, job: Job, found: Score) -> None:
    """Write them where XTREME's scorer looks for them; of several layers, each below a folder of its own."""
    folder = job.predictions
    if unit.layer is not None and job.config.retrieval.sweeps:
        folder = layer_folder(folder, unit.layer)
    where = partial(prediction_file, folder, unit.spec.name, unit.split, unit.language)
    suffix = "tsv" if unit.spec.family in RETRIEVAL else family_of(unit.spec).prediction_suffix
    write_text(where(suffix), "\n".join(found.predictions) + "\n")
    for suffix, content in found.beside.items():
        write_text(where(suffix), content)


def retrieve(unit: Unit, job: Job, embedder: Embedder, world: World, tally: Tally) -> Score:
    """Score a retrieval task in one language and layer."""

    def embed(texts: Sequence[str], side: str) -> np.ndarray:
        layer = embedder.reading.layers.index(unit.layer)
        return embedder(texts, f"{unit.spec.name} {unit.language}, {side} side")[layer]

    bitext = load_bitext(unit.spec, job.root, unit.split, unit.language)
    tally.blank[unit.spec.name] += bitext.blank
    if unit.spec.family == "tatoeba":
        return score_tatoeba(bitext, embed, job.config.retrieval, world)
    dev = bitext if unit.split == "dev" else load_bitext(unit.spec, job.root, "dev", unit.language)
    return score_bucc(bitext, dev, embed, job.config.retrieval, world)


def refuse_trained_rows(unit: Unit, provenance: Provenance | None) -> None:
    """Rows are parallel across languages: one that was trained on in English is scored in none (law 7).

    Slices are cut by the row's group, so whether two slices share rows can be read off their bounds.
    """
    part = parse_split(unit.split)
    own = {unit.spec.name, *unit.spec.parts}
    for trained in provenance.trained_on if provenance else []:
        other = parse_split(trained["split"])
        before = find_task(trained["task"])
        same = own & {trained["task"], *(before.parts if before else ())}
        if same and other.name == part.name and other.lo < part.hi and part.lo < other.hi:
            raise UserError(
                f"{unit.spec.name} {unit.split} holds rows that phase '{trained['phase']}' trained on "
                f"({trained['split']})",
                fix=_other_slice(part.name, other.lo, other.hi),
            )


def _other_slice(name: str, lo: int, hi: int) -> str:
    if (lo, hi) == (0, 100):
        return "Score another split"
    return f"Score another slice, for example {name}[{f'{hi}%:' if hi < 100 else f':{lo}%'}]"
