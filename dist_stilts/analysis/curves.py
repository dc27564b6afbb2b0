"""Curves of the score against the number of English intermediate examples, per intermediate task, target and language.

    scores (+ outcomes of test rows) -> cells -> noise -> course -> forms -> quantities with intervals -> :class:`Curve`

Every interval is a 95 % interval over training runs and, where outcomes are known, over test rows. Promise: deterministic
given ``seed``; what cannot be known is None and says why; no statement goes beyond twice the largest size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dist_stilts.analysis.cells import Cells, Outcomes, cells
from dist_stilts.analysis.estimate import Estimate
from dist_stilts.analysis.forms import Fit, choose, fit_forms
from dist_stilts.analysis.noise import Noise, noise, precision, relative_variances
from dist_stilts.analysis.profile import HORIZON, LEVEL, Interval, Profile
from dist_stilts.analysis.shape import LEVEL as TEST_LEVEL
from dist_stilts.analysis.shape import Drop, clearest_drop

Floats = NDArray[np.floating[Any]]

LEAST_SIZES = 4
"""A curve that saturates has four parameters; fewer sizes say nothing about its bend."""
GRID_POINTS = 48


@dataclass(frozen=True)
class Curve:
    """One curve: its cells, the forms laid through them, its course, and what it says about more data.

    Attributes:
        sizes: English intermediate examples [k]; means: percent [k]; seeds: runs per size [k]; count: test rows.
        left_out: degenerate runs that are not in the means.
        fits: the forms that could be fitted; chosen: the one that describes the scores best, None where none could be.
        shape: rising | flat | falling | non-monotone, by a test at the 5 % level; shape_note: its finding.
        total_gain: points from 0 to the largest size; per_doubling: points from n to 2n, by n.
        half_gain: size at which half of the total gain is reached.
        enough: n*, the size beyond which a doubling brings less than delta points.
        intervals_over: "seeds and test rows" | "seeds" | "nothing: one seed".
        grid: sizes at which line, the fitted curve, and low and high, its 95 % band, are given; no band, no low, high.
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
    shape: str
    shape_note: str
    total_gain: Estimate
    per_doubling: dict[int, Estimate]
    half_gain: Estimate
    enough: Estimate
    intervals_over: str
    grid: tuple[float, ...]
    line: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class _Read:
    """What is read off a curve once its course is known."""

    per_doubling: dict[int, Estimate]
    half_gain: Estimate
    enough: Estimate
    line: Floats
    low: Floats
    high: Floats


def curves(
    scores: pd.DataFrame,
    outcomes: Outcomes | None = None,
    *,
    delta: float = 0.25,
    draws: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
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
    weights = relative_variances(spread)
    within = sum(float(((v - v.mean()) ** 2).sum()) / w for v, w in zip(one.values, weights, strict=True))
    fits = fit_forms(one.sizes, one.means, within, one.runs, weights)
    chosen = choose(fits)
    gain = _total_gain(one, errors)
    shape, note = _course(one, spread, errors, fits, chosen, gain)
    grid = _line_grid(one.sizes)
    read = _read(one, spread, errors, shape, gain, delta, grid)
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
        per_doubling=read.per_doubling,
        half_gain=read.half_gain,
        enough=read.enough,
        intervals_over=spread.over,
        grid=tuple(grid.tolist()),
        line=tuple((read.line if chosen is None or shape == "non-monotone" else chosen(grid)).tolist()),
        low=tuple(read.low.tolist()),
        high=tuple(read.high.tolist()),
    )


def _estimate(value: float, interval: Interval | None, note: str = "") -> Estimate:
    """An estimate with what is missing said; an infinite value is one that was not reached."""
    known = value if math.isfinite(value) else None
    if interval is None:
        return Estimate(known, note="; ".join(filter(None, (note, ONE_SEED))))
    return Estimate(known, interval.low, interval.high, note)


ONE_SEED = "one seed: no interval"


def _spread(errors: Floats | None) -> Interval | None:
    """Interval about 0 of draws [draws] of one error; symmetric, as their distribution is."""
    if errors is None:
        return None
    half = float(np.quantile(np.abs(errors), LEVEL))
    return Interval(-half, half)


def _about(value: float, errors: Floats | None) -> Interval | None:
    spread = _spread(errors)
    return spread and Interval(value + spread.low, value + spread.high)


def _total_gain(one: Cells, errors: Floats | None) -> Estimate:
    if len(one.sizes) < 2 or one.sizes[0] != 0:
        return Estimate(None, note="no score without intermediate examples" if one.sizes else "no scores")
    gain = float(one.means[-1] - one.means[0])
    return _estimate(gain, _about(gain, None if errors is None else errors[:, -1] - errors[:, 0]))


