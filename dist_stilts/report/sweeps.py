"""Layer sweeps: retrieval scores sorted by layer, from result records; their means, their best layer, their table.

records -> panels (one per task, split, metric, model, run and way of reading but the layer)
        -> Markdown here, figures in `retrieval_plots`
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from dist_stilts.report.intervals import mean_of_languages
from dist_stilts.report.numbers import ABSENT, plus_minus, score
from dist_stilts.report.render import grid
from dist_stilts.results.record import Identity, ResultRecord
from dist_stilts.results.settings import all_but, differences

SWEPT = ("accuracy", "accuracy_from_foreign", "f1")
"""The metrics that are drawn; threshold, precision and recall only explain an F1."""
FEW = 8
"""So many languages can be told apart in a figure, and stand side by side in a table."""
OTHERS = all_but("split", "layer", "pooling", "after", "rows")
"""Settings that tell apart sweeps of one model in one pooling."""
EXTREMES = 3
"""How many of the best and of the worst are named where there are more."""


class Point(NamedTuple):
    """Score of one language at one layer in percent, rows it stands on, and whether the run collapsed."""

    value: float
    rows: int
    degenerate: bool


class Mean(NamedTuple):
    """Mean over languages at one layer and 95 % half width, percent."""

    layer: int
    value: float
    half_width: float


@dataclass(frozen=True)
class Panel:
    """One sweep: language -> layer -> point; ``apart``: what else tells it from others."""

    task: str
    split: str
    metric: str
    pooling: str
    model: str
    lines: dict[str, dict[int, Point]]
    apart: str = ""

    @property
    def layers(self) -> list[int]:
        """All layers that were scored, ascending."""
        return sorted({layer for line in self.lines.values() for layer in line})

    @property
    def means(self) -> list[Mean]:
        """At every layer, over the languages that have all of them: means over anything else are not comparable."""
        whole = [line for line in self.lines.values() if len(line) == len(self.layers)]
        found = []
        for layer in self.layers if whole else []:
            points = [line[layer] for line in whole]
            mean = mean_of_languages([p.value for p in points], [max(p.rows, 1) for p in points])
            found.append(Mean(layer, *mean))
        return found

    @property
    def in_means(self) -> int:
        """Over how many languages the means are."""
        return sum(len(line) == len(self.layers) for line in self.lines.values())

    @property
    def best(self) -> Mean | None:
        """The layer with the highest mean, the lowest of equals; None where there is no mean."""
        return max(self.means, key=lambda mean: mean.value, default=None)


def panels(records: Iterable[ResultRecord]) -> list[Panel]:
    """Sort the scores that have a layer into panels, in the order in which they appear."""
    swept: dict[Identity, list[ResultRecord]] = {}
    for record in records:
        if record.metric in SWEPT and record.value is not None and record.reading.layer is not None:
            one = record.identity._replace(language="", data_revision="", reading=replace(record.reading, layer=None))
            swept.setdefault(one, []).append(record)
    first = [group[0] for group in swept.values()]
    shared = [" ".join([r.task, r.split, r.metric, r.model.id, r.reading.pooling]) for r in first]
    others = differences(shared, first, OTHERS)
    return [_panel(group, "; ".join(texts)) for group, texts in zip(swept.values(), others, strict=True)]


def _panel(group: Sequence[ResultRecord], apart: str) -> Panel:
    lines: dict[str, dict[int, Point]] = {}
    for record in sorted(group, key=lambda record: record.language):
        point = Point(record.number, record.count, bool(record.collapsed))
        lines.setdefault(record.language, {})[record.layer] = point
    one = group[0]
    return Panel(one.task, one.split, one.metric, one.reading.pooling, one.model.id, lines, apart)


def title(panel: Panel) -> str:
    return f"{panel.task}: {in_words(panel.metric)} by layer"


def in_words(metric: str) -> str:
    return "F1" if metric == "f1" else metric.replace("_", " ")


def subtitle(panel: Panel, name_model: bool) -> str:
    pooling = f"{panel.pooling} pooling" if panel.pooling else ""
    parts = [panel.split, pooling, panel.model[:24] if name_model else "", panel.apart]
    if panel.best:
        what = "best" if panel.in_means == 1 else "best mean"
        parts.append(f"{what}: layer {panel.best.layer}, {plus_minus(panel.best.value, panel.best.half_width)} %")
    return "; ".join(filter(None, parts))


def extremes(panel: Panel) -> list[str]:
    """The languages with the highest and the lowest scores at the best layer, else at the last they have."""

    def score(lang: str) -> float:
        line = panel.lines[lang]
        return line[panel.best.layer if panel.best and panel.best.layer in line else max(line)].value

    order = sorted(panel.lines, key=score)
    return [*order[:EXTREMES], *order[-EXTREMES:]]


def sweep_table(records: Iterable[ResultRecord]) -> str:
    """Return the sweeps as Markdown: layers down; the mean, the languages if they are few, else the best and worst."""
    return "\n".join(_markdown(panel) for panel in panels(records))


def _markdown(panel: Panel) -> str:
    few = len(panel.lines) <= FEW
    languages = list(panel.lines) if few else [*reversed(extremes(panel))]
    means = {mean.layer: plus_minus(mean.value, mean.half_width) for mean in panel.means}
    head = ["layer", f"mean of {panel.in_means}", *languages]
    rows = []
    for layer in panel.layers:
        points = [panel.lines[lang].get(layer) for lang in languages]
        cells = [score(point.value, point.degenerate) if point else ABSENT for point in points]
        rows.append([str(layer), means.get(layer, ABSENT), *cells])
    return f"**{title(panel)}** ({subtitle(panel, bool(panel.model))})\n\n{grid([head, *rows], first='---:')}\n"
