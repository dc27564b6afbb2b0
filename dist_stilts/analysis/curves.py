"""Curves of the score against the number of English intermediate examples, per intermediate task, target and language.

    scores (+ outcomes of test rows) -> cells -> noise -> course -> forms -> quantities with intervals -> :class:`Curve`

Every interval is a 95 % interval over training runs and, where outcomes are known, over test rows. Promise:
deterministic given ``seed``; what cannot be known is None and says why; no claim goes beyond twice the largest size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dist_stilts.analysis.cells import Cells, Outcomes, cells
from dist_stilts.analysis.estimate import Estimate
from dist_stilts.analysis.forms import Fit, choose, fit_forms
from dist_stilts.analysis.noise import Over, noise, relative_variances
from dist_stilts.analysis.quantities import between, interpolated, modelled, total_gain, unmodelled
from dist_stilts.analysis.shape import Shape, course
from dist_stilts.conventions import OnCount

Floats = NDArray[np.floating[Any]]

GRID_POINTS = 48


@dataclass(frozen=True)
class Curve:
    """One curve: its cells, the forms laid through them, its course, and what it says about more data.

    Attributes:
        sizes: English intermediate examples [k]; means: percent [k]; seeds: runs per size [k]; count: test rows.
        left_out: degenerate runs that are not in the means.
        fits: the forms that could be fitted; chosen: the one that describes the scores best, None where none could be.
        shape: by a test at the 5 % level; shape_note: its finding.
        total_gain: points from 0 to the largest size; per_doubling: points from n to 2n, by n.
        half_gain: size at which half of the total gain is reached.
        enough: n*, the size beyond which a doubling brings less than delta points.
        grid: sizes at which line, the fitted curve, and low and high, its 95 % band, are given; no band, no low, high.
        is_mean: whether it is that of the mean over all languages but English.
    """

    intermediate: str
    target: str
    metric: str
    language: str
    sizes: tuple[int, ...]
    means: tuple[float, ...]
    seeds: tuple[int, ...]
    count: int
    left_out: int
    fits: tuple[Fit, ...]
    chosen: Fit | None
    shape: Shape
    shape_note: str
    total_gain: Estimate
    per_doubling: dict[int, Estimate]
    half_gain: Estimate
    enough: Estimate
    intervals_over: Over
    grid: tuple[float, ...]
    line: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    is_mean: bool = False


def curves(
    scores: pd.DataFrame,
    outcomes: Outcomes | None = None,
    *,
    delta: float = 0.25,
    draws: int = 1000,
    seed: int = 0,
    progress: OnCount | None = None,
) -> list[Curve]:
    """Every curve of a study: one per (intermediate, target, language), and one for the mean of all but English.

    Args:
        scores: one row per score of a finished run (intermediate, size, trained, target, metric, language, value in
            percent, count, degenerate, run); size 0, the baseline, belongs to every intermediate.
        outcomes: (run, target, language) -> outcome per test row, 0..1; curves whose runs all have them get intervals
            over test rows, too.
        delta: points that a doubling must bring to be worth it, for ``enough``.
        draws: of the bootstrap, per curve.
        progress: called after every curve with how many are done, and of how many.

    Returns:
        Curves by intermediate, target and language, the mean last.
    """
    found = list(cells(scores, outcomes or {}))
    result = []
    for done, one in enumerate(found, start=1):
        name = "\t".join((one.intermediate, one.target, one.metric, one.language))
        result.append(_curve(one, delta, draws, np.random.default_rng([seed, *name.encode()])))
        if progress is not None:
            progress(done, len(found))
    return result


def _curve(one: Cells, delta: float, draws: int, rng: np.random.Generator) -> Curve:
    spread = noise(one)
    errors = spread.draw(draws, rng) if spread.degrees else None
    fits = _fits(one, relative_variances(spread))
    chosen = choose(fits)
    gain = total_gain(one, errors)
    shape, note = course(one.sizes, one.means, spread.covariance(), errors, fits, chosen, gain)
    grid, why = _grid(one.sizes), unmodelled(one.sizes, shape)
    found = interpolated(one, errors, grid, why) if why else modelled(one, spread, errors, gain, delta, grid)
    return Curve(
        intermediate=one.intermediate,
        target=one.target,
        metric=one.metric,
        language=one.language,
        sizes=one.sizes,
        means=tuple(one.means.tolist()),
        seeds=tuple(int(runs) for runs in one.runs),
        count=one.count,
        left_out=one.left_out,
        fits=fits,
        chosen=chosen,
        shape=shape,
        shape_note=note,
        total_gain=gain,
        per_doubling=found.per_doubling,
        half_gain=found.half_gain,
        enough=found.enough,
        intervals_over=spread.over,
        grid=tuple(grid.tolist()),
        line=tuple((between(one.sizes, grid) @ one.means if why or chosen is None else chosen(grid)).tolist()),
        low=tuple(found.low.tolist()),
        high=tuple(found.high.tolist()),
        is_mean=one.is_mean,
    )


def _fits(one: Cells, variances: Floats) -> tuple[Fit, ...]:
    squares = [float(((values - values.mean()) ** 2).sum()) for values in one.values]
    within = sum(square / variance for square, variance in zip(squares, variances, strict=True))
    return fit_forms(one.sizes, one.means, within, one.runs, variances)


def _grid(sizes: tuple[int, ...]) -> Floats:
    """Sizes for drawing: 0 where it was tried, and even steps of the logarithm up to the largest."""
    positive = [size for size in sizes if size > 0]
    if not positive:
        return np.array(sizes, np.float64)
    if sizes[0] > 0:
        return np.geomspace(min(positive), max(positive), GRID_POINTS)
    return np.concatenate([[0.0], np.geomspace(min(positive) / 4, max(positive), GRID_POINTS - 1)])
