"""What can be wrong with a recipe's settings beside each by itself: looked at before anything is read or started.

The dry run, ``prepare`` and ``run`` look at the same: what one refuses, all do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch

from dist_stilts.errors import UserError
from dist_stilts.evaluate.retrieval import wanted_layers
from dist_stilts.experiment.estimate import tokenizer_words
from dist_stilts.experiment.fits import check_lengths
from dist_stilts.experiment.plan import Run
from dist_stilts.experiment.run_config import FROM_RANDOM, Recipe
from dist_stilts.model.encoder import architecture, build, number_of_layers
from dist_stilts.model.heads import fresh_head
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.spec import RETRIEVAL
from dist_stilts.train.engine import deepspeed_config
from dist_stilts.train.plan import derive

SOME_WORDS = 1000
"""Of a vocabulary that is not known here."""


def looks_at_settings(recipe: Recipe, runs: Sequence[Run], ranks: int) -> Iterator[Callable[[], object]]:
    """Functions that raise UserError for what is wrong with the settings of the runs."""
    for run in runs:
        if run.tasks:
            yield partial(_check_plan, run, ranks)
    if recipe.encoder.config is not None and any(run.lineage()[0].start == FROM_RANDOM for run in runs):
        yield partial(_check_encoder, recipe, runs)
    if any(get_task(name).family in RETRIEVAL for run in runs for name in run.evaluate):
        yield partial(_check_layers, recipe)


def check_settings(recipe: Recipe, runs: Sequence[Run], ranks: int) -> None:
    """UserError for the first thing that is wrong with the settings of the runs."""
    for look in looks_at_settings(recipe, runs, ranks):
        look()


def _check_plan(run: Run, ranks: int) -> None:
    plan = derive(run.train, [1] * len(run.tasks), ranks, run.shares)
    deepspeed_config(run.train.deepspeed, run.train, plan)


def _check_encoder(recipe: Recipe, runs: Sequence[Run]) -> None:
    """UserError if no encoder is of the recipe's architecture, or if it is too small for what it shall read.

    It is built without storage.
    """
    config = recipe.encoder.config or {}
    known = _known_words(recipe)
    made = architecture({"vocab_size": known or SOME_WORDS, **config})
    if made.vocab_size < (known or 0):
        what = f"encoder.config: vocab_size is {made.vocab_size:,}, but the tokenizer has {known:,} tokens"
        raise UserError(what, fix="Leave it out: it follows")
    with torch.device("meta"):
        encoder = build(made)
        trained = dict.fromkeys(name for run in runs for name in run.tasks)
        for name in trained:
            fresh_head(get_task(name), encoder)
    for run in runs:
        check_lengths(run, recipe, encoder)


def _check_layers(recipe: Recipe) -> None:
    """UserError if retrieval is to read a layer that the encoder has not, as far as the encoder is known here."""
    encoder = recipe.encoder
    if encoder.config is not None:
        depth = int(architecture(encoder.config).num_hidden_layers)
    elif encoder.path and Path(encoder.path).is_dir():
        depth = number_of_layers(encoder.path)
    else:
        return
    wanted_layers(recipe.evaluation.retrieval.layer, depth)


def _known_words(recipe: Recipe) -> int | None:
    """Words of the tokenizer, if they are known here."""
    try:
        return tokenizer_words(recipe)
    except UserError:
        return None
