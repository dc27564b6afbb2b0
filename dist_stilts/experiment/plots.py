"""Figures of the study, drawn from result records alone: score against size, and gain against distance.

records -> series (one per target task and intermediate task) -> SVG for pages and papers, PNG for slides
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from dist_stilts.conventions import ENGLISH
from dist_stilts.report.correlation import correlate
from dist_stilts.report.figures import UNKNOWN_DISTANCE, End, distance_colours, name_ends, save, size_axis
from dist_stilts.report.intervals import mean_of_languages
from dist_stilts.results.record import ResultRecord
from dist_stilts.results.settings import by_setting, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Z95 = 1.959964


@dataclass(frozen=True)
class Point:
    """Score of one language at one size: mean over seeds in percent, rows of its test set, whether a run collapsed."""

    value: float
    count: int
    degenerate: bool


@dataclass(frozen=True)
class Series:
    """What one figure shows.

    Attributes:
        points: size of the intermediate data (0 = none) -> language -> point.
        setting: split, layer and pooling, where they are not the usual ones or matter; and what else tells it from
            others.
        controls: name of a control -> its mean over languages, percent.
        seeds: how many seeds the points are means of.
    """

    task: str
    metric: str
    intermediate: str
    setting: str
    points: dict[int, dict[str, Point]]
    controls: dict[str, float]
    seeds: int

    @property
    def name(self) -> str:
        """A file name."""
        parts = [self.task, self.intermediate.replace(",", "+"), self.setting]
        return re.sub(r"[^\w+.]+", "-", " ".join(parts)).strip("-")

    @property
    def sizes(self) -> list[int]:
        """Sizes in ascending order; the first is 0 where there is a run without intermediate task."""
        return sorted(self.points)

    @property
    def languages(self) -> list[str]:
        """Languages that were scored at every size: means over anything else are not comparable."""
        return sorted(set.intersection(*(set(scores) for scores in self.points.values())))


def series(records: Iterable[ResultRecord]) -> list[Series]:
    """Sort test scores into one series per (target task, intermediate task, setting), each task by its score."""
    tested = [record for record in records if record.main and record.is_test and record.value is not None]
    groups = by_setting(tested, ("split", "layer", "pooling"))
    found = []
    for (task, metric, setting), group in groups.items():
        plain = [record for record in group if not record.controls]
        controls = _control_means([record for record in group if record.controls])
        for intermediate in sorted({record.training.intermediate for record in plain} - {""}):
            chosen = [record for record in plain if record.training.intermediate in ("", intermediate)]
            seeds = len({record.training.seed for record in chosen})
            found.append(Series(task, metric, intermediate, setting, _points(chosen), controls, seeds))
    return found


def _points(records: Iterable[ResultRecord]) -> dict[int, dict[str, Point]]:
    groups: dict[int, dict[str, list[ResultRecord]]] = {}
    for record in records:
        groups.setdefault(record.training.intermediate_size, {}).setdefault(record.language, []).append(record)
    return {size: {lang: _point(rows) for lang, rows in by_lang.items()} for size, by_lang in groups.items()}


def _point(rows: Sequence[ResultRecord]) -> Point:
    """Mean over seeds. The rows of the test set stay what they are: more seeds do not make it larger."""
    value = fmean(row.number for row in rows)
    return Point(value, max(row.count for row in rows), any(row.collapsed for row in rows))


def _control_means(records: Iterable[ResultRecord]) -> dict[str, float]:
    """Mean over languages by label; of a control at several sizes, the smallest (plain before trained)."""
    kinds: dict[tuple[str, ...], list[ResultRecord]] = {}
    for record in records:
        kinds.setdefault(record.controls, []).append(record)
    means = {}
    for rows in kinds.values():
        by_size = _points(rows)
        points = by_size[min(by_size)].values()
        first = min(rows, key=lambda row: row.training.intermediate_size)
        means[label(first)] = sum(point.value for point in points) / len(points)
    return means


def mean_curve(one: Series) -> list[tuple[int, float, float]]:
    """(size, mean over languages, 95 % half width) for every size; empty if no language was scored at all of them."""
    if not one.languages:
        return []
    curve = []
    for size in one.sizes:
        points = [one.points[size][lang] for lang in one.languages]
        curve.append((size, *mean_of_languages([p.value for p in points], [max(p.count, 1) for p in points])))
    return curve


def gains(one: Series) -> dict[str, tuple[float, float]]:
    """Largest size minus none by language: (gain, 95 % half width), percentage points; empty without a run at 0.

    The half width takes both scores as independent samples, which is too wide where they share their test rows.
    """
    if one.sizes[0] != 0 or len(one.sizes) < 2:
        return {}
    before, after = one.points[0], one.points[one.sizes[-1]]
    return {lang: (after[lang].value - before[lang].value, _half(before[lang], after[lang])) for lang in one.languages}


def _half(*points: Point) -> float:
    return Z95 * math.sqrt(sum(max(p.value * (100 - p.value), 0.0) / max(p.count, 1) for p in points))


def curves(records: Iterable[ResultRecord], out_dir: Path, distances: Mapping[str, float] | None) -> list[Path]:
    """Draw every figure that the records support, as SVG and PNG; nothing is drawn without an intermediate task.

    Args:
        records: of which no two contradict each other.
        out_dir: made if needed.
        distances: distance from English by language: colours the lines and adds the gain figure.

    Returns:
        The files, figure by figure, SVG before PNG.
    """
    files = []
    for one in series(records):
        files += save(_draw_curves(one, distances or {}), out_dir, f"{one.name}-curves")
        gain = gains(one)
        if distances and any(lang in distances for lang in gain if lang != ENGLISH):
            files += save(_draw_gains(one, gain, distances), out_dir, f"{one.name}-gain")
    return files


def _new_figure(title: str, subtitle: str, languages: int) -> tuple[Figure, Axes]:
    """Taller where many languages need names."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, max(5.0, 2 + 0.13 * languages)), layout="constrained")
    axes = figure.add_subplot()
    figure.suptitle(title, fontsize=12, x=0.02, ha="left")
    axes.set_title(subtitle, fontsize=9, color="0.35", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _seeds(one: Series) -> str:
    return f"{one.seeds} seed{'s' if one.seeds > 1 else ''}"


def _draw_curves(one: Series, distances: Mapping[str, float]) -> Figure:
    """One line per language, the mean with its band, the controls' means as horizontal lines."""
    setting = f"{one.setting}; " if one.setting else ""
    figure, axes = _new_figure(
        f"{one.task} {one.metric} against the size of the English {one.intermediate} data",
        f"{setting}{_seeds(one)}; band: 95 % of the mean over languages, from test sampling alone",
        len({lang for scores in one.points.values() for lang in scores}),
    )
    ends = _draw_languages(figure, axes, one, {ENGLISH: 0.0, **distances} if distances else {})
    if curve := mean_curve(one):
        sizes, means, halves = zip(*curve, strict=True)
        low, high = ([m + sign * h for m, h in zip(means, halves, strict=True)] for sign in (-1, 1))
        axes.fill_between(sizes, low, high, color="tab:red", alpha=0.2, linewidth=0)
        axes.plot(sizes, means, color="tab:red", linewidth=2.5, label=f"mean of {len(one.languages)} languages")
    for dashes, (name, mean) in zip(("--", ":", "-.") * len(one.controls), one.controls.items(), strict=False):
        axes.axhline(mean, color="0.25", linestyle=dashes, linewidth=1.2, label=f"{name} (mean)")
    size_axis(axes, one.sizes, {size: f"{size:,}" if size else "none" for size in one.sizes})
    axes.set_xlabel(f"English {one.intermediate} examples")
    name_ends(axes, ends, at=0.975, gap=0.027, fontsize=8)
    axes.set_ylabel(f"{one.metric}, percent")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def _draw_languages(figure: Figure, axes: Axes, one: Series, distances: Mapping[str, float]) -> list[End]:
    """Draw the lines; return where each ends."""
    from matplotlib.cm import ScalarMappable

    colour_of: dict[str, Any] = {ENGLISH: "black"}
    if distances:
        colours, scale = distance_colours(distances)
        colour_of = {lang: colours(scale(distance)) for lang, distance in distances.items()} | colour_of
        figure.colorbar(ScalarMappable(scale, colours), ax=axes, label="distance from English", fraction=0.04, pad=0.01)
    ends = []
    for lang in sorted({lang for scores in one.points.values() for lang in scores}):
        sizes = [size for size in one.sizes if lang in one.points[size]]
        values = [one.points[size][lang].value for size in sizes]
        colour = colour_of.get(lang, UNKNOWN_DISTANCE)
        axes.plot(sizes, values, marker="o", markersize=3, linewidth=1.2, color=colour)
        ends.append(End(lang, sizes[-1], values[-1], colour))
    if collapsed := [(size, p.value) for size, ps in one.points.items() for p in ps.values() if p.degenerate]:
        axes.plot(*zip(*collapsed, strict=True), "x", color="red", markersize=8, label="degenerate run")
    return ends


def _draw_gains(one: Series, gain: Mapping[str, tuple[float, float]], distances: Mapping[str, float]) -> Figure:
    """One point per language with its 95 % bar; English is drawn hollow and takes no part in the correlation."""
    correlation = correlate({lang: points for lang, (points, _) in gain.items()}, distances)
    figure, axes = _new_figure(
        f"{one.task} {one.metric}: gain of {one.intermediate} n={one.sizes[-1]:,} over none, against distance",
        f"{correlation} (without English), {_seeds(one)}; bars: 95 %, from test sampling alone",
        len(gain),
    )
    axes.axhline(0, color="0.7", linewidth=1)
    for lang, (points, half) in gain.items():
        distance = distances.get(lang, 0.0 if lang == ENGLISH else None)
        if distance is None:
            continue
        fill = "white" if lang == ENGLISH else "tab:blue"
        axes.errorbar(distance, points, yerr=half, fmt="o", color="black", mfc=fill, ecolor="0.7", elinewidth=1)
        axes.annotate(lang, (distance, points), xytext=(6, 4), textcoords="offset points", fontsize=9)
    axes.set_xlabel("distance from English")
    axes.set_ylabel("gain, percentage points")
    return figure
