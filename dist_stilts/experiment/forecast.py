"""What runs will take: training and scoring tokens of every run, and GPU-hours, before a single run was started.

Tokens are rows times a typical length of the task; hours are floating-point operations at an assumed share of a named
device's peak.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from dist_stilts.errors import UserError
from dist_stilts.experiment.plan import Run
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.training_data import data_root
from dist_stilts.families.kinds import family_of
from dist_stilts.model.encoder import read_architecture
from dist_stilts.model.flops import peak_flops, training_flops_per_token
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import base_of, parse_split, stream_rows
from dist_stilts.tasks.spec import RETRIEVAL
from dist_stilts.tasks.specs_text import PLAIN_TEXT
from dist_stilts.train.plan import derive, task_probabilities

TOKENS = {
    "mnli": 40, "snli": 33, "anli": 97, "anli_plus": 45, "qqp": 32, "xnli": 41, "pawsx": 65, "udpos": 24, "panx": 14,
    "squad_v1": 218, "squad_v2": 243, "xquad": 218, "mlqa": 350, "tydiqa": 157, "hellaswag": 347, "ccg": 30,
    "cosmosqa": 475, "commonsenseqa": 110, "xcopa": 50, PLAIN_TEXT: 128,
}  # fmt: skip
"""Tokens of an English row with XLM-R's tokenizer: all windows of a question, all choices. Measured on parts of the
public files, except MNLI, ANLI+, QQP, CCG, XCOPA and plain text, which are estimates."""
OTHER = 64
"""Tokens of a row of a task that is not in the table."""
SENTENCES = {"tatoeba": 2_000, "bucc2018": 800_000}
"""Texts of both sides of one language pair, at most or about."""
SENTENCE_TOKENS = {"tatoeba": 10, "bucc2018": 35}
FORWARD = 1 / 3
"""Scoring's share of what training costs per token: the forward pass alone."""

Counts = dict[tuple[str, ...], int | None]
"""Task, split and languages to rows."""


@dataclass(frozen=True)
class Cost:
    """What one run takes, estimated.

    Attributes:
        rows: training rows that pass through the model; None where unknown.
        training, scoring: tokens; None where the rows are not known.
        flops: of both; None for an unknown architecture.
    """

    rows: int | None
    training: float | None
    scoring: float
    flops: float | None


def rows_of(run: Run, recipe: Recipe, task: str, known: Counts | None = None) -> int | None:
    """Training rows of a task: the run's subset, what is on disk, or the published number; None if none is known.

    Args:
        known: counted before, by task, split and languages; what is counted now is added.
    """
    known, wanted = {} if known is None else known, run.tasks[task]
    key = (task, wanted.split, *wanted.languages)
    if not run.size and key not in known:
        known[key] = _all_rows(run, recipe, task)
    size = run.size or known[key]
    return size and size - run.skipped_rows


def _all_rows(run: Run, recipe: Recipe, task: str) -> int | None:
    spec, wanted = get_task(task), run.tasks[task]
    root = data_root(recipe) if spec.tables else base_of(spec, data_root(recipe))
    if root is not None and root.is_dir() and wanted.languages != ["all"]:
        try:
            parts = (stream_rows(spec, root, wanted.split, language, Counter()) for language in wanted.languages)
            return sum(1 for part in parts for _ in part)
        except UserError:
            return None
    part = parse_split(wanted.split)
    if part.name == "train" and "train" in spec.sizes:
        return round(spec.sizes["train"] * (part.hi - part.lo) / 100) * len(wanted.languages)
    return None


def check_sizes(runs: Sequence[Run], recipe: Recipe) -> None:
    """Refuse sizes beyond the data while nothing is started yet, as far as the rows are known here.

    Raises:
        UserError: a run wants more rows than there are.
    """
    known: Counts = {}
    for run in runs:
        for name, train in run.tasks.items() if run.size else ():
            there = rows_of(replace(run, size=None, parent=None), recipe, name, known)
            if there is not None and run.size and run.size > there:
                raise UserError(
                    f"{run.name}: {run.size:,} rows of {name} {train.split}, there are {there:,}",
                    fix=f"Lower study.sizes or phases.{run.phase}.sizes; `full` is all there are",
                )


def uncounted(runs: Sequence[Run], recipe: Recipe) -> Counts:
    """What is known before rows are counted: published numbers are not those of a world that is still to be made."""
    root = data_root(recipe)
    if not recipe.data.simulate or (root and root.is_dir()):
        return {}
    return {(name, task.split, *task.languages): None for run in runs for name, task in run.tasks.items()}


