"""Retrieval without training: embed both sides, search, score; Tatoeba (accuracy) and BUCC 2018 (F1).

    Bitext -> embed -> search (sharded, both directions) -> Tatoeba: nearest neighbours
                                                         -> BUCC: margins -> candidates -> threshold of dev -> F1

Protocol, as XTREME's: mean pooling over all tokens of one layer, cosine. Tatoeba asks for each English sentence's
nearest foreign one. BUCC mines pairs by ratio margin with k = 4 neighbours, one-to-one, and applies the threshold that
is best on dev gold to test. A text that stands in a file more than once takes part once, and no pair with it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dist_stilts.config import number_of_bytes
from dist_stilts.conventions import OnProgress, fingerprint
from dist_stilts.data.prepare import tokenizer_digest
from dist_stilts.errors import UserError
from dist_stilts.evaluate.centred import Centred
from dist_stilts.evaluate.embedding import Embedder, Reading
from dist_stilts.families.score import Score, outcomes
from dist_stilts.model.encoder import most_tokens
from dist_stilts.model.pooling import POOLINGS
from dist_stilts.model.provenance import weights_digest
from dist_stilts.parallel.collectives import broadcast_value
from dist_stilts.parallel.world import World
from dist_stilts.ranges import at_least, key, one_of, text
from dist_stilts.scoring.classify import accuracy
from dist_stilts.scoring.duplicates import RULES, original_rows, unique_texts
from dist_stilts.scoring.health import collapsed, hubness, retrieval_health
from dist_stilts.scoring.mining import (
    MARGINS,
    SELECTIONS,
    Candidates,
    Curve,
    best_threshold,
    curve,
    gold_mask,
    margin_scores,
    score_at,
    select_candidates,
)
from dist_stilts.search.sharded import both_directions
from dist_stilts.tasks.read_bitext import xtreme_order
from dist_stilts.tasks.spec import Bitext

BATCH_TOKENS = {"cpu": 2048, "cuda": 16_384}
"""Enough to keep the device busy; more only means more padding and memory."""
BUCC_METRICS = ("f1", "precision", "recall", "average_precision")
CURVE = "curve.tsv"
"""Suffix of the precision-recall curve that stands beside the mined pairs."""
Embed = Callable[[Sequence[str], str], Any]
"""``embed(texts, which side)``: L2-normalised rows [texts, width], sliceable; the same on every rank."""


def _layers(text: str) -> None:
    """ValueError for what names no layers, whatever the encoder has."""
    if text not in ("last", "all") and not all(part.strip().isdecimal() for part in text.split(",")):
        raise ValueError(text)


@dataclass
class RetrievalConfig:
    """How sentences are embedded and pairs are found. Without change: XTREME's protocol, with the last layer."""

    layer: str = key("last", text(_layers, "last, all, or numbers such as 7,14"))
    """Element of hidden_states (0 = embeddings), several (`7,14`), `last`, or `all`. XLM-R Large: 14."""
    pooling: str = key("mean", one_of(*POOLINGS))
    """`mean` of the tokens, or `cls`."""
    special_tokens: bool = True
    """Whether the mean is also over the tokens that begin and end a text."""
    centre: bool = False
    """Subtract each side's mean embedding first; needs no label."""
    neighbours: int = key(4, at_least(1))
    """Per sentence and direction: the k of the margin."""
    margin: str = key("ratio", one_of(*MARGINS))
    """`ratio`, `distance`, `absolute` or `csls`."""
    candidates: str = key("max", one_of(*SELECTIONS))
    """`max` (one-to-one, best first), `intersection`, `mutual`, `forward` or `backward`."""
    duplicates: str = key("drop", one_of(*RULES))
    """Texts that repeat: in no pair (`drop`, XTREME), in one per id (`all_ids`, jiant), or under the `first` id."""
    batch_tokens: int | None = key(None, at_least(1))
    """Tokens per rank and forward pass; null: 2,048 on a CPU, 16,384 on a GPU."""
    memory: str = key("512M", text(number_of_bytes, "an amount such as 256M or 1.5G"))
    """Working memory of the search on each rank, beside embeddings and results: `256M`, `1.5G`."""

    @property
    def sweeps(self) -> bool:
        """Whether several layers are read."""
        return self.layer == "all" or "," in self.layer

    @property
    def reads(self) -> str:
        """What the records call the way from tokens to an embedding."""
        tokens = "" if self.special_tokens or self.pooling == "cls" else " without special tokens"
        return f"{self.pooling}{tokens}{', centred per language' if self.centre else ''}"

    @property
    def mines(self) -> str:
        """What the records call the way from embeddings to pairs."""
        return f"{self.margin} margin, k={self.neighbours}, {self.candidates}, duplicates: {self.duplicates}"


