"""The mining step: search, ratio margin, "max" selection and threshold, against plain per-candidate implementations.

    python benchmarks/mining.py --rows 100000 --width 384

The data: unit rows on two sides; every second target is a noisy copy of a source, the noise so spread that some copies
cannot be found. The copies are the gold pairs, on which the threshold is tuned. All three must extract the same pairs.

The two references share everything but the search, and follow the published algorithm (Artetxe & Schwenk 2019) one
candidate at a time: the margin of each of a row's k neighbours from their two embeddings, the greedy pass over offers
with sets of used rows, the sweep over candidates in a dictionary.

* per sentence: the search, too, is one sentence at a time, a matrix-vector product with the whole other side and a full
  sort. It is timed on ``--sample`` sentences a side, evenly spaced, and multiplied up where there are more; with one
  thread and with all, and the better is taken, as threads may slow down products with a vector.
* faiss: the search is two flat searches with faiss-cpu, the best that users of the published code have on a CPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from typing import Any

import faiss
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from dist_stilts.scoring.mining import BitextScore, best_threshold, gold_mask, margin_scores, select_candidates
from dist_stilts.search.neighbours import both_directions

NEIGHBOURS = 4
PARTS = ("search", "margin", "selection", "threshold")
Array = np.ndarray[Any, Any]
Found = tuple[Array, Array, Array, Array]
"""Cosines and rows of the neighbours, forward and backward."""
Pairs = set[tuple[int, int]]
Pair = tuple[float, int, int]
Seconds = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rows", 100_000), ("width", 384), ("sample", 500), ("threads", torch.get_num_threads())):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    source, target, gold = planted(arguments.rows, arguments.width)
    mine(*planted(1000, arguments.width))  # first calls are slow
    ours, our_pairs, our_score = mine(source, target, gold)
    faiss_search: Seconds = {}
    found = timed(faiss_search, "search", lambda: search_with_faiss(source, target))
    reference, pairs, score = mine_per_candidate(source, target, gold, found)
    same = "the same" if our_pairs == pairs else f"{len(our_pairs ^ pairs)} other"
    print(f"{arguments.rows:,} x {arguments.rows:,} x {arguments.width}, {arguments.threads} threads;", end=" ")
    print(f"{len(our_pairs):,} pairs of {len(gold):,}, F1 {our_score.f1:.4f}, threshold {our_score.threshold:.4f};")
    print(f"faiss and loops: {same} pairs, F1 {score.f1:.4f}, threshold {score.threshold:.4f}")
    per_sentence, note = min(
        with_blas_threads(threads, lambda: search_per_sentence(source, target, found, arguments.sample))
        for threads in {1, arguments.threads}
    )
    table(ours, {"faiss": faiss_search | reference, f"per sentence{note}": {"search": per_sentence} | reference})


def planted(rows: int, width: int) -> tuple[Array, Array, Array]:
    """Two sides of unit rows and the gold pairs [rows / 2, 2]; noise lengths of 0.5 to 6 times that of the source."""
    rng = np.random.default_rng(0)
    source = unit(rng.standard_normal((rows, width), np.float32))
    target = unit(rng.standard_normal((rows, width), np.float32))
    copied, places = rng.permutation(rows)[: rows // 2], rng.permutation(rows)[: rows // 2]
    target[places] = unit(source[copied] + target[places] * rng.uniform(0.5, 6, (rows // 2, 1)).astype(np.float32))
    return source, target, np.stack([copied, places], axis=1)


def unit(rows: Array) -> Array:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def timed(seconds: Seconds, part: str, action: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    result = action()
    seconds[part] = time.perf_counter() - began
    return result


def mine(source: Array, target: Array, gold: Array) -> tuple[Seconds, Pairs, BitextScore]:
    """The product's mining step: seconds of its parts, the pairs extracted and their score."""
    seconds: Seconds = {}
    scores, ids, other_scores, other_ids = timed(seconds, "search", lambda: search(source, target))
    forward, backward = timed(
        seconds,
        "margin",
        lambda: (margin_scores(scores, ids, other_scores), margin_scores(other_scores, other_ids, scores)),
    )
    pairs = timed(seconds, "selection", lambda: select_candidates(forward, ids, backward, other_ids, "max"))
    score = timed(
        seconds,
        "threshold",
        lambda: best_threshold(pairs.scores, gold_mask(pairs.source, pairs.target, gold), len(gold)),
    )
    kept = pairs.scores >= score.threshold
    return seconds, set(zip(pairs.source[kept].tolist(), pairs.target[kept].tolist(), strict=True)), score


def search(source: Array, target: Array) -> Found:
    forward, backward = both_directions(torch.from_numpy(source), torch.from_numpy(target), NEIGHBOURS)[:2]
    return forward.scores.numpy(), forward.ids.numpy(), backward.scores.numpy(), backward.ids.numpy()


