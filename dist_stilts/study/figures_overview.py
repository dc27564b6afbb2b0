"""What all curves come to: total gain as a heat map, intermediate x target, and n* per language with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dist_stilts.analysis.cells import MEAN
from dist_stilts.report.figures import UNKNOWN_DISTANCE, size_axis
from dist_stilts.report.numbers import give_or_take, points, rounded_size
from dist_stilts.study.figures import FAINT, INK, RULE, Drawing, size_ticks
from dist_stilts.study.figures_curves import Scale, colours_of
from dist_stilts.study.numbers import NO_INTERVAL
from dist_stilts.tasks.languages import in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dist_stilts.analysis.curves import Curve
    from dist_stilts.analysis.estimate import Estimate

CELL_INCHES = (0.95, 0.52)
ROW_INCHES, GAP_INCHES = 0.19, 0.3


def means_of(curves: Sequence[Curve]) -> list[Curve]:
    """The curves of the means over all languages but English."""
    return [curve for curve in curves if curve.is_mean and curve.sizes]


def draw_heat_map(curves: Sequence[Curve]) -> list[Drawing]:
    """Total gain of the mean over languages at the largest size; nothing without such means."""
    from matplotlib.figure import Figure

    gains = {(curve.intermediate, curve.target): curve.total_gain for curve in means_of(curves)}
    if not any(gain.value is not None for gain in gains.values()):
        return []
    rows, columns = (sorted({pair[place] for pair in gains}) for place in (0, 1))
    left = 0.25 + 0.085 * max(map(len, rows))
    above = 0.12 + 0.18 * max(1 + name.count(" ") for name in columns)
    width, height = left + CELL_INCHES[0] * len(columns) + 0.1, 0.1 + above + CELL_INCHES[1] * len(rows)
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes(
        (left / width, 0.1 / height, CELL_INCHES[0] * len(columns) / width, CELL_INCHES[1] * len(rows) / height)
    )
    _draw_cells(axes, gains, rows, columns)
    axes.set_xticks(range(len(columns)), [name.replace(" ", "\n") for name in columns], fontsize=9)
    axes.set_yticks(range(len(rows)), rows, fontsize=9)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return [Drawing("total gain", figure, _heat_map_described(gains))]


def _draw_cells(
    axes: Axes, gains: Mapping[tuple[str, str], Estimate], rows: Sequence[str], columns: Sequence[str]
) -> None:
    """Blue gains, red losses, white nothing; hatched where there is no number."""
    import matplotlib
    from matplotlib.colors import Normalize
    from matplotlib.patches import Rectangle

    most = max(abs(gain.value) for gain in gains.values() if gain.value is not None) or 1.0
    colours, norm = (
        matplotlib.colormaps["RdBu"],
        Normalize(-most / 0.85, most / 0.85),
    )  # the ends are too dark to read on
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            gain = gains.get((row, column))
            if gain is None or gain.value is None:
                axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor="white", edgecolor=RULE, hatch="////"))
                continue
            colour = colours(norm(gain.value))
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=2))
            ink = "white" if _luminance(colour) < 0.4 else INK
            axes.text(x, y - 0.12, points(gain.value), ha="center", va="center", fontsize=11, color=ink)
            axes.text(x, y + 0.24, half_width(gain), ha="center", va="center", fontsize=8, color=ink)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))


def _luminance(colour: tuple[float, float, float, float]) -> float:
    """Relative luminance of sRGB, without its gamma: enough to choose black or white."""
    red, green, blue, _ = colour
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def half_width(gain: Estimate) -> str:
    """Half of the interval's length, where there is one."""
    if gain.low is None or gain.high is None:
        return NO_INTERVAL
    return give_or_take((gain.high - gain.low) / 2)


def _heat_map_described(gains: Mapping[tuple[str, str], Estimate]) -> str:
    known = {pair: gain.value for pair, gain in gains.items() if gain.value is not None}
    order = sorted(known, key=lambda pair: known[pair])
    best, worst = (f"{task} on {target}, {points(known[task, target])}" for task, target in (order[-1], order[0]))
    least = f"; smallest: {worst}" if len(order) > 1 else ""
    return f"Total gain in points of {len(known)} pairs of intermediate task and target. Largest: {best}{least}."