def open_embedder(
    model: Any,
    tokenizer: Any,
    layers: tuple[int, ...],
    config: RetrievalConfig,
    max_length: int,
    cache: Path,
    world: World,
    progress: OnProgress | None = None,
) -> Embedder:
    """What embeds texts as the settings say, cut at the most tokens that the encoder has positions for."""
    batch_tokens = config.batch_tokens or BATCH_TOKENS.get(world.device.type, BATCH_TOKENS["cuda"])
    return Embedder(
        model,
        fingerprint([weights_digest(model.encoder), tokenizer_digest(tokenizer)]) if world.is_main else "",
        tokenizer,
        world,
        Reading(layers, config.pooling, config.special_tokens),
        min(max_length, most_tokens(model.encoder)),
        cache,
        batch_tokens,
        progress,
    )


def wanted_layers(wanted: str, depth: int) -> tuple[int, ...]:
    """The layers that a setting names, ascending; ``depth`` is the number of the last.

    Raises:
        UserError: neither a layer that is there, nor several, nor ``last``, nor ``all``.
    """
    if wanted in ("last", "all"):
        return tuple(range(depth + 1)) if wanted == "all" else (depth,)
    layers = [int(part) if part.strip().isdecimal() else -1 for part in wanted.split(",")]
    if wrong := [part for part, layer in zip(wanted.split(","), layers, strict=True) if not 0 <= layer <= depth]:
        raise UserError(
            f"the encoder has no layer {wrong[0].strip() or repr(wanted)}",
            fix=f"Give 0 (embeddings) to {depth}, several (7,14), last or all",
        )
    return tuple(sorted(set(layers)))


class Neighbourhood(NamedTuple):
    """Both directions of a search: cosines [n, k] and rows of the other side [n, k]; and what the embeddings are like.

    Attributes:
        health: see :mod:`dist_stilts.scoring.health`; degenerate: why nothing can be retrieved, if so.
    """

    forward: np.ndarray
    forward_ids: np.ndarray
    backward: np.ndarray
    backward_ids: np.ndarray
    health: dict[str, float]
    degenerate: str | None


def search(
    source: Any, target: Any, config: RetrievalConfig, world: World, progress: OnProgress | None = None
) -> Neighbourhood:
    """Find the nearest rows in both directions; every rank searches its share and gets the whole.

    Args:
        source, target: L2-normalised embeddings [n, width], [m, width] that can be sliced, on every rank.
    """
    a, b = (Centred(rows) if config.centre else rows for rows in (source, target))
    budget = number_of_bytes(config.memory)
    say = partial(progress, "searching") if progress else None
    forward, backward, _ = both_directions(a, b, config.neighbours, world, memory_bytes=budget, progress=say)
    ids, back = forward.ids.cpu().numpy(), backward.ids.cpu().numpy()
    # Of the embeddings as they were before centring, which hides that an encoder has collapsed.
    health, degenerate = broadcast_value(_health(source, target, back) if world.is_main else ({}, None))
    return Neighbourhood(forward.scores.cpu().numpy(), ids, backward.scores.cpu().numpy(), back, health, degenerate)


def _health(source: Any, target: Any, nearest_sources: np.ndarray) -> tuple[dict[str, float], str | None]:
    """What both sides are like, and the source rows as neighbours; and why nothing can be retrieved, if so."""
    sides = {"source": source, "target": target}
    found = {side: retrieval_health(rows) for side, rows in sides.items() if len(rows) > 1}
    flat = {f"{side}_{name}": value for side, values in found.items() for name, value in values.items()}
    hubs = hubness(nearest_sources, len(source)) if nearest_sources.size else {}
    reasons = [f"{side} side: {reason}" for side, values in found.items() if (reason := collapsed(values))]
    return {**flat, **hubs}, "; ".join(reasons) or None


def mine(found: Neighbourhood, config: RetrievalConfig) -> Candidates:
    """Candidate pairs of rows, best margin first."""
    forward = margin_scores(found.forward, found.forward_ids, found.backward, config.margin)
    backward = margin_scores(found.backward, found.backward_ids, found.forward, config.margin)
    return select_candidates(forward, found.forward_ids, backward, found.backward_ids, config.candidates)


