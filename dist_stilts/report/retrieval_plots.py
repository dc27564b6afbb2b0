"""Figures of retrieval: score against layer, from result records, and precision against recall of mined pairs.

    records -> panels -> one figure
    curves -> one figure

Axes run from 0 to 100: what looks like a large difference is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dist_stilts.report.figures import End, name_ends, save
from dist_stilts.report.sweeps import EXTREMES, FEW, Panel, extremes, in_words, panels, subtitle, title
from dist_stilts.results.record import ResultRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ["tab:blue", "tab:orange", "tab:green", "tab:purple", "tab:brown", "tab:pink", "tab:olive", "tab:cyan"]
"""One for each of few; red is the mean."""
PALE, DARK = "0.82", "0.35"


def layer_sweep(path: Path, records: Iterable[ResultRecord]) -> list[Path]:
    """Draw score against layer, one panel for each of :func:`dist_stilts.report.sweeps.panels`.

    Args:
        path: the figure without its ending; the folder is made if needed.
        records: result records; those without a layer are left out.

    Returns:
        The SVG and the PNG; nothing if no record has a layer.
    """
    found = panels(records)
    if not found:
        return []
    several_models = len({panel.model for panel in found}) > 1
    figure, grid = _grid(len(found))
    for axes, panel in zip(grid, found, strict=True):
        _draw_sweep(axes, panel, several_models)
    note = "Band: 95 % of the mean, from test sampling alone. The best layer is read off these scores themselves."
    figure.supxlabel(note, fontsize=8, color=DARK, x=0.01, ha="left")
    return save(figure, path.parent, path.name)


def _grid(panels: int) -> tuple[Figure, list[Axes]]:
    """As many axes as panels, two in a row."""
    from matplotlib.figure import Figure

    columns = min(panels, 2)
    rows = -(-panels // columns)
    figure = Figure(figsize=(0.4 + 6.2 * columns, 0.3 + 4.3 * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # type: ignore[union-attr, call-arg]
    return figure, [figure.add_subplot(rows, columns, place + 1) for place in range(panels)]


def _draw_sweep(axes: Axes, panel: Panel, name_model: bool) -> None:
    ends = _draw_languages(axes, panel)
    if panel.in_means > 1:
        layers, values, halves = zip(*panel.means, strict=True)
        _band(axes, layers, values, halves, "tab:red")
        axes.plot(layers, values, color="tab:red", linewidth=2.5, zorder=4)
        ends.append(End(f"mean of {panel.in_means}", layers[-1], values[-1], "tab:red"))
    if panel.best:
        axes.axvline(panel.best.layer, color=DARK, linestyle=":", linewidth=1, zorder=1)
        axes.plot(panel.best.layer, panel.best.value, "o", color=DARK, markersize=6, zorder=5)
    layer_axis(axes, panel.layers)
    _percent_axis(axes.yaxis, panel.metric)
    axes.set_ylim(0, 100)
    name_ends(axes, ends)
    axes.set_title(title(panel), fontsize=11, loc="left", pad=20)
    axes.text(0, 1.02, subtitle(panel, name_model), fontsize=9, color=DARK, transform=axes.transAxes)


def _draw_languages(axes: Axes, panel: Panel) -> list[End]:
    """Draw a line per language; return the ends that are to be named: all, or the best and worst of many."""
    few = len(panel.lines) <= FEW
    colours = dict(zip(panel.lines, COLOURS, strict=False)) if few else dict.fromkeys(extremes(panel), DARK)
    ends = []
    for lang, line in panel.lines.items():
        layers, points = zip(*sorted(line.items()), strict=True)
        values = [point.value for point in points]
        colour = colours.get(lang, PALE)
        alone = len(layers) == 1
        style: dict[str, Any] = {
            "marker": "o" if few or alone else None,
            "markersize": 3,
            "zorder": 3 if lang in colours else 2,
        }
        axes.plot(layers, values, color=colour, linewidth=1.4 if lang in colours else 0.9, **style)
        if len(panel.lines) == 1:
            _band(axes, layers, values, [mean.half_width for mean in panel.means], colour)
        if collapsed := [(layer, point.value) for layer, point in line.items() if point.degenerate]:
            axes.plot(*zip(*collapsed, strict=True), "x", color="red", markersize=7, zorder=6)
        if lang in colours:
            ends.append(End(lang, layers[-1], values[-1], colour))
    return ends


def _band(axes: Axes, at: Sequence[float], values: Sequence[float], halves: Sequence[float], colour: str) -> None:
    low, high = ([v + sign * half for v, half in zip(values, halves, strict=True)] for sign in (-1, 1))
    axes.fill_between(at, low, high, color=colour, alpha=0.2, linewidth=0, zorder=2)


def layer_axis(axes: Axes, layers: Sequence[int]) -> None:
    """Whole layers along x, faint lines behind."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=14, integer=True, min_n_ticks=1))
    axes.set_xlim(layers[0] - 0.3, layers[-1] + 0.3)
    axes.set_xlabel("layer (0 = embeddings)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.93", linewidth=0.8)
    axes.set_axisbelow(True)


