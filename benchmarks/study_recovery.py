"""Whether the analysis of a study finds what was planted, and nothing else: made-up result tables with known curves.

    python benchmarks/study_recovery.py                 # 500 tables of each kind, under ten minutes on two cores
    python benchmarks/study_recovery.py --tables 20 --small

Four kinds of tables, each of five sizes and three seeds, one target of 500 test rows, ten languages (the last two: six)
beside English:

* rising: power laws in points; they have nothing to do with the planted distance, nor with two others;
* distance: power laws of the logit, none of the forms that are fitted; languages further from English gain less
  on that scale, and so their gains end sooner;
* decline: as rising, but three languages lose 4 points per doubling from 300 examples on;
* flat: nothing is gained.

Truth is the population value over test rows and runs. An interval counts as covering where it holds the truth; a size
where gains end beyond the horizon of the curves is truly "not reached", and covered where the interval says it may be.
Prints one table, in Markdown; ``--small`` makes tables of six languages and draws less, for a quick look.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from dist_stilts.analysis.curves import Curve, curves
from dist_stilts.analysis.effects import CURVATURE, ENDS, PER_DOUBLING, TOTAL_GAIN, Effect, effects
from dist_stilts.analysis.estimate import Estimate
from dist_stilts.analysis.profile import HORIZON
from dist_stilts.analysis.typology import Distances
from dist_stilts.report.progress import Progress

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from planted import Design, Results, TrueCurve, study

DELTA = 0.25
RISING = Design(
    languages=10,
    scale="points",
    level=50.0,
    gain=20.0,
    beta=1.2,
    gain_spread=2.5,
    level_spread=5.0,
    others={"other a": 0.5, "other b": 0.0},
)
DISTANCE = Design(languages=10, beta=1.2, gain_slope=-2.0, others=RISING.others)
KINDS = {
    "rising": RISING,
    "distance": DISTANCE,
    "decline": replace(RISING, languages=6, declining=(0, 1, 2), decline=4.0, others={}),
    "flat": replace(RISING, languages=6, gain=0.0, gain_spread=0.0, others={}),
}
COVERED, ALARM, POWER = "92-98 %", "at most 6 %", ""
Count = tuple[str, str, str, bool]
"""What was looked at, in which kind of table, what its share should be, and whether it was so."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=500, help="of each kind")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    # One thread per process; spawned ones read this before they load numpy.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    work = [(kind, seed, arguments.small) for seed in range(arguments.tables) for kind in KINDS]
    counted: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    with (
        multiprocessing.get_context("spawn").Pool(arguments.processes) as pool,
        Progress("tables", len(work)) as progress,
    ):
        for done, counts in enumerate(pool.imap_unordered(one_table, work), start=1):
            for what, kind, share, so in counts:
                counted[what, kind, share].append(so)
            progress.update(done)
    print_table(counted, arguments.tables)


def one_table(work: tuple[str, int, bool]) -> list[Count]:
    """Draw one table, analyse it and compare with what was planted."""
    kind, seed, small = work
    design = replace(KINDS[kind], languages=6) if small else KINDS[kind]
    results = study(design, seed * len(KINDS) + list(KINDS).index(kind))  # no two tables share their noise
    scores = pd.DataFrame(results.records)
    found = curves(
        scores[scores["language"] != "en"], results.outcomes, delta=DELTA, draws=200 if small else 500, seed=seed
    )
    counts = [*of_curves(kind, found, results)]
    if kind in ("rising", "distance"):
        values = pd.DataFrame(results.distances)
        distances = Distances(values, values * 0 + 1, "made up")
        of_distance = effects(scores, found, distances, pd.DataFrame(), permutations=400 if small else 1000, seed=seed)
        counts += of_effects(kind, of_distance, results)
    return counts


def of_curves(kind: str, found: list[Curve], results: Results) -> Iterator[Count]:
    for curve in found:
        if curve.is_mean:
            yield from of_mean(kind, curve, results)
            continue
        truth = results.truth.curves[curve.target, curve.language]
        yield from of_curve(kind, curve, truth)
        name = f"scores of a language said to {'fall' if truth.decline else 'rise and fall, or fall'}"
        share = POWER if truth.decline else ALARM
        yield name, kind, share, curve.shape.falls


def of_curve(kind: str, curve: Curve, truth: TrueCurve) -> Iterator[Count]:
    """Coverage of the intervals of one curve that is truly monotone."""
    yield from covers("total gain", kind, curve.total_gain, truth.total_gain())
    if truth.decline or kind == "flat":
        return
    for size, estimate in curve.per_doubling.items():
        yield from covers(f"gain of doubling {size:,}", kind, estimate, truth.per_doubling(size))
    yield from covers("size at half gain", kind, curve.half_gain, truth.half_gain())
    end = truth.enough(DELTA)
    yield from covers("size n* where gains end", kind, curve.enough, math.inf if end > HORIZON * truth.largest else end)


def of_mean(kind: str, curve: Curve, results: Results) -> Iterator[Count]:
    truth = results.truth
    largest, none = (truth.mean_score(curve.target, size) for size in (max(truth.sizes), 0))
    yield from covers("total gain, mean of languages", kind, curve.total_gain, largest - none)
    if kind in ("rising", "distance"):
        for size, estimate in curve.per_doubling.items():
            gain = truth.mean_score(curve.target, 2 * size) - truth.mean_score(curve.target, size)
            yield from covers(f"gain of doubling {size:,}, mean of languages", kind, estimate, gain)


def covers(what: str, kind: str, estimate: Estimate, truth: float) -> Iterator[Count]:
    if estimate.low is not None and estimate.high is not None:
        yield f"95 % interval of {what} covers", kind, COVERED, estimate.low <= truth <= estimate.high


def of_effects(kind: str, found: list[Effect], results: Results) -> Iterator[Count]:
    """Coverage of the slope on distance, false alarms and power, per outcome."""
    truth = results.truth
    slopes = {PER_DOUBLING: truth.slope_on_distance(), TOTAL_GAIN: truth.gain_on_distance()}
    for outcome in (PER_DOUBLING, ENDS, CURVATURE, TOTAL_GAIN):
        of_outcome = [effect for effect in found if effect.outcome == outcome]
        planted = next(effect for effect in of_outcome if effect.distance == "planted")
        if outcome in slopes or kind == "rising":
            interval = Estimate(planted.estimate, planted.low, planted.high)
            if not math.isnan(planted.low):
                yield from covers(f"distance's effect on {outcome}", kind, interval, slopes.get(outcome, 0.0))
        if kind == "rising":
            yield f"p < .05 for {outcome}", kind, ALARM, planted.p < 0.05
            yield f"any Holm p < .05 for {outcome}", kind, ALARM, any(e.p_holm < 0.05 for e in of_outcome)
        elif outcome != CURVATURE:
            yield f"Holm p < .05 for {outcome}", kind, POWER, planted.p_holm < 0.05 and planted.estimate < 0


def print_table(counted: dict[tuple[str, str, str], list[bool]], tables: int) -> None:
    print(f"{tables:,} tables of each kind\n")
    print("| finding | planted | should be | is | of |")
    print("|---|---|---|---:|---:|")
    order = list(KINDS)
    for (what, kind, share), so in sorted(
        counted.items(), key=lambda row: (row[0][2], row[0][0], order.index(row[0][1]))
    ):
        print(f"| {what} | {kind} | {share or 'high'} | {100 * sum(so) / len(so):.1f} % | {len(so):,} |")


if __name__ == "__main__":
    main()
