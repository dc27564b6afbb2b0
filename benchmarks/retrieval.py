"""Encoding speed on Tatoeba: ours against sentence-transformers' `encode`, in one run, language by language.

    python benchmarks/retrieval.py --model DIR --data DIR/tatoeba --languages deu,fra,jpn --repeats 5

Texts to unit vectors in fp32: tokenising, encoding and, of ours, writing the file. Both take turns; medians of the
repeats. Both pool by the mean of all tokens; the vectors are compared. One rank; run it where nothing else runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dist_stilts.evaluate.embedding import Embedder, Reading
from dist_stilts.model.multitask import load_model
from dist_stilts.parallel.world import current
from dist_stilts.tasks.files import read_lines

BATCH_SIZE = 32
"""The default of sentence-transformers."""


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    peer = sentence_transformer(arguments.model, arguments.max_length)
    print(f"{arguments.threads} threads, {arguments.batch_tokens} tokens a batch, medians of {arguments.repeats}\n")
    print("| language | texts | ours, texts/s | sentence-transformers, texts/s | ratio | least cosine |")
    print("|---|---|---|---|---|---|")
    totals = np.zeros(3)
    with tempfile.TemporaryDirectory() as cache:
        embed = our_encoder(arguments, Path(cache))
        for language in arguments.languages or available(arguments.data):
            texts = [line for _, line in read_lines(file_of(arguments.data, language))]
            row = np.array([len(texts), *measure(texts, embed, peer, arguments)])
            totals += row[:3]
            print(line_of(language, *row), flush=True)
    print(line_of("all", *totals, float("nan")).replace("nan", ""))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="A Hugging Face folder.")
    parser.add_argument("--data", type=Path, required=True, help="The folder with tatoeba.deu-eng.deu and so on.")
    parser.add_argument(
        "--languages", type=lambda names: names.split(","), help="As in the files' names, such as deu,eng; else all."
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--max-length", type=int, default=512)
    return parser.parse_args()


def available(data: Path) -> list[str]:
    return sorted(path.suffix[1:] for path in data.glob("tatoeba.*-eng.*") if path.suffix != ".eng")


def file_of(data: Path, language: str) -> Path:
    """A language's texts; English is what stands beside the first of the others."""
    pair = available(data)[0] if language == "eng" else language
    return data / f"tatoeba.{pair}-eng.{language}"


def our_encoder(arguments: argparse.Namespace, cache: Path) -> Callable[[list[str]], np.ndarray]:
    model, tokenizer, _ = load_model(arguments.model, [])
    runs = iter(range(10**9))

    def embed(texts: list[str]) -> np.ndarray:
        """Never the same model twice, so nothing is found in the cache."""
        embedder = Embedder(
            model=model,
            model_id=str(next(runs)),
            tokenizer=tokenizer,
            world=current(),
            reading=Reading((model.encoder.config.num_hidden_layers,)),
            max_length=arguments.max_length,
            cache=cache,
            batch_tokens=arguments.batch_tokens,
        )
        return embedder(texts)[0]

    return embed


def sentence_transformer(folder: str, max_length: int) -> Any:
    """The peer's model, with mean pooling also where the folder says nothing of it."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    if (Path(folder) / "modules.json").is_file():
        model = SentenceTransformer(folder, device="cpu")
    else:
        transformer = Transformer(folder)
        width = transformer.get_embedding_dimension()
        model = SentenceTransformer(modules=[transformer, Pooling(width, "mean")], device="cpu")
    model.max_seq_length = max_length
    return model


def measure(
    texts: list[str], embed: Callable[[list[str]], np.ndarray], peer: Any, arguments: argparse.Namespace
) -> tuple[float, float, float]:
    """Median seconds of ours and of the peer, and the least cosine of the two vectors of a text."""
    ours, theirs = [], []
    embed(texts[:100])
    peer.encode(texts[:100], show_progress_bar=False)
    for _ in range(arguments.repeats):
        began = time.perf_counter()
        mine = embed(texts)
        between = time.perf_counter()
        other = peer.encode(texts, batch_size=BATCH_SIZE, normalize_embeddings=True, show_progress_bar=False)
        ours.append(between - began)
        theirs.append(time.perf_counter() - between)
    return statistics.median(ours), statistics.median(theirs), float((mine * other).sum(1).min())


def line_of(language: str, texts: float, ours: float, theirs: float, cosine: float) -> str:
    speed = f"{texts / ours:.0f} | {texts / theirs:.0f} | {theirs / ours:.2f}"
    return f"| {language} | {texts:.0f} | {speed} | {cosine:.6f} |"


if __name__ == "__main__":
    main()