def cost(run: Run, recipe: Recipe, ranks: int, known: Counts | None = None) -> Cost:
    """Tokens and floating-point operations of one run; ``known`` as for :func:`rows_of`."""
    rows, tokens, length = _training(run, recipe, ranks, known) if run.tasks else (0, 0.0, 1.0)
    scoring = sum(_scored_tokens(name, wanted.splits, wanted.languages) for name, wanted in run.evaluate.items())
    predicts_words = any(family_of(get_task(name)).predicts_words for name in run.tasks)
    per_token = _flops_per_token(recipe, length, run.train.mlm_rate if predicts_words else 0.0)
    flops = per_token * (tokens + FORWARD * scoring) if per_token is not None and tokens is not None else None
    return Cost(rows, tokens, scoring, flops)


def _training(run: Run, recipe: Recipe, ranks: int, counted: Counts | None) -> tuple[int | None, float | None, float]:
    """Rows and tokens that pass through the model, and the mean length of a row."""
    lengths = [float(_length(name, recipe)) for name in run.tasks]
    sizes = [rows_of(run, recipe, name, counted) for name in run.tasks]
    if any(size is None for size in sizes) and not run.train.steps:
        return None, None, lengths[0]
    known = [size or 1 for size in sizes]
    plan = derive(run.train, known, ranks, run.shares)
    chances = task_probabilities(run.train, known, run.shares)
    mean = float(sum(chance * length for chance, length in zip(chances, lengths, strict=True)))
    rows = plan.steps * plan.batch_size
    return rows, rows * mean, mean


def _length(task: str, recipe: Recipe) -> int:
    """Typical tokens of a row. Questions and choices are several sequences, so the limit of one does not bound them."""
    typical = TOKENS.get(task, OTHER)
    return min(typical, recipe.data.max_length) if family_of(get_task(task)).one_sequence else typical


def _scored_tokens(task: str, splits: Sequence[str], languages: Sequence[str]) -> float:
    """Tokens of all test rows of a task. A slice counts as its share; unpublished numbers as 1,000 rows."""
    spec = get_task(task)
    number = len(spec.languages) if list(languages) == ["all"] else len(languages)
    if spec.family in RETRIEVAL:
        return float(number * SENTENCES.get(task, 2_000) * SENTENCE_TOKENS.get(task, 20))
    rows = 0.0
    for split in splits:
        part = parse_split(split)
        rows += spec.sizes.get(part.name, 1_000) * (part.hi - part.lo) / 100
    return number * rows * TOKENS.get(task, OTHER)


def _flops_per_token(recipe: Recipe, length: float, predicted_share: float) -> float | None:
    made = _architecture(recipe)
    return None if made is None else training_flops_per_token(made, length, predicted_share)


def _architecture(recipe: Recipe) -> Any:
    """What the recipe, or the encoder if it is on this host, says of its sizes; None if neither does."""
    config, path = recipe.encoder.config, recipe.encoder.path
    if config and {"model_type", "hidden_size", "num_hidden_layers"} <= config.keys():
        defaults = {"intermediate_size": 4 * int(config["hidden_size"]), "vocab_size": 0}
        return SimpleNamespace(**{**defaults, **config})
    if config or not path:
        return None
    try:
        return read_architecture(path, recipe.encoder.revision)
    except UserError:
        return None


def hours(costs: Mapping[str, Cost], recipe: Recipe) -> float | None:
    """GPU-hours of runs on the study's device at its assumed share of the peak; None for an unknown architecture.

    Raises:
        UserError: a device whose peak is not known.
    """
    peak = peak_flops(recipe.study.gpu) or peak_flops(f"{recipe.study.gpu} sxm4")
    if peak is None:
        raise UserError(
            f"study.gpu: the peak of '{recipe.study.gpu}' is not known",
            fix="Name one such as NVIDIA H100, say",
        )
    if not 0 < recipe.study.mfu <= 1:
        raise UserError(f"study.mfu={recipe.study.mfu} is no share of the peak", fix="Use 0.3 to 0.5")
    flops = [cost.flops for cost in costs.values()]
    if any(value is None for value in flops):
        return None
    return sum(value for value in flops if value is not None) / (peak * recipe.study.mfu) / 3600
