"""The training rows of one run: splits, languages, nested subsets, as streams; and dev in the source language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dist_stilts.conventions import OnProgress, fingerprint
from dist_stilts.data.batches import Stream
from dist_stilts.data.mixture import repeated
from dist_stilts.data.prepare import Prepared, Wanted, facts, prepare
from dist_stilts.data.subsets import subset
from dist_stilts.errors import UserError
from dist_stilts.evaluate.suite import languages_of
from dist_stilts.experiment.plan import Run, folder_of, has_dev
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.families.features import Features, concatenated
from dist_stilts.families.kinds import family_of
from dist_stilts.families.masking import Vocabulary
from dist_stilts.model.encoder import load_tokenizer
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import load_bitext, task
from dist_stilts.tasks.spec import RETRIEVAL, TaskSpec


@dataclass(frozen=True)
class TrainingData:
    """All that a run trains on.

    Attributes:
        specs: the tasks; rows: ``[n]`` feature rows of each that are trained on; examples: how many examples these are.
        dev: dev in the source language per task name, as it was asked for and as it was found.
        revision: identity of the data and of the choice of rows.
        truncated: share of rows per task that lost tokens.
    """

    specs: list[TaskSpec]
    features: list[Features]
    rows: list[np.ndarray]
    examples: list[int]
    dev: dict[str, tuple[Wanted, Prepared]]
    revision: str
    truncated: dict[str, float]


def data_root(recipe: Recipe) -> Path | None:
    """Where the recipe's data are; None is the Hub."""
    if recipe.data.simulate:
        return folder_of(recipe).world
    return Path(recipe.data.root) if recipe.data.root else None


def tokenizer_name(recipe: Recipe) -> str:
    """Folder or Hub name of the tokenizer that the recipe names: its own, the simulated world's, or the encoder's.

    Raises:
        UserError: it names none.
    """
    root, name = data_root(recipe), recipe.encoder.tokenizer or recipe.encoder.path
    if recipe.encoder.tokenizer == "simulated" and root:
        return str(root / "tokenizer")
    if not name:
        raise UserError("nothing says which tokenizer to use", fix="Set encoder.path=MODEL or encoder.tokenizer=FOLDER")
    return name


def recipe_tokenizer(recipe: Recipe) -> Any:
    """The tokenizer that the recipe names."""
    return load_tokenizer(tokenizer_name(recipe), recipe.encoder.revision)


def to_train_on(run: Run, recipe: Recipe) -> dict[str, list[Wanted]]:
    """What each of the run's tasks trains on, language by language."""
    root = data_root(recipe)
    found = {}
    for name, train in run.tasks.items():
        spec = task(name, root)
        languages = languages_of(spec, root, train.split, train.languages)
        found[name] = [_wanted(run, recipe, spec, train.split, language) for language in languages]
    return found


def to_watch(run: Run, recipe: Recipe) -> dict[str, Wanted]:
    """Dev, in its source language, of each of the run's tasks that have it."""
    found = {}
    for name, train in run.tasks.items():
        spec = task(name, data_root(recipe))
        if train.dev and has_dev(name, train):
            found[spec.name] = _wanted(run, recipe, spec, train.dev, spec.source)
    return found


def to_score(run: Run, recipe: Recipe) -> list[Wanted]:
    """What the run is scored on, but for retrieval, which reads its texts when it needs them."""
    return [_wanted(run, recipe, *part) for part in _scored(run, recipe) if part[0].family not in RETRIEVAL]


def check_bitexts(runs: Sequence[Run], recipe: Recipe) -> None:
    """Read the texts that runs search in, and keep nothing: days of training may lie between the start and their use.

    Raises:
        UserError: missing or broken files.
    """
    parts = {
        (spec.name, each, language): spec
        for run in runs
        for spec, split, language in _scored(run, recipe)
        if spec.family in RETRIEVAL
        for each in ({split, "dev"} if spec.family == "bucc" else {split})  # dev has the threshold
    }
    for (_, split, language), spec in parts.items():
        load_bitext(spec, data_root(recipe), split, language)


def _scored(run: Run, recipe: Recipe) -> Iterator[tuple[TaskSpec, str, str]]:
    """Task, split and language of all that the run is scored on."""
    root = data_root(recipe)
    for name, wanted in run.evaluate.items():
        spec = task(name, root)
        for split in wanted.splits:
            for language in languages_of(spec, root, split, wanted.languages):
                yield spec, split, language


def _wanted(run: Run, recipe: Recipe, spec: TaskSpec, split: str, language: str) -> Wanted:
    data = recipe.data
    return Wanted(spec, data_root(recipe), split, language, data.max_length, run.inputs, data.qa)


