"""Gain per doubling against distance from English: one panel per distance, languages as named points.

The line and its 95 % band are ordinary least squares through the points that are shown, for the eye; what the panel's
title says comes from the regression over all scores (:mod:`dist_stilts.analysis.effects`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np

from dist_stilts.analysis.effects import ALL, PER_DOUBLING, Effect
from dist_stilts.analysis.typology import HALF, Distances
from dist_stilts.conventions import ENGLISH
from dist_stilts.report.correlation import correlate
from dist_stilts.report.numbers import p_equals, signed
from dist_stilts.study.figures import FAINT, INK, RULE, Drawing, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dist_stilts.analysis.curves import Curve

POINT_COLOUR = "#0072b2"
OFFSETS = ((5, 4), (5, -9), (-5, 4), (-5, -9), (0, 7), (0, -12), (8, -2), (-8, -2))
"""Where a name may stand beside its point, in points, by preference."""


@dataclass(frozen=True)
class Gain:
    """Gain in points per doubling at the largest size; an interval only where it is that of one curve."""

    value: float
    low: float | None = None
    high: float | None = None


def gains_by_language(curves: Sequence[Curve], intermediate: str) -> dict[str, Gain]:
    """Mean over targets, and over intermediate tasks where ``intermediate`` is "all", of every language but English."""
    groups: dict[str, list[Gain]] = {}
    for curve in curves:
        if curve.is_mean or curve.language == ENGLISH or intermediate not in (ALL, curve.intermediate):
            continue
        last = curve.per_doubling.get(max(curve.per_doubling, default=0))
        if last is not None and last.value is not None:
            groups.setdefault(curve.language, []).append(Gain(last.value, last.low, last.high))
    return {
        language: found[0] if len(found) == 1 else Gain(mean(gain.value for gain in found))
        for language, found in sorted(groups.items())
    }


def draw_gains(
    curves: Sequence[Curve], effects: Sequence[Effect], distances: Distances, intermediate: str
) -> list[Drawing]:
    """One panel per distance; those that no language has a value for are left out."""
    gains = gains_by_language(curves, intermediate)
    wanted = (PER_DOUBLING, intermediate)
    effect_of = {effect.distance: effect for effect in effects if (effect.outcome, effect.intermediate) == wanted}
    found = []
    for name in distances.values.columns:
        known = {str(lang): float(value) for lang, value in distances.values[name].items() if not math.isnan(value)}
        own = {lang: gain for lang, gain in gains.items() if lang in known}
        if not own:
            continue
        hollow = {lang for lang in own if distances.observed[name].get(lang, 1.0) < HALF}
        found.append(_drawing(name, intermediate, own, known, hollow, effect_of.get(name)))
    return found


def _drawing(
    name: str,
    intermediate: str,
    gains: Mapping[str, Gain],
    distances: Mapping[str, float],
    hollow: set[str],
    effect: Effect | None,
) -> Drawing:
    correlation = correlate({lang: gain.value for lang, gain in gains.items()}, distances)
    said = [str(correlation), effect_in_words(effect)]
    figure, axes = panel(f"{name} distance" + f", {intermediate}" * (intermediate != ALL), "\n".join(said), width=0.8)
    x = np.array([distances[lang] for lang in gains])
    y = np.array([gain.value for gain in gains.values()])
    axes.axhline(0, color="0.6", linewidth=1, zorder=1)
    if len(set(x)) > 1 and len(x) > 2:
        _draw_regression(axes, x, y)
    for lang, gain in gains.items():
        if gain.low is not None and gain.high is not None:
            axes.plot([distances[lang]] * 2, [gain.low, gain.high], color=RULE, linewidth=1.3, zorder=2)
    fill = ["white" if lang in hollow else POINT_COLOUR for lang in gains]
    axes.scatter(x, y, s=26, c=fill, edgecolors=POINT_COLOUR, linewidth=1.2, zorder=4)
    axes.set_xlabel(f"{name} distance from English")
    axes.set_ylabel("points per doubling")
    _limits(axes, x, y)
    _name_points(axes, dict(zip(gains, zip(x, y, strict=True), strict=True)))
    hidden = f" {len(hollow)} of them rest on imputed features." if hollow else ""
    words = f"Gain per doubling against {name} distance, {len(gains)} languages. {'; '.join(said)}.{hidden}"
    return Drawing(f"gain {name} {intermediate}", figure, words)


def effect_in_words(effect: Effect | None) -> str:
    """Estimate, interval and both p values on one short line."""
    if effect is None or math.isnan(effect.estimate):
        return "no estimate"
    interval = "" if math.isnan(effect.low) else f" [{signed(effect.low, 3)}, {signed(effect.high, 3)}]"
    p = f"p {p_equals(effect.p)}, Holm {p_equals(effect.p_holm)}"
    return f"effect {signed(effect.estimate, 3)}{interval}, {p}"


def _draw_regression(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """The least-squares line with the 95 % interval of its mean (Student's t, n - 2 degrees of freedom)."""
    from scipy.stats import t

    slope, start = np.polyfit(x, y, 1)
    at = np.linspace(x.min(), x.max(), 40)
    freedom = len(x) - 2
    residual = math.sqrt(float(((y - start - slope * x) ** 2).sum()) / freedom)
    spread = float(((x - x.mean()) ** 2).sum())
    half = t.ppf(0.975, freedom) * residual * np.sqrt(1 / len(x) + (at - x.mean()) ** 2 / spread)
    axes.fill_between(at, start + slope * at - half, start + slope * at + half, color="0.88", linewidth=0, zorder=1)
    axes.plot(at, start + slope * at, color=INK, linewidth=1.4, zorder=3)


def _limits(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Room for names on all sides; intervals that leave it are cut, for the points are what is compared."""
    across, up = max(float(np.ptp(x)), 0.05), max(float(np.ptp(y)), 0.1)
    axes.set_xlim(float(x.min()) - 0.08 * across, float(x.max()) + 0.12 * across)
    axes.set_ylim(min(float(y.min()), 0.0) - 0.15 * up, max(float(y.max()), 0.0) + 0.15 * up)


def _name_points(axes: Axes, places: Mapping[str, tuple[float, float]]) -> None:
    """Write each name where it covers the least of the names and points that are there; greedy, in order of height."""
    at = {lang: axes.transData.transform(place) * 72 / axes.figure.dpi for lang, place in places.items()}
    taken: list[tuple[float, float, float, float]] = [(x - 3, y - 3, x + 3, y + 3) for x, y in at.values()]
    for lang in sorted(places, key=lambda name: -places[name][1]):
        boxes = [_box(at[lang], offset, lang) for offset in OFFSETS]
        best = min(range(len(OFFSETS)), key=lambda i: (sum(_common(boxes[i], box) for box in taken), i))
        taken.append(boxes[best])
        style: dict[str, Any] = {"fontsize": 7.5, "color": FAINT, "va": "bottom", "zorder": 5}
        left = OFFSETS[best][0]
        side = "left" if left > 0 else "right" if left < 0 else "center"
        axes.annotate(lang, places[lang], OFFSETS[best], textcoords="offset points", ha=side, **style)


def _box(at: Any, offset: tuple[int, int], name: str) -> tuple[float, float, float, float]:
    """Corners of a name, in points, from the mean width of letters."""
    width = 4.3 * len(name)
    x = at[0] + offset[0] - (width if offset[0] < 0 else width / 2 if offset[0] == 0 else 0)
    y = at[1] + offset[1]
    return x, y, x + width, y + 7.5


def _common(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """The area that two boxes share."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return wide * high if wide > 0 and high > 0 else 0.0
