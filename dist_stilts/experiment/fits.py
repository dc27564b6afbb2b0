"""Whether what a run trains on fits its encoder: asked by a dry run, of its architecture, and again before training."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dist_stilts.errors import UserError
from dist_stilts.experiment.estimate import unfilled_encoder
from dist_stilts.experiment.plan import Run
from dist_stilts.experiment.run_config import FROM_RANDOM, Recipe
from dist_stilts.experiment.training_data import TrainingData
from dist_stilts.families.kinds import family_of
from dist_stilts.model.fit import allowed_tokens, require_embeddings, require_positions
from dist_stilts.model.folders import located, read_tokenizer
from dist_stilts.tasks.registry import get_task

ANY_WORDS = 1 << 20
"""A vocabulary whose size is of no matter here."""
SMALL = 2_000_000
"""Bytes of a tokenizer that is read in no time."""


def lengths_of(run: Run, recipe: Recipe) -> dict[str, int]:
    """The greatest lengths of texts that the run trains on, by the keys that set them."""
    kinds = [family_of(get_task(task)) for task in run.tasks]
    texts = {"data.max_length": recipe.data.max_length} if any(not kind.windowed for kind in kinds) else {}
    windows = {"data.qa.max_length": recipe.data.qa.max_length} if any(kind.windowed for kind in kinds) else {}
    return {**texts, **windows}


def check_lengths(run: Run, recipe: Recipe, encoder: Any) -> None:
    """See that the encoder has positions for all texts that the run may train on; UserError if it has not."""
    for setting, length in lengths_of(run, recipe).items():
        require_positions(length, encoder, setting)


def check_fit(run: Run, recipe: Recipe, encoder: Any, tokenizer: Any, data: TrainingData) -> None:
    """See that an encoder can be trained on these texts, as this tokenizer reads them.

    Raises:
        UserError: texts that may be too long; tokens without an embedding; words to mask, and nothing to mask them by.
    """
    check_lengths(run, recipe, encoder)
    prepared = [*data.features, *(dev.features for _, dev in data.dev.values())]
    require_embeddings((ids for features in prepared for ids in features.input_ids.flat), encoder)
    if any(family_of(spec).predicts_words for spec in data.specs):
        if tokenizer.mask_token_id is None:
            raise UserError("the tokenizer has no mask token, and words are to be masked", fix="Train other tasks")
        words = encoder.get_input_embeddings().num_embeddings
        if len(tokenizer) > words:  # a word may become any other
            raise UserError(
                f"the tokenizer has {len(tokenizer)} tokens, and the encoder {words} embeddings",
                fix="Give the tokenizer that the encoder was trained with",
            )


def length_notes(run: Run, recipe: Recipe, limit: Any) -> Iterator[str]:
    """What there is to say of texts longer than a tokenizer was made for; ``limit``: its ``model_max_length``."""
    for setting, length in lengths_of(run, recipe).items():
        if length > allowed_tokens(limit):
            yield f"{setting}={length} is more than the {allowed_tokens(limit)} tokens that the tokenizer is made for"


def foresee(recipe: Recipe, runs: Sequence[Run]) -> tuple[list[str], list[str]]:
    """What would be refused before training, and what would be odd, as far as this host knows the encoder and the
    tokenizer: a line each."""
    wrong: list[str] = []
    notes: list[str] = []
    training = [run for run in runs if run.tasks]
    trained = {fresh: [run for run in training if _is_fresh(run) == fresh] for fresh in map(_is_fresh, training)}
    try:
        tokens, limit = _told(recipe) if trained else (0, None)
        for fresh, members in trained.items():
            encoder = _known_encoder(recipe, fresh)
            words = encoder.get_input_embeddings().num_embeddings if encoder else sys.maxsize
            if tokens > words:
                notes.append(f"the tokenizer has {tokens:,} tokens, and the encoder {words:,} embeddings")
            notes += [note for run in members for note in length_notes(run, recipe, limit)]
            wrong += [line for run in members if encoder for line in _too_long(run, recipe, encoder)]
    except UserError as error:
        wrong.append(str(error))
    return list(dict.fromkeys(wrong)), list(dict.fromkeys(notes))


def _is_fresh(run: Run) -> bool:
    return run.lineage()[0].start == FROM_RANDOM


def _told(recipe: Recipe) -> tuple[int, Any]:
    """How many tokens the recipe's tokenizer has, and for what length it is made, if it is a folder of this host; 0
    where reading that takes a second and it lies beside the encoder that it was trained with."""
    name = recipe.encoder.tokenizer or recipe.encoder.path
    if not name or not Path(name).is_dir():
        return 0, None
    return read_tokenizer(located(Path(name)), sys.maxsize if recipe.encoder.tokenizer else SMALL)


def _known_encoder(recipe: Recipe, fresh: bool) -> Any:
    """The encoder without storage; None where this host does not know it, which is said elsewhere."""
    try:
        return unfilled_encoder(recipe, fresh, ANY_WORDS)
    except UserError:
        return None


def _too_long(run: Run, recipe: Recipe, encoder: Any) -> Iterator[str]:
    try:
        check_lengths(run, recipe, encoder)
    except UserError as error:
        yield str(error)