def prepare_all(
    runs: Sequence[Run], recipe: Recipe, tokenizer: Any, progress: OnProgress | None = None
) -> dict[str, dict[str, Any]]:
    """Tokenise all that runs train on and are scored on; returns what tokenising did, by title.

    Raises:
        UserError: missing or broken data, those of retrieval among them.
    """
    check_bitexts(runs, recipe)
    done, trained_on = {}, set[str]()
    for run in runs:
        trained = [wanted for parts in to_train_on(run, recipe).values() for wanted in parts]
        trained_on |= {wanted.title for wanted in trained}
        for wanted in (*trained, *to_watch(run, recipe).values(), *to_score(run, recipe)):
            prepared = prepare(wanted, tokenizer, folder_of(recipe).prepared, progress)
            done[wanted.title] = facts(wanted, prepared, trained_on=wanted.title in trained_on)
    return done


def load_training_data(
    run: Run, recipe: Recipe, tokenizer: Any, progress: OnProgress | None = None, *, may_build: bool = True
) -> TrainingData:
    """Open all that ``run`` trains on, tokenising what is not yet if that is allowed.

    Raises:
        UserError: missing or broken data; rows without gold; a subset larger than the data.
    """
    open_ = partial(
        prepare, tokenizer=tokenizer, folder=folder_of(recipe).prepared, progress=progress, may_build=may_build
    )
    dev = {name: (wanted, open_(wanted)) for name, wanted in to_watch(run, recipe).items()}
    specs, features, rows, examples, revisions, truncated = [], [], [], [], [], {}
    for name, parts in to_train_on(run, recipe).items():
        spec, opened = parts[0].spec, [open_(part) for part in parts]
        joined = concatenated([part.features for part in opened])
        if family_of(spec).has_gold and family_of(spec).lacks_gold(joined):
            raise UserError(f"{parts[0].title} has rows without gold", fix="Train on a split that has it in every row")
        chosen = chosen_examples(joined, run, spec)
        specs.append(spec)
        features.append(joined)
        rows.append(_sampled(np.flatnonzero(np.isin(joined.example, chosen)), opened, run, name))
        examples.append(len(chosen))
        revisions.append([name, [part.revision for part in opened], len(chosen)])
        truncated[name] = float((joined.truncated > 0).mean())
    return TrainingData(specs, features, rows, examples, dev, fingerprint([run.id, revisions]), truncated)


def nothing_to_learn(data: TrainingData) -> dict[str, str]:
    """The tasks whose training rows all have the same gold, and what that is."""
    found = {}
    for spec, features, rows in zip(data.specs, data.features, data.rows, strict=True):
        alike = partial(family_of(spec).alike, spec, features)
        if alike(rows[:1000]) and (why := alike(rows)):  # mostly a few rows are enough to see that they differ
            found[spec.name] = why
    return found


def streams(data: TrainingData, run: Run, tokenizer: Any, micro_tokens: int, packs: bool) -> list[Stream]:
    """One stream of batches per task."""
    vocabulary = Vocabulary.of(tokenizer)
    return [
        Stream(
            spec.name,
            family_of(spec),
            features,
            rows,
            vocabulary,
            run.train.batch_size,
            micro_tokens,
            run.order_seed,
            run.train.mlm_rate,
            packs,
        )
        for spec, features, rows in zip(data.specs, data.features, data.rows, strict=True)
    ]


def chosen_examples(features: Features, run: Run, spec: TaskSpec) -> np.ndarray:
    """Numbers of the examples that the run trains on: all, or a subset stratified as its kind says.

    A trunk's segment has those of its subset that the segments before it did not have.

    Raises:
        UserError: a subset larger than the data; a segment without a row of its own.
    """
    if run.size is None and not run.skipped_rows:
        return np.arange(features.examples)
    size = features.examples if run.size is None else run.size
    if size <= run.skipped_rows:
        raise UserError(
            f"phase '{run.phase}': {spec.name} has {size} rows, so none are left after the size {run.skipped_rows}",
            fix=f"Lower phases.{run.phase}.sizes",
        )
    if size > features.examples:
        raise UserError(
            f"phase '{run.phase}' wants {size} rows of {spec.name}, there are {features.examples}",
            fix=f"Lower phases.{run.phase}.sizes",
        )
    _, first_row = np.unique(features.example, return_index=True)
    ids = [features.ids[row] for row in first_row]
    return subset(ids, family_of(spec).strata(features), size, run.subset_seed, run.skipped_rows)


def _sampled(rows: np.ndarray, parts: Sequence[Prepared], run: Run, name: str) -> np.ndarray:
    """The rows of an epoch, with those of smaller languages repeated as the task's sampling asks for."""
    exponent = run.tasks[name].sampling
    if exponent is None:
        exponent = family_of(get_task(name)).sampling
    if exponent == 1.0 or len(parts) == 1:
        return rows
    ends = np.cumsum([len(part.features) for part in parts])
    by_language = np.split(rows, np.searchsorted(rows, ends[:-1]))
    return repeated([part for part in by_language if len(part)], exponent, run.order_seed)
