"""Score against size: one panel per target and intermediate task, languages coloured by their distance from English.

A language is a thin line through its means; the mean over languages is drawn as it was measured (points) and as it was
fitted (line and 95 % band). English is black. Panels of one target share their axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dist_stilts.analysis.cells import MEAN
from dist_stilts.analysis.shape import Shape
from dist_stilts.conventions import ENGLISH
from dist_stilts.report.figures import UNKNOWN_DISTANCE, End, distance_colours, name_ends, size_axis
from dist_stilts.report.numbers import exact_size, points
from dist_stilts.study.figures import FAINT, INK, MEAN_COLOUR, Drawing, panel, size_ticks
from dist_stilts.tasks.languages import in_order

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dist_stilts.analysis.curves import Curve

FEW = 12
"""So many languages are all named in a panel; of more only those with the largest and the smallest gains."""
EXTREMES = 3
SPECIAL = {Shape.NON_MONOTONE: (0, (4, 2)), Shape.FALLING: (0, (1, 1.2))}
"""Courses that are drawn in dashes and in dots."""


class Scale(NamedTuple):
    """The distance that colours the lines: its name, and each language's that is known."""

    name: str
    distances: Mapping[str, float]


class Shared(NamedTuple):
    """What panels of one target have in common: all their sizes, and the range of scores."""

    sizes: list[int]
    low: float
    high: float


def draw_curves(curves: Sequence[Curve], scores: pd.DataFrame, scale: Scale | None) -> list[Drawing]:
    """One panel per intermediate task; ``curves``: those of one target that have scores."""
    shared = _shared(curves)
    languages = in_order(curve.language for curve in curves)
    groups: dict[str, list[Curve]] = {}
    for curve in sorted(curves, key=lambda c: (c.intermediate, c.is_mean, languages.index(c.language))):
        groups.setdefault(curve.intermediate, []).append(curve)
    return [
        Drawing(
            f"curves {group[0].target} {intermediate}",
            _panel(group, _ranges(scores, group), scale, shared),
            _described(group),
        )
        for intermediate, group in groups.items()
    ]


def _shared(curves: Sequence[Curve]) -> Shared:
    values = [value for curve in curves for value in curve.means]
    low, high = min(values, default=0.0), max(values, default=100.0)
    margin = max(0.06 * (high - low), 0.5)
    return Shared(sorted({size for curve in curves for size in curve.sizes}), low - margin, high + margin)


def _ranges(scores: pd.DataFrame, group: Sequence[Curve]) -> dict[int, tuple[float, float]]:
    """The lowest and the highest mean over the languages that a single run reached, by size."""
    first = group[0]
    own = scores[
        (scores["target"] == first.target)
        & ((scores["intermediate"] == first.intermediate) | (scores["size"] == 0))
        & (scores["language"] != ENGLISH)
        & ~scores["degenerate"].astype(bool)
    ]
    table = own.pivot_table(index=["size", "run"], columns="language", values="value")
    everywhere = table.groupby("size").count().min() > 0
    means = table.loc[:, everywhere].dropna().mean(axis=1).groupby("size")
    return {int(size): (float(values.min()), float(values.max())) for size, values in means if len(values) > 1}


def _panel(
    group: Sequence[Curve], ranges: Mapping[int, tuple[float, float]], scale: Scale | None, shared: Shared
) -> Figure:
    first = group[-1]
    runs = f"{min(first.seeds)}" if min(first.seeds) == max(first.seeds) else f"{min(first.seeds)}–{max(first.seeds)}"
    figure, axes = panel(f"{first.target} after {first.intermediate}", f"{runs} run{'s' * (runs != '1')} per size")
    ends = _draw_languages(axes, [curve for curve in group if not curve.is_mean], scale)
    if first.is_mean:
        ends.append(_draw_mean(axes, first, ranges))
    if scale:
        _colour_bar(figure, scale)
    size_axis(axes, shared.sizes, size_ticks(shared.sizes))
    axes.set_ylim(shared.low, shared.high)
    axes.set_xlabel(f"English {first.intermediate} examples")
    axes.set_ylabel(f"{first.metric}, percent")
    name_ends(axes, ends, at=1.03, gap=0.052, fontsize=8.5)
    return figure


