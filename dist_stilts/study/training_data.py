"""The training rows of one run: splits, languages, nested subsets, as streams; and English dev beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dist_stilts.config import identity
from dist_stilts.data.batches import Stream, Vocabulary
from dist_stilts.data.features import Features, concatenated
from dist_stilts.data.prepare import Prepared, Wanted, prepare
from dist_stilts.data.subsets import subset
from dist_stilts.errors import UserError
from dist_stilts.evaluate.suite import languages_of
from dist_stilts.study.plan import Run, folder_of
from dist_stilts.study.run_config import Recipe
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.spec import RETRIEVAL, TaskSpec

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TrainingData:
    """All that a run trains on.

    Attributes:
        specs: the tasks; rows: ``[n]`` feature rows of each that are trained on; examples: how many examples these are.
        dev: English dev per task name.
        revision: identity of the data and of the choice of rows.
        truncated: share of rows per task that lost tokens.
    """

    specs: list[TaskSpec]
    features: list[Features]
    rows: list[np.ndarray]
    examples: list[int]
    dev: dict[str, Prepared]
    revision: str
    truncated: dict[str, float]


def data_root(recipe: Recipe) -> Path | None:
    """Where the recipe's data are; None is the Hub."""
    if recipe.data.simulate:
        return folder_of(recipe).world
    return Path(recipe.data.root) if recipe.data.root else None


def load_training_data(run: Run, recipe: Recipe, tokenizer: Any, progress: Progress | None = None) -> TrainingData:
    """Tokenise, or find tokenised, all that ``run`` trains on.

    Raises:
        UserError: missing or broken data; a subset larger than the data.
    """
    root, folder = data_root(recipe), folder_of(recipe).prepared
    specs, features, rows, examples, revisions, truncated = [], [], [], [], [], {}
    dev: dict[str, Prepared] = {}
    for name, task in run.tasks.items():
        spec = get_task(name)
        parts = [
            prepare(
                Wanted(spec, root, task.split, language, recipe.data.max_length, run.inputs),
                tokenizer,
                folder,
                progress,
            )
            for language in languages_of(spec, root, task.split, task.languages)
        ]
        joined = concatenated([part.features for part in parts])
        chosen = _chosen(joined, run, name)
        specs.append(spec)
        features.append(joined)
        rows.append(np.flatnonzero(np.isin(joined.example, chosen)))
        examples.append(len(chosen))
        revisions.append([name, [part.revision for part in parts], len(chosen)])
        truncated[name] = float((joined.truncated > 0).mean())
        if task.dev and spec.family != "mlm":
            dev[spec.name] = prepare(
                Wanted(spec, root, task.dev, "en", recipe.data.max_length, run.inputs), tokenizer, folder, progress
            )
    return TrainingData(specs, features, rows, examples, dev, identity([run.id, revisions]), truncated)


def prepare_scored_data(run: Run, recipe: Recipe, tokenizer: Any, progress: Progress | None = None) -> None:
    """Tokenise what ``run`` is scored on, so that no GPU waits for it; retrieval reads its texts when it needs them."""
    root, folder = data_root(recipe), folder_of(recipe).prepared
    for name, task in run.evaluate.items():
        spec = get_task(name)
        for split in task.splits if spec.family not in RETRIEVAL else []:
            for language in languages_of(spec, root, split, task.languages):
                wanted = Wanted(spec, root, split, language, recipe.data.max_length, run.inputs)
                prepare(wanted, tokenizer, folder, progress)


def streams(data: TrainingData, run: Run, tokenizer: Any, accumulation: int) -> list[Stream]:
    """One stream of batches per task."""
    vocabulary = Vocabulary.of(tokenizer)
    return [
        Stream(
            spec.name,
            spec.family,
            features,
            rows,
            vocabulary,
            run.train.batch_size,
            accumulation,
            run.seed,
            run.train.mlm_rate,
        )
        for spec, features, rows in zip(data.specs, data.features, data.rows, strict=True)
    ]


def _chosen(features: Features, run: Run, task: str) -> np.ndarray:
    """Numbers of the examples that the run trains on."""
    if run.size is None:
        return np.arange(features.examples)
    if run.size > features.examples:
        raise UserError(
            f"phase '{run.phase}' wants {run.size} rows of {task}, there are {features.examples}",
            fix=f"Lower phases.{run.phase}.sizes",
        )
    _, first_row = np.unique(features.example, return_index=True)
    classes = [int(features.labels[row][0]) if len(features.labels[row]) == 1 else 0 for row in first_row]
    return subset([features.ids[row] for row in first_row], classes, run.size, run.subset_seed)
