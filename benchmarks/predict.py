"""Throughput of `predict` against transformers.pipeline: same processor, model and rows, in turns in one process.

    python benchmarks/predict.py --model E5 --data DATA --language de [--split dev] [--rows 1000] [--repeats 3]

The rows are XNLI's, in file order and so of real lengths. The model is any classifier; an encoder is given a new head
of three classes, which costs the same as a trained one. The pipeline is given all texts at once, in memory, at the
batch size that is fastest on `--sample` of them (1 = its default), and once more with the texts sorted by length, which
it does not do by itself. Ours reads a CSV file and writes JSON lines; its time is that of its own record. Opening the
model is in nobody's time.

Prints what both compute, compared row by row, then one table, in Markdown: medians over the repeats.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from bench_common import Job, conditions, row
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, pipeline
from transformers.utils import logging

from dist_stilts.apply.job import Request, predict_files
from dist_stilts.model.fine_tuned import open_model
from dist_stilts.parallel.world import ALONE
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import load_rows

SIZES = (1, 4, 8, 16, 32, 64)
Pairs = list[dict[str, str]]
Timed = tuple[float, Any]
"""Seconds, and what came of it."""


def main() -> None:
    """Measure in turns, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of a classifier, or of an encoder with its tokenizer")
    parser.add_argument("--data", required=True, type=Path, help="folder of real data, with XNLI")
    parser.add_argument("--language", default="de")
    parser.add_argument("--split", default="dev")
    numbers = {"rows": 1000, "sample": 200, "repeats": 3, "threads": torch.get_num_threads(), "max-length": 256}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as temporary:
        measure(given, Path(temporary))


def measure(given: argparse.Namespace, folder: Path) -> None:
    """Everything but the arguments."""
    pairs = read_pairs(given)
    model = classifier(given.model, folder)
    theirs = pipeline("text-classification", model=model, device="cpu")
    found, predictions, size = open_model(model), folder / "predictions.jsonl", 1
    write_csv(folder / "pairs.csv", pairs)

    def ours() -> Timed:
        predictions.unlink(missing_ok=True)
        inputs = [str(folder / "pairs.csv")]
        request = Request(model, inputs, str(predictions), lambda: found, max_length=given.max_length, dtype="float32")
        seconds = predict_files(request, ALONE, lambda _: None)["seconds"]
        return seconds, [json.loads(line) for line in predictions.read_text(encoding="utf-8").splitlines()]

    def by_pipeline(texts: Pairs, batch: int) -> Timed:
        began = time.perf_counter()
        result = theirs(texts, batch_size=batch, truncation=True, max_length=given.max_length, top_k=None)
        return time.perf_counter() - began, result

    sample = pairs[: given.sample]
    pilot = {batch: by_pipeline(sample, batch)[0] for batch in SIZES}
    size = min(pilot, key=lambda batch: pilot[batch])
    by_length = sorted(pairs, key=lambda pair: -len(pair["text"]) - len(pair["text_pair"]))
    ways: dict[str, Callable[[], Timed]] = {
        "ours": ours,
        f"pipeline, batch of {size}": lambda: by_pipeline(pairs, size),
        f"pipeline, batch of {size}, sorted by length": lambda: by_pipeline(by_length, size),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    results: dict[str, Any] = {}
    for _ in range(given.repeats):
        for way, work in ways.items():
            took, results[way] = work()
            seconds[way].append(took)
    print(conditions(Job(threads=given.threads)))
    print(
        f"{Path(given.model).name}, fp32; XNLI {given.split} {given.language}, {len(pairs)} rows in file order;",
        end=" ",
    )
    print(f"pipeline on {len(sample)} rows: " + ", ".join(f"{b}: {len(sample) / s:.1f}/s" for b, s in pilot.items()))
    print(compared(results["ours"], results[list(ways)[1]]))
    print_table(seconds, len(pairs))


def read_pairs(given: argparse.Namespace) -> Pairs:
    """The first rows as the pipeline takes them."""
    rows = load_rows(get_task("xnli"), given.data, given.split, given.language)[: given.rows]
    return [{"text": pair.text_a, "text_pair": pair.text_b} for pair in rows]


def classifier(model: str, folder: Path) -> str:
    """The model's folder; an encoder's with a new head."""
    config = AutoConfig.from_pretrained(model)
    if any("SequenceClassification" in name for name in config.architectures or []):
        return model
    torch.manual_seed(0)
    made = AutoModelForSequenceClassification.from_pretrained(model, num_labels=3, dtype=torch.float32)
    path = str(folder / "classifier")
    made.save_pretrained(path)
    AutoTokenizer.from_pretrained(model).save_pretrained(path)
    return path


def write_csv(path: Path, pairs: Pairs) -> None:
    """What ours reads."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["premise", "hypothesis"])
        writer.writerows(pair.values() for pair in pairs)


def compared(ours: Sequence[dict[str, Any]], theirs: Sequence[list[dict[str, Any]]]) -> str:
    """How far apart the two are."""
    scores = [{one["label"]: one["score"] for one in row} for row in theirs]
    same = sum(mine["label"] == max(other, key=other.__getitem__) for mine, other in zip(ours, scores, strict=True))
    apart = max(
        abs(mine["probabilities"][label] - score)
        for mine, other in zip(ours, scores, strict=True)
        for label, score in other.items()
    )
    return f"labels: {same} of {len(ours)} the same; greatest difference of a probability: {apart:.1e}."


def print_table(seconds: dict[str, list[float]], rows: int) -> None:
    """Medians, ranges, and how many times faster ours is, turn by turn."""
    print("\n" + row("predicting", "rows/s, median", "lowest", "highest", "ours is faster", "least", "most"))
    print("|---|" + "---:|" * 6)
    for way, own in seconds.items():
        pace = [rows / one for one in own]
        ratios = [other / mine for other, mine in zip(own, seconds["ours"], strict=True)]
        cells = [f"{value:.1f}" for value in (statistics.median(pace), min(pace), max(pace))]
        faster = [f"{value:.2f}" for value in (statistics.median(ratios), min(ratios), max(ratios))]
        print(row(way, *cells, *([""] * 3 if way == "ours" else faster)))


if __name__ == "__main__":
    main()