def score_tatoeba(bitext: Bitext, embed: Embed, config: RetrievalConfig, world: World) -> Score:
    """Accuracy of English to foreign, and of the other direction beside it."""
    found = search(embed(bitext.source, "foreign"), embed(bitext.target, "English"), config, world)
    to_source, to_target = found.backward_ids[:, 0], found.forward_ids[:, 0]
    lines = [str(to_source[row]) for row in xtreme_order(bitext.target)]
    values: dict[str, float | None] = {"accuracy": None, "accuracy_from_foreign": None}
    if bitext.gold is None:
        return Score(values, lines, 0, found.degenerate, health=found.health)
    place = {name: row for row, name in enumerate(bitext.source_ids)}
    gold = np.array([place[s] for s, _ in sorted(bitext.gold, key=lambda pair: int(pair[1]))])
    values["accuracy"] = accuracy(to_source, gold)
    beside = outcomes(to_source == gold)
    values["accuracy_from_foreign"] = accuracy(to_target[gold], np.arange(len(gold)))
    return Score(values, lines, len(gold), found.degenerate, beside, found.health)


def score_bucc(bitext: Bitext, dev: Bitext, embed: Embed, config: RetrievalConfig, world: World) -> Score:
    """F1 of mined pairs at the threshold tuned on ``dev``, which may be ``bitext`` itself (then optimistic).

    Raises:
        UserError: the gold of ``dev`` is withheld. That of ``bitext`` may be: pairs are written then, and not scored.
    """
    if dev.gold is None:
        raise UserError(
            "BUCC needs the gold pairs of dev, to tune the threshold on them",
            fix="Put the .gold file beside the texts, or use `dist-stilts mine`",
        )
    tuned = mine_bitext(dev, embed, config, world)
    mined = tuned if bitext is dev else mine_bitext(bitext, embed, config, world)
    threshold = best_threshold(tuned.pairs.scores, tuned.is_gold, len(dev.gold)).threshold
    kept = mined.pairs.scores >= threshold
    pairs = zip(mined.pairs.source[kept], mined.pairs.target[kept], strict=True)
    lines = [f"{bitext.source_ids[s]}\t{bitext.target_ids[t]}" for s, t in pairs]
    found = mined.found
    if bitext.gold is None:
        values: dict[str, float | None] = dict.fromkeys(BUCC_METRICS)
        return Score(values, lines, 0, found.degenerate, health=found.health, threshold=threshold)
    score = score_at(mined.pairs.scores, mined.is_gold, len(bitext.gold), threshold)
    points = curve(mined.pairs.scores, mined.is_gold, len(bitext.gold))
    scores = (score.f1, score.precision, score.recall, points.average_precision)
    values = dict(zip(BUCC_METRICS, scores, strict=True))
    beside = {CURVE: curve_lines(points)}
    return Score(values, lines, len(bitext.gold), found.degenerate, beside, found.health, threshold)


class Mined(NamedTuple):
    """Candidates as row numbers of the whole files, which of them are gold (none if it is withheld), and the search."""

    pairs: Candidates
    is_gold: np.ndarray
    found: Neighbourhood


def mine_bitext(bitext: Bitext, embed: Embed, config: RetrievalConfig, world: World) -> Mined:
    """Mine both sides of a bitext, each different text once."""
    source, target = unique_texts(bitext.source), unique_texts(bitext.target)
    found = search(
        embed([bitext.source[row] for row in source.first], "foreign"),
        embed([bitext.target[row] for row in target.first], "English"),
        config,
        world,
    )
    pairs = original_rows(mine(found, config), source, target, config.duplicates)
    rows = [{name: row for row, name in enumerate(ids)} for ids in (bitext.source_ids, bitext.target_ids)]
    gold = [(rows[0][s], rows[1][t]) for s, t in bitext.gold or ()]
    return Mined(pairs, gold_mask(pairs.source, pairs.target, gold), found)


def curve_lines(points: Curve) -> str:
    """A precision-recall curve as tab-separated text with a header."""
    columns = ("threshold", "precision", "recall", "f1")
    rows = zip(*(getattr(points, column) for column in columns), strict=True)
    return "".join("\t".join(row) + "\n" for row in [columns, *([f"{value:.6f}" for value in row] for row in rows)])
