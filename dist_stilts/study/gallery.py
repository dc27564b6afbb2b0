"""Every figure that a study supports, drawn and sorted as the page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dist_stilts.analysis.effects import ALL
from dist_stilts.conventions import ENGLISH
from dist_stilts.results.record import ResultRecord
from dist_stilts.study.figures import Picture, write
from dist_stilts.study.figures_curves import Scale, draw_curves
from dist_stilts.study.figures_effects import draw_gains
from dist_stilts.study.figures_layers import draw_layers
from dist_stilts.study.figures_overview import draw_enough, draw_heat_map

if TYPE_CHECKING:
    import pandas as pd

    from dist_stilts.analysis.curves import Curve
    from dist_stilts.analysis.effects import Effect
    from dist_stilts.analysis.typology import Distances


@dataclass(frozen=True)
class Gallery:
    """All pictures: the heat map, the curves and n* by target, the gains against distances by intermediate task."""

    overview: list[Picture]
    curves: dict[str, list[Picture]]
    enough: dict[str, list[Picture]]
    gains: dict[str, list[Picture]]
    layers: list[Picture]

    @property
    def files(self) -> list[Path]:
        """The SVG of every picture."""
        named = [own for group in (self.curves, self.enough, self.gains) for own in group.values()]
        return [picture.svg for own in (self.overview, *named, self.layers) for picture in own]


def draw(
    curves: Sequence[Curve],
    scores: pd.DataFrame,
    effects: Sequence[Effect],
    distances: Distances | None,
    records: Sequence[ResultRecord],
    folder: Path,
) -> Gallery:
    """Draw what there is something to draw of; curves without any score are not drawn."""
    kept = [curve for curve in curves if curve.sizes]
    by_target: dict[str, list[Curve]] = {}
    for curve in sorted(kept, key=lambda curve: curve.target):
        by_target.setdefault(curve.target, []).append(curve)
    scale = colouring(distances)
    tasks = sorted({curve.intermediate for curve in kept})
    pooled = [ALL, *tasks] if len(tasks) > 1 else tasks
    return Gallery(
        overview=write(draw_heat_map(kept), folder, "total gain"),
        curves={
            target: write(draw_curves(own, scores, scale), folder, f"curves {target}")
            for target, own in by_target.items()
        },
        enough={
            target: write(draw_enough(own, scale), folder, f"n-star {target}") for target, own in by_target.items()
        },
        gains={task: write(draw_gains(kept, effects, distances, task), folder, f"gain {task}") for task in pooled}
        if distances
        else {},
        layers=write(draw_layers(records), folder, "layers"),
    )


def colouring(distances: Distances | None) -> Scale | None:
    """The distance that colours languages: the first of those that are known for most of them."""
    if distances is None:
        return None
    known = {
        str(name): {str(lang): float(value) for lang, value in column.dropna().items() if lang != ENGLISH}
        for name, column in distances.values.items()
    }
    name = max(known, key=lambda name: len(known[name]), default="")
    return Scale(name, known[name]) if name and known[name] else None