def _course(
    one: Cells, spread: Noise, errors: Floats | None, fits: tuple[Fit, ...], chosen: Fit | None, gain: Estimate
) -> tuple[str, str]:
    """Shape of the curve and the finding behind it."""
    if len(one.sizes) < 2:
        return "flat", "one size only" if one.sizes else "no scores"
    flat = _is_flat(fits, chosen, gain)
    if errors is None:
        trend = float(np.polyfit(np.log1p(one.sizes), one.means, 1)[0])
        return "flat" if flat else "rising" if trend > 0 else "falling", "one seed: not tested"
    drop = clearest_drop(one.means, spread.covariance(), errors)
    if drop.p > TEST_LEVEL:
        return "flat" if flat else "rising", f"no drop beyond chance, p = {drop.p:.2g}"
    rise = clearest_drop(-one.means, spread.covariance(), errors)
    down = gain.high is not None and gain.high < 0
    return "falling" if down and rise.p > TEST_LEVEL else "non-monotone", _described(one, drop, len(errors))


def _is_flat(fits: tuple[Fit, ...], chosen: Fit | None, gain: Estimate) -> bool:
    """Constant by choice, or as good as the best form while the gain's interval holds 0."""
    if chosen is not None and chosen.form == "constant":
        return True
    no_gain = gain.low is not None and gain.high is not None and gain.low <= 0 <= gain.high
    constant = next((fit.aicc for fit in fits if fit.form == "constant"), 0.0)
    return no_gain and constant <= min((fit.aicc for fit in fits), default=0.0) + 2


def _described(one: Cells, drop: Drop, draws: int) -> str:
    start, end = (f"{one.means[index]:.1f} at {one.sizes[index]:,}" for index in (drop.start, drop.end))
    p = f"p = {drop.p:.2g}" if drop.p > 1 / (1 + draws) else f"p < {1 / draws:.2g}"
    return f"falls from {start} to {end}, {p}"


def _line_grid(sizes: tuple[int, ...]) -> Floats:
    positive = [size for size in sizes if size > 0]
    if not positive:
        return np.array(sizes, np.float64)
    above = np.geomspace(min(positive) / 4 if 0 in sizes else min(positive), max(positive), GRID_POINTS)
    return np.concatenate([[0.0] if 0 in sizes else [], above])


def _read(
    one: Cells, spread: Noise, errors: Floats | None, shape: str, gain: Estimate, delta: float, grid: Floats
) -> _Read:
    if shape == "non-monotone":
        return _interpolated(one, errors, grid, "not monotone")
    if len(one.sizes) < LEAST_SIZES or one.sizes[0] != 0:
        return _interpolated(one, errors, grid, f"fewer than {LEAST_SIZES} sizes, or none of them 0")
    profile = Profile(one.sizes, one.means, precision(spread.covariance()), errors)
    line, low, high = profile.line(grid)
    return _Read(
        per_doubling={size: _estimate(*profile.per_doubling(size)) for size in one.sizes if size > 0},
        half_gain=_half_gain(profile, shape, gain),
        enough=_enough(profile, delta),
        line=line,
        low=low,
        high=high,
    )


def _half_gain(profile: Profile, shape: str, gain: Estimate) -> Estimate:
    if gain.low is not None and gain.high is not None and gain.low <= 0 <= gain.high:
        return Estimate(None, note="the total gain's interval contains 0")
    if gain.low is None and shape == "flat":
        return Estimate(None, note="flat")
    return _estimate(*profile.half_gain())


def _enough(profile: Profile, delta: float) -> Estimate:
    value, interval = profile.enough(delta)
    if math.isinf(value):
        return _estimate(value, interval, f"not reached within {HORIZON * profile.largest:,} examples")
    return _estimate(value, interval, "" if value else f"no doubling brings {delta:g} points")


def _interpolated(one: Cells, errors: Floats | None, grid: Floats, why: str) -> _Read:
    """Without a curve that bends: what the means themselves say, on straight lines in log(1 + n) between them."""
    doubling = {}
    for size in (size for size in one.sizes if size > 0):
        if 2 * size > one.sizes[-1]:
            doubling[size] = Estimate(None, note=f"beyond the largest size; {why}")
            continue
        once, twice = _between(one.sizes, np.array([size, 2.0 * size]))
        gain = float((twice - once) @ one.means)
        doubling[size] = _estimate(gain, _about(gain, None if errors is None else errors @ (twice - once)))
    weights = _between(one.sizes, grid)
    line = weights @ one.means if one.sizes else grid
    half = np.empty(0) if errors is None else np.quantile(np.abs(errors @ weights.T), LEVEL, axis=0)
    low, high = (line - half, line + half) if len(half) else (half, half)
    return _Read(doubling, Estimate(None, note=why), Estimate(None, note=why), line, low, high)


def _between(sizes: tuple[int, ...], at: Floats) -> Floats:
    """Weights [n, k] of the means of ``sizes`` in the interpolated score at sizes ``at`` [n]."""
    if not sizes:
        return np.zeros((len(at), 0))
    where = np.log1p(np.array(sizes, np.float64))
    return np.stack([np.interp(np.log1p(at), where, row) for row in np.eye(len(sizes))], axis=1)