def _percent_axis(axis: Any, name: str) -> None:
    axis.set_label_text(f"{in_words(name)}, percent")
    axis.set_ticks(range(0, 101, 20))


class Curve(NamedTuple):
    """Mined pairs from the best margin down: row i is what is had by keeping all pairs from the first to the i-th.

    Attributes:
        recall, precision: ``[candidates]``, 0 to 1.
        threshold: ``[candidates]``, the lowest margin kept.
        chosen: the row that the tuned threshold keeps last; None if none was tuned.
    """

    recall: Sequence[float]
    precision: Sequence[float]
    threshold: Sequence[float]
    chosen: int | None = None

    @property
    def f1(self) -> float:
        """That of the tuned threshold, else the best there is; percent."""
        rows = range(len(self.recall)) if self.chosen is None else [self.chosen]
        return max((100 * _f1(self.precision[row], self.recall[row]) for row in rows), default=0.0)


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def precision_recall(path: Path, curves: Mapping[str, Curve], heading: str = "Mined pairs") -> list[Path]:
    """Draw precision against recall, with lines of equal F1 behind and a dot where the tuned threshold cuts.

    Args:
        path: the figure without its ending; the folder is made if needed.
        curves: name, such as a language, to its curve; a plain tuple of its fields will do.

    Returns:
        The SVG and the PNG.
    """
    from matplotlib.figure import Figure

    named = {name: Curve(*curve) for name, curve in curves.items()}
    figure = Figure(figsize=(6.6, 6.8), layout="constrained")
    axes = figure.add_subplot()
    _draw_equal_f1(axes)
    order = sorted(named, key=lambda name: -named[name].f1)
    few = len(order) <= FEW
    shown = order if few else [*order[:EXTREMES], *order[-EXTREMES:]]
    for name in order:
        colour = COLOURS[shown.index(name)] if name in shown else PALE
        _draw_curve(axes, named[name], colour, _legend_line(name, named[name]) if name in shown else None)
    if not few:
        axes.plot([], [], color=PALE, label=f"{len(order) - len(shown)} others")
    if len(named) == 1:
        _name_dot(axes, *named.values())
    for axis, name in ((axes.xaxis, "recall"), (axes.yaxis, "precision")):
        _percent_axis(axis, name)
    axes.set(xlim=(0, 100), ylim=(0, 101), aspect="equal")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(heading, fontsize=11, loc="left")
    figure.legend(loc="outside lower left", fontsize=8, frameon=False, ncols=1 if len(shown) < 4 else 2)
    return save(figure, path.parent, path.name)


def _draw_equal_f1(axes: Axes) -> None:
    """Faint lines on which F1 is the same, named at the right edge."""
    for f1 in (20, 40, 60, 80, 90):
        end = 100 * f1 / (200 - f1)  # precision at a recall of 100, and by symmetry the other way round
        recall = [end + (100 - end) * (step / 50) ** 3 for step in range(51)]  # closest where the line is steepest
        axes.plot(recall, [f1 * r / (2 * r - f1) for r in recall], color="0.88", linewidth=0.8, zorder=1)
        axes.text(101, end, f"F1 {f1}", fontsize=8, color="0.6", va="center")


def _draw_curve(axes: Axes, curve: Curve, colour: str, label: str | None) -> None:
    percent = [[100 * value for value in values] for values in (curve.recall, curve.precision)]
    axes.plot(*percent, color=colour, linewidth=1.6 if label else 0.9, zorder=3 if label else 2, label=label)
    if curve.chosen is not None and label:
        recall, precision = (values[curve.chosen] for values in percent)
        axes.plot(recall, precision, "o", color=colour, markersize=8, markeredgecolor="white", zorder=4)


def _name_dot(axes: Axes, curve: Curve) -> None:
    """Below and left of it there is room: precision only falls from the left to the dot."""
    if curve.chosen is not None:
        at = 100 * curve.recall[curve.chosen], 100 * curve.precision[curve.chosen]
        text = f"F1 {curve.f1:.1f}\nmargin ≥ {curve.threshold[curve.chosen]:.3f}"
        axes.annotate(text, at, (-10, -6), textcoords="offset points", fontsize=9, ha="right", va="top")


def _legend_line(name: str, curve: Curve) -> str:
    if not len(curve.recall):
        return f"{name}: no candidates"
    if curve.chosen is None:
        return f"{name}: best F1 {curve.f1:.1f}"
    return f"{name}: F1 {curve.f1:.1f} at margin ≥ {curve.threshold[curve.chosen]:.3f} (dot)"
