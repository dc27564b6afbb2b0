"""Score against layer at every size of the English data, where retrieval was scored at several layers.

records -> sweeps (one per target, setting and intermediate task) -> panels
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

from dist_stilts.conventions import ENGLISH
from dist_stilts.report.figures import End, name_ends
from dist_stilts.report.numbers import exact_size, short_size
from dist_stilts.report.retrieval_plots import layer_axis
from dist_stilts.results.record import ResultRecord
from dist_stilts.results.settings import by_setting
from dist_stilts.study.figures import Drawing, panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Sweep:
    """Mean score in percent over languages but English, and over runs, of one target after one intermediate task.

    Attributes:
        setting: split, pooling and whatever else tells it from other sweeps of the task.
        lines: size -> layer -> score, over the languages that have all of them.
        languages: how many those are.
        left_out: size -> runs of which scores are in no mean, as they collapsed.
    """

    task: str
    metric: str
    setting: str
    intermediate: str
    lines: dict[int, dict[int, float]]
    languages: int
    left_out: dict[int, int]

    @property
    def name(self) -> str:
        """For a file."""
        return " ".join(filter(None, ["layers", self.task, self.setting.replace(",", ""), self.intermediate]))


def sweeps(records: Iterable[ResultRecord]) -> list[Sweep]:
    """Sort the scores that have a layer; only what has at least two layers is a sweep."""
    layered = [record for record in records if _counts(record)]
    found = []
    for (task, metric, setting), group in by_setting(layered, ("split", "pooling", "mining"), ("layer",)).items():
        if len({record.reading.layer for record in group}) > 1:
            for intermediate in sorted({record.training.after for record in group} - {""}) or [""]:
                own = [record for record in group if record.training.after in ("", intermediate)]
                found.append(_sweep(task, metric, setting, intermediate, own))
    return [sweep for sweep in found if sweep.lines]


def _counts(record: ResultRecord) -> bool:
    scored = record.main and record.value is not None and record.reading.layer is not None
    return scored and not record.controls and record.language != ENGLISH


def _sweep(task: str, metric: str, setting: str, intermediate: str, records: Sequence[ResultRecord]) -> Sweep:
    cells: dict[tuple[int, int], dict[str, list[float]]] = {}
    for record in records:
        if not record.collapsed:
            cell = cells.setdefault((record.training.intermediate_size, record.layer), {})
            cell.setdefault(record.language, []).append(record.number)
    languages = set.intersection(*map(set, cells.values())) if cells else set()
    lines: dict[int, dict[int, float]] = {}
    for (size, layer), cell in sorted(cells.items()) if languages else []:
        lines.setdefault(size, {})[layer] = mean(mean(cell[language]) for language in sorted(languages))
    return Sweep(task, metric, setting, intermediate, lines, len(languages), _left_out(records))


def _left_out(records: Iterable[ResultRecord]) -> dict[int, int]:
    runs: dict[int, set[object]] = {}
    for record in records:
        if record.collapsed:
            of_run = runs.setdefault(record.training.intermediate_size, set())
            of_run.add((record.training.run, record.training.run_id, record.training.seed, record.model.id))
    return {size: len(of_run) for size, of_run in sorted(runs.items())}


def _said(left_out: Mapping[int, int]) -> str:
    """Which scores no mean holds; "" where all are in."""
    if not left_out:
        return ""
    runs, sizes = sum(left_out.values()), ", ".join(f"n={size:,}" for size in left_out)
    return f"left out: collapsed scores of {runs} run{'s' if runs > 1 else ''} ({sizes})"


def draw_layers(records: Iterable[ResultRecord]) -> list[Drawing]:
    """One panel per sweep, one line per size; nothing where no task was scored at several layers."""
    return [Drawing(sweep.name, _panel(sweep), _described(sweep)) for sweep in sweeps(records)]


def _panel(sweep: Sweep) -> Figure:
    after = f" after {sweep.intermediate}" if sweep.intermediate else ""
    about = "; ".join(filter(None, [sweep.setting, f"mean of {sweep.languages} languages"]))
    subtitle = "\n".join(filter(None, [about, _said(sweep.left_out)]))
    figure, axes = panel(f"{sweep.task} by layer{after}", subtitle)
    ends = []
    for place, (size, line) in enumerate(sweep.lines.items()):
        layers, values = list(line), list(line.values())
        colour = _colour(place, len(sweep.lines)) if size else "black"
        axes.plot(layers, values, color=colour, linewidth=1.5, marker="o", markersize=3)
        ends.append(End(short_size(size) if size else "none", layers[-1], values[-1], colour))
    layer_axis(axes, sorted({layer for line in sweep.lines.values() for layer in line}))
    axes.set_ylim(0, 100)
    axes.set_ylabel(f"{sweep.metric}, percent")
    name_ends(axes, ends, at=1.03, gap=0.055, fontsize=8.5)
    return figure


def _colour(place: int, sizes: int) -> tuple[float, float, float, float]:
    """More data, darker."""
    import matplotlib

    return matplotlib.colormaps["viridis"](0.85 * (1 - place / max(sizes - 1, 1)))


def _described(sweep: Sweep) -> str:
    parts = []
    for size, line in sweep.lines.items():
        best = max(line, key=lambda layer: line[layer])
        parts.append(f"{exact_size(size)} examples: best at layer {best} with {line[best]:.1f}")
    text = "; ".join([*parts, *filter(None, [_said(sweep.left_out)])])
    return f"{sweep.task} {sweep.metric} by layer, mean of {sweep.languages} languages. {text}."
