"""Mine translation pairs from two plain text files with any encoder: embed, margin, one-to-one, best first."""

from __future__ import annotations

from pathlib import Path

from dist_stilts.data.batches import Vocabulary
from dist_stilts.evaluate.predict import evaluation_dtype
from dist_stilts.evaluate.retrieval import Embedder, first_occurrences, mine
from dist_stilts.evaluate.suite import EvaluationConfig
from dist_stilts.layout import write_text
from dist_stilts.model.multitask import load_model
from dist_stilts.parallel.world import World
from dist_stilts.tasks.files import read_lines


def mine_files(
    source: Path,
    target: Path,
    model: str,
    out: Path,
    threshold: float,
    config: EvaluationConfig,
    max_length: int,
    world: World,
) -> int:
    """Write ``margin <TAB> source line <TAB> target line`` for every pair above the threshold, best first.

    A text that stands in a file more than once is used once; blank lines are passed over. Every rank calls it.

    Returns:
        the number of pairs written.
    """
    encoder, tokenizer, _ = load_model(model, [])
    encoder.to(world.device, evaluation_dtype(config.dtype, world.device))
    embedder = Embedder(
        encoder, tokenizer, Vocabulary.of(tokenizer), world, config.batch_size, max_length, config.layer, config.centre
    )
    sides = []
    for path in (source, target):
        lines = tuple(line.strip() for _, line in read_lines(path) if line.strip())
        sides.append([lines[row] for row in first_occurrences(lines)])
    pairs = mine(embedder(tuple(sides[0])).vectors, embedder(tuple(sides[1])).vectors)
    kept = [
        (score, s, t)
        for score, s, t in zip(pairs.scores, pairs.source, pairs.target, strict=True)
        if score >= threshold
    ]
    if world.is_main:
        write_text(out, "".join(f"{score:.6f}\t{sides[0][s]}\t{sides[1][t]}\n" for score, s, t in kept))
    return len(kept)
