"""Mine translation pairs from anyone's two text files with any encoder.

    two files -> sentences, each once -> embeddings (kept, so that a killed run goes on) -> neighbours both ways
              -> candidates by margin -> threshold (given, or tuned on gold pairs) -> pairs, best first

Every rank calls :func:`mine_files`, embeds and searches its share, and comes to the same pairs; rank 0 writes them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dist_stilts.conventions import OnProgress
from dist_stilts.errors import UserError
from dist_stilts.evaluate.embedding import Embedder
from dist_stilts.evaluate.pictures import drawn_curve
from dist_stilts.evaluate.predict import evaluation_dtype
from dist_stilts.evaluate.retrieval import (
    RetrievalConfig,
    curve_lines,
    mine,
    open_embedder,
    search,
    wanted_layers,
)
from dist_stilts.layout import mining_curve, mining_embeddings
from dist_stilts.model.encoder import number_of_layers
from dist_stilts.model.fine_tuned import load_model
from dist_stilts.parallel.world import World
from dist_stilts.ranges import check
from dist_stilts.report.retrieval_plots import precision_recall
from dist_stilts.scoring.duplicates import UniqueTexts, unique_texts
from dist_stilts.scoring.mining import (
    Candidates,
    Curve,
    best_threshold,
    curve,
    gold_mask,
    margin_quantiles,
    score_at,
)
from dist_stilts.tasks.read_sides import Side, read_known, read_sides
from dist_stilts.writing import check_file, require_file, require_folder, write_text

THRESHOLDS = {"ratio": 1.0, "distance": 0.0, "csls": 0.0}
"""Where a pair is as close as the neighbours of its two sentences are on average; a plain cosine has no such point."""
TUNED = "tuned on the gold pairs"


@dataclass(frozen=True)
class Request:
    """What to mine, and how.

    Attributes:
        model: folder or Hub name of an encoder.
        ids: whether lines are ``id<TAB>text``; None = if they all look like it.
        gold: file of known pairs.
        threshold: lowest margin kept; None = tuned on gold, without gold that of :data:`THRESHOLDS`.
        cache: folder of the embeddings; None = beside the pairs.
    """

    source: Path
    target: Path
    model: str
    out: Path
    gold: Path | None = None
    ids: bool | None = None
    threshold: float | None = None
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)
    max_length: int = 256
    dtype: str = "auto"
    cache: Path | None = None

    def __post_init__(self) -> None:
        check(self.retrieval)
        if self.retrieval.sweeps:
            raise UserError(f"layer: {self.retrieval.layer} is several", fix="Mine from one; `evaluate` compares them")
        if self.threshold is not None and math.isnan(self.threshold):
            raise UserError("--threshold: not a number")
        if self.threshold is None and self.gold is None and self.retrieval.margin not in THRESHOLDS:
            raise UserError(
                f"margin '{self.retrieval.margin}' has no threshold that suits every encoder",
                fix="Give --threshold (-inf keeps all candidates), or --gold to tune it on",
            )
        require_file(self.out)
        require_folder(self.embeddings)
        if self.gold:
            check_file(mining_curve(self.out))

    @property
    def embeddings(self) -> Path:
        """Where the embeddings are kept."""
        return self.cache or mining_embeddings(self.out)


@dataclass(frozen=True)
class Sentences:
    """The different sentences of a side: each is searched once, and written as it first stands in the file."""

    side: Side
    unique: UniqueTexts

    @property
    def texts(self) -> list[str]:
        """What is embedded ``[distinct]``."""
        return [self.side.texts[row] for row in self.unique.first]

    def facts(self, cut: int) -> dict[str, Any]:
        """What was read, with the number of sentences of which only the beginning was."""
        distinct, rows = len(self.unique.first), len(self.unique.of_row)
        counts = {"lines": rows + self.side.blank, "blank": self.side.blank, "repeated": rows - distinct}
        return {"file": str(self.side.path), **counts, "sentences": distinct, "cut": cut}


@dataclass(frozen=True)
class Known:
    """Number of gold pairs, and whether each candidate ``[c]`` is one."""

    gold: int
    is_gold: NDArray[np.bool_]


def mine_files(request: Request, world: World, progress: OnProgress | None = None) -> dict[str, Any]:
    """Write the pairs of two files: margin, source, target (with ids: margin, ids, source, target), best first.

    With gold pairs, precision and recall at every threshold are written beside them.

    Returns:
        the summary, on every rank: what was read, how it was searched, what was found.

    Raises:
        UserError: a bad file, a model that is no encoder, embeddings that are not finite.
    """
    seconds: dict[str, float] = {}
    with timed(seconds, "reading"):
        sides = read_sides(request.source, request.target, request.ids)
        source, target = (Sentences(side, unique_texts(side.texts)) for side in sides)
        gold = gold_pairs(request.gold, source, target) if request.gold else None
    with timed(seconds, "encoding"):
        embedder = load_embedder(request, world, progress)
        vectors = [embedder(side.texts, side.side.path.name)[0] for side in (source, target)]
        cut = [embedder.truncated(side.texts) for side in (source, target)]
    with timed(seconds, "searching"):
        near = search(vectors[0], vectors[1], request.retrieval, world, progress)
        found = mine(near, request.retrieval)
        known = None if gold is None else Known(len(gold), gold_mask(found.source, found.target, gold))
        threshold, origin = choose_threshold(request, found, known)
    summary = {
        "source": source.facts(cut[0]),
        "target": target.facts(cut[1]),
        "ids": source.side.named,
        "model": request.model,
        **conditions(embedder, request.retrieval),
        **near.health,
        "degenerate": near.degenerate,
        **outcome(found, threshold, origin, known),
        "out": str(request.out),
        "embeddings": str(request.embeddings),
        "seconds": seconds,
    }
    if world.is_main:
        write_text(request.out, pair_lines(found, summary["pairs"], source, target))
        if known is not None:
            summary["picture"] = str(draw_gold(request.out, curve(found.scores, known.is_gold, known.gold), threshold))
    return summary


def draw_gold(pairs: Path, points: Curve, threshold: float) -> Path:
    """Write the precision-recall curve beside the pairs, as text and as a picture; returns the PNG."""
    write_text(mining_curve(pairs), curve_lines(points))
    numbers = list(zip(points.threshold.tolist(), points.precision.tolist(), points.recall.tolist(), strict=True))
    return precision_recall(mining_curve(pairs).with_suffix(""), {pairs.stem: drawn_curve(numbers, threshold)})[-1]


def gold_pairs(path: Path, source: Sentences, target: Sentences) -> NDArray[np.int64]:
    """Gold pairs as numbers of distinct sentences ``[g, 2]``, each once: copies of a sentence are one to the search."""
    rows = np.array(read_known(path, source.side, target.side), np.int64)
    return np.unique(np.stack([source.unique.of_row[rows[:, 0]], target.unique.of_row[rows[:, 1]]], axis=1), axis=0)


def load_embedder(request: Request, world: World, progress: OnProgress | None) -> Embedder:
    """The encoder, read as the request says."""
    layers = wanted_layers(request.retrieval.layer, number_of_layers(request.model))
    model, tokenizer, _ = load_model(request.model, [])
    model.to(world.device, evaluation_dtype(request.dtype, world.device))
    settings, length = request.retrieval, request.max_length
    return open_embedder(model, tokenizer, layers, settings, length, request.embeddings, world, progress)


def conditions(embedder: Embedder, config: RetrievalConfig) -> dict[str, Any]:
    """How texts were read and pairs searched, for the summary (law 11)."""
    return {
        **{name: getattr(config, name) for name in ("margin", "candidates", "neighbours", "centre", "pooling")},
        "special_tokens": config.special_tokens,
        "layer": embedder.reading.layers[0],
        "model_id": embedder.model_id[:12],
        "max_length": embedder.max_length,
        "dtype": str(next(embedder.model.parameters()).dtype).removeprefix("torch."),
        "world_size": embedder.world.size,
    }


def choose_threshold(request: Request, found: Candidates, known: Known | None) -> tuple[float, str]:
    """The lowest margin kept, and where it comes from."""
    if request.threshold is not None:
        return request.threshold, "given"
    if known is not None:
        return best_threshold(found.scores, known.is_gold, known.gold).threshold, TUNED
    return THRESHOLDS[request.retrieval.margin], f"the default of margin {request.retrieval.margin}"


def outcome(found: Candidates, threshold: float, origin: str, known: Known | None) -> dict[str, Any]:
    """What was found, and how good it is where gold pairs are known."""
    facts: dict[str, Any] = {
        "candidate_pairs": len(found.scores),
        "margins": margin_quantiles(found.scores),
        "threshold": threshold if math.isfinite(threshold) else None,
        "threshold_from": origin,
        "threshold_tuned": origin == TUNED,
        "pairs": int((found.scores >= threshold).sum()),
        "gold": None,
    }
    if known is not None:
        score = score_at(found.scores, known.is_gold, known.gold, threshold)
        facts |= {"gold": known.gold, "f1": score.f1, "precision": score.precision, "recall": score.recall}
        facts["average_precision"] = curve(found.scores, known.is_gold, known.gold).average_precision
    return facts


def pair_lines(found: Candidates, count: int, source: Sentences, target: Sentences) -> str:
    """The file of the first ``count`` candidates."""
    columns = [[f"{score:.6f}" for score in found.scores[:count].tolist()]]
    sides = [(source.side, source.unique.first[found.source]), (target.side, target.unique.first[found.target])]
    if source.side.named:
        columns += [[side.ids[row] for row in rows[:count]] for side, rows in sides]
    columns += [[side.texts[row] for row in rows[:count]] for side, rows in sides]
    return "".join("\t".join(cells) + "\n" for cells in zip(*columns, strict=True))


@contextmanager
def timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    """Note how long a part of the work took."""
    start = time.perf_counter()
    yield
    seconds[part] = round(time.perf_counter() - start, 3)