def search_with_faiss(source: Array, target: Array) -> Found:
    sides: list[Array] = []
    for queries, others in ((source, target), (target, source)):
        index = faiss.IndexFlatIP(others.shape[1])
        index.add(others)
        sides += index.search(queries, NEIGHBOURS)
    return sides[0], sides[1], sides[2], sides[3]


def with_blas_threads(threads: int, action: Callable[[], Any]) -> Any:
    with threadpool_limits(threads, "blas"):
        return action()


def search_per_sentence(source: Array, target: Array, expected: Found, sample: int) -> tuple[float, str]:
    """Seconds to search every sentence by itself, and what to add to the name if that is an estimate."""
    sampled = np.unique(np.linspace(0, len(source) - 1, min(sample, len(source))).astype(int))
    began = time.perf_counter()
    for queries, others, cosines in ((source, target, expected[0]), (target, source, expected[2])):
        for row in sampled:
            products = others @ queries[row]
            best = np.argsort(-products)[:NEIGHBOURS]
            assert np.allclose(products[best], cosines[row], atol=1e-5), f"row {row}"
    seconds = (time.perf_counter() - began) * len(source) / len(sampled)
    return seconds, f" (search estimated from {len(sampled):,} a side)" if len(sampled) < len(source) else ""


def mine_per_candidate(source: Array, target: Array, gold: Array, found: Found) -> tuple[Seconds, Pairs, BitextScore]:
    """The published algorithm after its search, one candidate at a time."""
    seconds: Seconds = {}
    scores, ids, other_scores, other_ids = found
    means, other_means = scores.mean(axis=1), other_scores.mean(axis=1)
    forward, backward = timed(
        seconds,
        "margin",
        lambda: (
            loop_margins(source, target, ids, means, other_means),
            loop_margins(target, source, other_ids, other_means, means),
        ),
    )
    pairs = timed(seconds, "selection", lambda: loop_max(forward, ids, backward, other_ids))
    gold_pairs = set(map(tuple, gold.tolist()))
    score = timed(seconds, "threshold", lambda: loop_threshold(pairs, gold_pairs))
    return seconds, {pair for pair, margin in pairs.items() if margin >= score.threshold}, score


def loop_margins(rows: Array, others: Array, ids: Array, means: Array, other_means: Array) -> Array:
    margins = np.zeros(ids.shape)
    for row in range(len(ids)):
        for column in range(ids.shape[1]):
            other = ids[row, column]
            margins[row, column] = rows[row].dot(others[other]) / ((means[row] + other_means[other]) / 2)
    return margins


def loop_max(forward: Array, ids: Array, backward: Array, other_ids: Array) -> dict[tuple[int, int], float]:
    offers: list[Pair] = []
    for row in range(len(ids)):
        best = forward[row].argmax()
        offers.append((forward[row, best], row, int(ids[row, best])))
    for row in range(len(other_ids)):
        best = backward[row].argmax()
        offers.append((backward[row, best], int(other_ids[row, best]), row))
    return greedy(sorted(offers, key=lambda offer: -offer[0]))


def greedy(offers: Iterable[Pair]) -> dict[tuple[int, int], float]:
    kept, used_source, used_target = {}, set(), set()
    for margin, source, target in offers:
        if source not in used_source and target not in used_target:
            used_source.add(source)
            used_target.add(target)
            kept[source, target] = margin
    return kept


def loop_threshold(pairs: dict[tuple[int, int], float], gold: Pairs) -> BitextScore:
    """Sweep the pairs from the best down; the threshold lies half way after the prefix with the best F1."""
    ranked = sorted(pairs.items(), key=lambda pair: -pair[1])
    best, right = BitextScore(0.0, 0.0, 0.0, 0.0), 0
    for place, (pair, margin) in enumerate(ranked):
        right += pair in gold
        precision, recall = right / (place + 1), right / len(gold)
        f1 = 2 * precision * recall / (precision + recall) if right else 0.0
        if f1 > best.f1:
            following = ranked[place + 1][1] if place + 1 < len(ranked) else margin
            best = BitextScore((margin + following) / 2, f1, precision, recall)
    return best


def table(ours: Seconds, references: dict[str, Seconds]) -> None:
    """Seconds of every part, and how many times faster ours is, with and without the search."""
    print(f"\n| mining step | {' | '.join(PARTS)} | whole | ours is faster, whole | without search |")
    print("|---|" + "---:|" * 7)
    total, rest = sum(ours.values()), sum(ours.values()) - ours["search"]
    for name, seconds in {"ours": ours, **references}.items():
        whole = sum(seconds.values())
        cells = [f"{seconds[part]:,.3f}" for part in PARTS] + [f"{whole:,.2f}"]
        ratios = (
            [f"{whole / total:.1f}", f"{(whole - seconds['search']) / rest:.1f}"] if seconds is not ours else ["", ""]
        )
        print(f"| {name} | {' | '.join(cells + ratios)} |")
    print(f"\nours spends {rest / total:.2%} of its time outside the search")


if __name__ == "__main__":
    main()
