from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dist_stilts.analysis.cells import MEAN
from dist_stilts.analysis.curves import Curve, curves
from dist_stilts.analysis.estimate import Estimate
from dist_stilts.analysis.noise import Over
from dist_stilts.analysis.shape import Shape

SIZES = (0, 100, 300, 1000, 3000)
Truth = Callable[[Any], Any]


def rising(gain: float = 9.0, beta: float = 0.6, bend: float = 60.0) -> Truth:
    return lambda n: 55 + gain * (1 - (1 + np.asarray(n) / bend) ** -beta) / (1 - (1 + 3000 / bend) ** -beta)


def declining(n: Any) -> Any:
    """Rises up to 300, then loses 3 points up to 3,000."""
    n = np.asarray(n, float)
    return rising()(np.minimum(n, 300)) - 3 * np.log(np.maximum(n, 300) / 300) / np.log(10)


def table(seed: int, truth: Truth, *, noise: float = 1.0, seeds: int = 3, sizes: Any = SIZES) -> pd.DataFrame:
    """Scores of two languages in points; two thirds of a run's noise is shared by them."""
    rng = np.random.default_rng(seed)
    runs = [(size, seed, language) for size in sizes for seed in range(seeds) for language in ("de", "sw")]
    found = pd.DataFrame(runs, columns=["size", "seed", "language"])
    shared = np.repeat(rng.normal(0, 0.8 * noise, len(runs) // 2), 2)
    found["value"] = [float(truth(size)) for size in found["size"]] + shared + rng.normal(0, 0.6 * noise, len(runs))
    found["intermediate"] = np.where(found["size"] > 0, "mnli", "")
    found["run"] = found["size"].astype(str) + "-" + found["seed"].astype(str)
    return found.assign(trained=True, target="xnli", metric="accuracy", count=1000, degenerate=False)


def one_curve(scores: pd.DataFrame, **options: Any) -> Curve:
    return curves(scores[scores["language"] == "de"], **{"draws": 200, **options})[0]


def test_a_planted_decline_is_found_and_named() -> None:
    found = [one_curve(table(seed, declining, noise=0.5)) for seed in range(5)]
    curve = next(curve for curve in found if curve.shape is Shape.NON_MONOTONE)
    assert sum(curve.shape is Shape.NON_MONOTONE for curve in found) >= 4
    assert curve.shape_note.startswith("falls from ")
    assert " at 3,000, p " in curve.shape_note
    assert curve.enough == curve.half_gain == Estimate(None, note="the curve falls and rises")
    assert curve.line[-1] == pytest.approx(curve.means[-1])


def test_a_curve_carries_what_its_page_shows() -> None:
    curve = one_curve(table(0, rising(), noise=0.3))
    assert (curve.sizes, curve.seeds, curve.shape) == (SIZES, (3,) * 5, Shape.RISING)
    assert (curve.intervals_over, curve.left_out, curve.count, curve.is_mean) == (Over.SEEDS, 0, 1000, False)
    assert [fit.form for fit in curve.fits] == ["constant", "log-linear", "power law", "log-law"]
    assert curve.chosen in curve.fits
    assert list(curve.per_doubling) == [100, 300, 1000, 3000]
    assert len(curve.grid) == len(curve.line) == len(curve.low) == len(curve.high)
    assert (curve.grid[0], curve.grid[-1]) == (0, 3000)
    assert (np.array(curve.low) < np.array(curve.high)).all()


def test_intervals_depend_on_the_seed_and_not_on_other_curves_in_the_table() -> None:
    scores = table(0, rising())
    seen: list[tuple[int, int]] = []
    found = curves(scores, draws=200, seed=1, progress=lambda done, of: seen.append((done, of)))
    assert found[0] == one_curve(scores, seed=1)
    assert found[0].total_gain != one_curve(scores, seed=2).total_gain
    assert [(curve.language, curve.is_mean) for curve in found] == [("de", False), ("sw", False), (MEAN, True)]
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("seeds", [1, 3])
def test_what_is_not_reached_is_censored_and_one_seed_has_no_interval_anywhere(seeds: int) -> None:
    scores = table(0, lambda n: 50 + 2 * np.log2(1 + n / 50), noise=0.2, seeds=seeds)
    curve = one_curve(scores)
    assert (curve.enough.value, curve.enough.censored, curve.enough.reached) == (None, True, False)
    assert curve.enough.note.startswith("not reached within 6,000 examples")
    assert curve.enough.high == (math.inf if seeds > 1 else None)
    assert (curve.intervals_over is Over.NOTHING) is (curve.low == curve.high == ()) is (seeds == 1)
    for estimate in (curve.total_gain, curve.half_gain, curve.enough, *curve.per_doubling.values()):
        assert (estimate.low is None) is (estimate.high is None) is (seeds == 1)
        assert ("one seed: no interval" in estimate.note) is (seeds == 1)


def test_no_size_beyond_twice_the_largest_is_claimed() -> None:
    for seed in range(5):
        enough = one_curve(table(seed, rising(beta=0.3), noise=0.5), draws=100).enough
        assert enough.censored or (enough.value is not None and enough.value <= 6000)
        assert enough.high <= 6000 or enough.high == math.inf


def test_half_of_no_gain_the_end_of_two_sizes_and_the_gain_over_no_baseline_are_neither_given_nor_censored() -> None:
    half = one_curve(table(1, lambda n: 60.0)).half_gain
    assert half == Estimate(None, note="the total gain's interval contains 0")
    curve = one_curve(table(0, rising(20), sizes=(0, 300)))
    assert curve.total_gain.low > 0
    assert (curve.chosen, curve.shape) == (None, Shape.RISING)
    assert curve.enough == Estimate(None, note="fewer than 4 sizes")
    assert half.reached is curve.enough.reached is None
    scores = table(0, rising(), sizes=SIZES[1:])
    assert one_curve(scores).total_gain == Estimate(None, note="no score without intermediate examples")
    assert one_curve(scores).per_doubling[100].low is not None
    assert curves(scores[:0]) == []


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda scores: scores[scores["size"] == 300], "one size only"),
        (lambda scores: scores.assign(degenerate=True), "no scores"),
        (lambda scores: scores.assign(value=50.0), "no drop beyond chance, p = 1"),
        (lambda scores: scores.assign(value=0.0, count=0), "no drop beyond chance, p = 1"),
    ],
)
def test_poor_tables_are_described_and_not_refused(change: Callable[[Any], Any], note: str) -> None:
    curve = one_curve(change(table(0, rising())), draws=100)
    assert (curve.shape, curve.shape_note) == (Shape.FLAT, note)
