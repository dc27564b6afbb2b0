"""What the figures of a study share: how they become files, what a panel looks like, which sizes an axis names.

    drawings of one group -> SVG and PNG each, one PDF with a page for each -> pictures

A drawing is one panel where several are to be compared: the page sets panels side by side or one above the other, by
the room there is, so that no panel's text becomes too small on a phone. Panels that are compared share their axes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dist_stilts.report.figures import save, save_pages
from dist_stilts.report.numbers import short_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_INCHES = (4.2, 3.5)
INK, FAINT, RULE = "#1b1b1b", "0.35", "0.85"
MEAN_COLOUR = "#d55e00"
"""Vermilion: told from every part of the distances' scale by all kinds of sight."""


@dataclass(frozen=True)
class Drawing:
    """One figure; ``description``: what is seen, for those who cannot see it."""

    name: str
    figure: Figure
    description: str


@dataclass(frozen=True)
class Picture:
    """A drawing that was saved; ``inches``: its natural width."""

    svg: Path
    description: str
    inches: float


def write(drawings: Iterable[Drawing], folder: Path, group: str) -> list[Picture]:
    """Save the drawings of a group; names may hold what a file's name may not. Nothing is written for no drawing."""
    kept = list(drawings)
    if kept:
        save_pages([drawing.figure for drawing in kept], folder / f"{_file_name(group)}.pdf")
    return [
        Picture(
            save(drawing.figure, folder, _file_name(drawing.name))[0],
            drawing.description,
            float(drawing.figure.get_figwidth()),
        )
        for drawing in kept
    ]


def _file_name(name: str) -> str:
    return re.sub(r"[^\w+.]+", "-", name).strip("-")


def panel(title: str, subtitle: str = "", width: float = 0.67) -> tuple[Figure, Axes]:
    """A figure of one panel, with room above for a title and right of the axes for names.

    Args:
        width: of the axes, as a share of the figure's.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=PANEL_INCHES)
    axes = figure.add_axes((0.165, 0.14, width, 0.68))
    figure.text(0.02, 0.955, title, fontsize=10.5, fontweight="bold", color=INK, va="center")
    figure.text(0.02, 0.885, subtitle, fontsize=8, color=FAINT, va="center", linespacing=1.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8.5, colors=FAINT)
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)
    axes.yaxis.set_label_coords(0.038, 0.48, transform=figure.transFigure)
    axes.grid(axis="y", color="0.93", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def size_ticks(sizes: Sequence[int]) -> dict[int, str]:
    """What is written at which size: the ends always, of those between as many as there is room for."""
    smallest = min((size for size in sizes if size), default=1)
    places = {size: 0.6 + math.log10(size / smallest) if size else 0.0 for size in sorted(sizes)}
    first, *between, last = places if len(places) > 1 else [*places, *places]
    least = 0.1 * (places[last] - places[first])
    kept = [first]
    for size in between:
        if places[size] - places[kept[-1]] >= least and places[last] - places[size] >= least:
            kept.append(size)
    return {size: short_size(size) if size else "none" for size in (*kept, last)}
