"""What all figures share: files, colours of distances, axes of sizes, and names that keep out of each other's way.

Matplotlib is imported when the first figure is drawn, and never through pyplot: no global state, no display.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure

UNKNOWN_DISTANCE = "0.6"
"""Grey, for a language whose distance is not known."""


class End(NamedTuple):
    """Where a line ends, in data coordinates, and what is written there."""

    name: str
    x: float
    y: float
    colour: Any


def save(figure: Figure, out_dir: Path, name: str) -> list[Path]:
    """Write SVG and PNG, in this order; the same records give the same SVG, byte for byte."""
    from matplotlib import rc_context

    out_dir.mkdir(parents=True, exist_ok=True)
    paths = [out_dir / f"{name}.svg", out_dir / f"{name}.png"]
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(paths[0], metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    figure.savefig(paths[1], dpi=150)
    return paths


def save_pages(figures: Iterable[Figure], path: Path) -> Path:
    """Write a PDF with one page per figure, for papers. Its fonts are TrueType, as publishers ask, and in it once."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_pdf import PdfPages

    path.parent.mkdir(parents=True, exist_ok=True)
    unset = dict.fromkeys(("Creator", "Producer", "CreationDate"))  # what differs from day to day
    with rc_context({"pdf.fonttype": 42}), PdfPages(path, metadata=unset) as pages:
        for figure in figures:
            pages.savefig(figure)
    return path


def spread(values: Sequence[float], low: float, high: float, gap: float) -> list[float]:
    """Move ascending values apart to at least ``gap`` (less if there is no room) without leaving [low, high]."""
    gap = min(gap, (high - low) / max(len(values), 1))
    placed = list(accumulate(values, lambda below, value: max(value, below + gap)))
    ceiling = high
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - gap
    return placed


def name_ends(axes: Axes, ends: Sequence[End], at: float = 1.04, gap: float = 0.044, fontsize: float = 9) -> None:
    """Write each name level with the end of its line as far as the neighbours leave room.

    Args:
        at: where the names start, as a share of the axes' width.
        gap: between names, as a share of the axes' height.
    """
    low, high = axes.get_ylim()
    order = sorted(ends, key=lambda end: end.y)
    heights = spread([end.y for end in order], low, high, gap=(high - low) * gap)
    for end, height in zip(order, heights, strict=True):
        leader = {"arrowstyle": "-", "color": end.colour, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
        axes.annotate(
            end.name,
            (end.x, end.y),
            (at, height),
            textcoords=("axes fraction", "data"),
            arrowprops=leader | {"relpos": (0, 0.5)},
            fontsize=fontsize,
            color=end.colour,
            va="center",
            annotation_clip=False,
        )


def distance_colours(distances: Mapping[str, float]) -> tuple[Colormap, Normalize]:
    """From 0 to the largest distance: viridis without its last tenth, which is too pale on white."""
    import matplotlib
    from matplotlib.colors import ListedColormap, Normalize

    viridis = matplotlib.colormaps["viridis"]
    return ListedColormap([viridis(i / 255 * 0.9) for i in range(256)]), Normalize(0, max(distances.values()) or 1)


def size_axis(axes: Axes, sizes: Sequence[int], ticks: Mapping[int, str]) -> None:
    """Make x logarithmic in the size, with room for 0 at the left; ``ticks``: what is written at which size."""
    smallest = min((size for size in sizes if size), default=1)
    axes.set_xscale("symlog", linthresh=smallest, linscale=0.6)
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.minorticks_off()
    axes.margins(x=0.06)
