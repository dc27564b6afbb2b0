"""What a run's export says of itself: its model cards, and how a text becomes an embedding. Written with it, and again
once it is scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dist_stilts.experiment.plan import Run
from dist_stilts.experiment.run_config import FROM_RANDOM, Recipe
from dist_stilts.model.card import write_card
from dist_stilts.model.encoder import number_of_layers
from dist_stilts.model.old_heads import is_old
from dist_stilts.model.pooling_files import SentenceReading, write_pooling
from dist_stilts.model.provenance import Provenance
from dist_stilts.model.saved_heads import saved_heads
from dist_stilts.results.record import ResultRecord


def write_cards(
    run: Run,
    recipe: Recipe,
    folder: Path,
    provenance: Provenance,
    command: str,
    records: Sequence[ResultRecord] = (),
) -> None:
    """Write the card of an export and, where it has several heads, that of each.

    Args:
        command: what a user types to make the model; records: its scores, once there are some.
    """
    first = run.lineage()[0]
    base = None if first.start == FROM_RANDOM else recipe.encoder.path
    heads = saved_heads(folder, provenance)
    # Of an older version's export, the libraries know the encoder alone.
    kinds = {} if is_old(folder) else {head.folder: head.family.name for head in heads.values()}
    reading = None if is_old(folder) else sentence_reading(recipe, folder)
    if reading:
        write_pooling(folder, reading)
    for place in {folder, *kinds}:
        write_card(
            place,
            provenance,
            kind=kinds.get(place),  # type: ignore[arg-type]
            base_model=base,
            command=command,
            records=records,
            embedding=reading.said() if reading and place == folder else "",
        )


def sentence_reading(recipe: Recipe, folder: Path) -> SentenceReading:
    """How the recipe's retrieval reads the texts that a model embeds: of several layers, the last of these."""
    settings, depth, notes = recipe.evaluation.retrieval, number_of_layers(str(folder)), []
    # A layer that is not there is refused where it is read; here it must not cost the export.
    layer = max((int(part) for part in settings.layer.split(",") if part.strip().isdecimal()), default=depth)
    if settings.sweeps:
        notes.append(f"Its retrieval scores are of several layers ({settings.layer}), of which this is the last.")
    if settings.centre:
        notes.append("Its retrieval scores are of these less the mean of their language's: subtract that from yours.")
    return SentenceReading(
        layer if layer < depth else None,
        settings.pooling,
        settings.special_tokens,
        recipe.data.max_length,
        tuple(notes),
    )