def _draw_languages(axes: Axes, curves: Sequence[Curve], scale: Scale | None) -> list[End]:
    """A line per language, all of them one artist, which is fast; returns the ends that are to be named."""
    from matplotlib.collections import LineCollection

    known = colours_of(scale)
    curves = curves[::-1]  # English, the first, is drawn over the others
    colours = [known.get(curve.language, UNKNOWN_DISTANCE) for curve in curves]
    lines = LineCollection(
        [list(zip(curve.sizes, curve.means, strict=True)) for curve in curves],
        colors=colours,
        linewidths=[1.8 if curve.language == ENGLISH else 1.0 for curve in curves],
        linestyles=[SPECIAL.get(curve.shape, "-") for curve in curves],
        zorder=2,
    )
    axes.add_collection(lines)
    if len(curves) <= FEW:
        x, y, of = zip(*_measured(curves, colours), strict=True)
        axes.scatter(x, y, s=7, c=of, linewidth=0, zorder=2)
    named = _named(curves)
    ends = zip(curves, colours, strict=True)
    return [End(c.language, c.sizes[-1], c.means[-1], colour) for c, colour in ends if c.language in named]


def _measured(curves: Sequence[Curve], colours: Sequence[Any]) -> list[tuple[int, float, Any]]:
    """Size, score and colour of every mean."""
    return [
        (size, mean, colour)
        for curve, colour in zip(curves, colours, strict=True)
        for size, mean in zip(curve.sizes, curve.means, strict=True)
    ]


def _named(curves: Sequence[Curve]) -> set[str]:
    if len(curves) <= FEW:
        return {curve.language for curve in curves}
    order = sorted(curves, key=_rise)
    return {curve.language for curve in [*order[:EXTREMES], *order[-EXTREMES:]]} | {ENGLISH}


def _rise(curve: Curve) -> float:
    return curve.means[-1] - curve.means[0]


def colours_of(scale: Scale | None) -> dict[str, Any]:
    """Language -> colour, of English, the mean and those whose distance is known."""
    fixed = {ENGLISH: "black", MEAN: MEAN_COLOUR}
    if not scale:
        return fixed
    colours, norm = distance_colours(scale.distances)
    return {language: colours(norm(distance)) for language, distance in scale.distances.items()} | fixed


def _draw_mean(axes: Axes, mean: Curve, ranges: Mapping[int, tuple[float, float]]) -> End:
    """What was measured, with bars from the lowest to the highest run, and what was fitted, with its band.

    No form falls, so a mean that does is joined point by point.
    """
    if mean.low:
        axes.fill_between(mean.grid, mean.low, mean.high, color=MEAN_COLOUR, alpha=0.22, linewidth=0, zorder=3)
    line = (mean.sizes, mean.means) if mean.shape.falls else (mean.grid, mean.line)
    axes.plot(*line, color="white", linewidth=4, zorder=4)
    axes.plot(*line, color=MEAN_COLOUR, linewidth=2.2, zorder=5, linestyle=SPECIAL.get(mean.shape, "-"))
    for size, (low, high) in ranges.items():
        axes.plot([size, size], [low, high], color=INK, linewidth=1.1, zorder=6)
    axes.plot(mean.sizes, mean.means, "o", color=MEAN_COLOUR, mec="white", mew=0.8, markersize=5.5, zorder=7)
    return End("mean", mean.sizes[-1], mean.means[-1], MEAN_COLOUR)


def _colour_bar(figure: Figure, scale: Scale) -> None:
    """A thin one at the top right, its name before it."""
    from matplotlib.cm import ScalarMappable

    colours, norm = distance_colours(scale.distances)
    axes = figure.add_axes((0.74, 0.873, 0.15, 0.022))
    bar = figure.colorbar(ScalarMappable(norm, colours), cax=axes, orientation="horizontal")
    bar.outline.set_visible(False)
    bar.set_ticks([])
    figure.text(0.73, 0.884, f"{scale.name} distance 0", fontsize=8, color=FAINT, ha="right", va="center")
    figure.text(0.9, 0.884, f"{norm.vmax:.2f}", fontsize=8, color=FAINT, va="center")


def _described(group: Sequence[Curve]) -> str:
    """The panel in words."""
    last = group[-1]
    languages = [curve for curve in group if not curve.is_mean]
    order = sorted(languages, key=_rise)
    sizes = f"from {exact_size(last.sizes[0])} to {exact_size(last.sizes[-1])} English {last.intermediate} examples"
    parts = [f"{last.target} {last.metric} {sizes}, a line for each of {len(languages)} languages"]
    if last.is_mean:
        parts.append(f"the mean without English goes from {last.means[0]:.1f} to {last.means[-1]:.1f} ({last.shape})")
    if len(order) > 1:
        most, least = (f"{curve.language} {points(_rise(curve))}" for curve in (order[-1], order[0]))
        parts.append(f"largest change {most}, smallest {least}")
    if odd := [curve.language for curve in languages if curve.shape is Shape.NON_MONOTONE]:
        parts.append(f"not monotone: {', '.join(odd)}")
    return "; ".join(parts) + "."