def draw_enough(curves: Sequence[Curve], scale: Scale | None) -> list[Drawing]:
    """n* per language of one target, one panel per intermediate task beside each other."""
    from matplotlib.figure import Figure

    own = [curve for curve in curves if curve.sizes]
    tasks = sorted({curve.intermediate for curve in own})
    rows = _rows(own, scale)
    if not rows:
        return []
    column = 1.7 if len(tasks) > 2 else 2.9
    left = 0.75
    width, height = left + (column + GAP_INCHES) * len(tasks), 0.85 + ROW_INCHES * len(rows)
    figure = Figure(figsize=(width, height))
    for place, task in enumerate(tasks):
        x = (left + (column + GAP_INCHES) * place) / width
        axes = figure.add_axes((x, 0.55 / height, column / width, ROW_INCHES * len(rows) / height))
        _draw_column(axes, [curve for curve in own if curve.intermediate == task], rows, scale)
        axes.set_title(task, fontsize=10, loc="left", color=INK)
        axes.set_yticks(range(len(rows)), rows if not place else [""] * len(rows), fontsize=8.5)
    return [Drawing(f"n-star {own[0].target}", figure, _enough_described(own))]


def _rows(curves: Sequence[Curve], scale: Scale | None) -> list[str]:
    """Languages from near to far, those of unknown distance after them; the mean at the bottom."""
    names = {curve.language for curve in curves}
    return [*in_order(names - {MEAN}, scale.distances if scale else {}), *names & {MEAN}]


def _draw_column(axes: Axes, curves: Sequence[Curve], rows: Sequence[str], scale: Scale | None) -> None:
    """A dot and its interval per language; an arrow where it was not reached or may not have been."""
    sizes = sorted({size for curve in curves for size in curve.sizes})
    end = 2 * max(sizes)
    size_axis(axes, sizes, size_ticks(sizes))
    axes.set_xlim(0, end * 1.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    colours = colours_of(scale)
    places = [(rows.index(c.language), c.enough, colours.get(c.language, UNKNOWN_DISTANCE)) for c in curves]
    for y, estimate, _ in places:
        if estimate.value is None and not _open(estimate, end):
            axes.text(0, y, " not known", fontsize=7, color=FAINT, va="center")
    spans = [
        (y, min(estimate.low, end), min(estimate.high, end), colour)
        for y, estimate, colour in places
        if estimate.low is not None and estimate.high is not None
    ]
    if spans:
        at, low, high, colour_of = zip(*spans, strict=True)
        axes.hlines(at, low, high, color=colour_of, linewidth=1.4, alpha=0.75, zorder=2)
    dots = [(e.value, y, colour) for y, e, colour in places if e.value is not None and e.value <= end]
    arrows = [(end, y, colour) for y, e, colour in places if _open(e, end)]
    for marked, marker in ((dots, "o"), (arrows, ">")):
        if marked:
            values, at, colour_of = zip(*marked, strict=True)
            axes.scatter(values, at, s=24, c=colour_of, marker=marker, linewidth=0, zorder=3, clip_on=False)
    axes.axvline(max(sizes), color=RULE, linewidth=1, zorder=1)
    _plain(axes)


def _open(estimate: Estimate, end: float) -> bool:
    """Whether "not reached" is the estimate or inside its interval."""
    if estimate.value is None:
        return estimate.censored
    return estimate.value > end or (estimate.high is not None and estimate.high > end)


def _plain(axes: Axes) -> None:
    axes.grid(axis="y", color="0.93", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=FAINT, length=2)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("n*, examples", fontsize=8.5)


def _enough_described(curves: Sequence[Curve]) -> str:
    parts = []
    for task in sorted({curve.intermediate for curve in curves}):
        own = [curve for curve in curves if curve.intermediate == task and not curve.is_mean]
        known = sorted(curve.enough.value for curve in own if curve.enough.value is not None)
        span = f"n* from {rounded_size(known[0])} to {rounded_size(known[-1])} where reached" if known else "n* unknown"
        parts.append(f"{task}: {span}, {len(own) - len(known)} of {len(own)} languages without a value")
    return f"Size n* beyond which a doubling of the English data brings little on {curves[0].target}. " + "; ".join(
        parts
    )
