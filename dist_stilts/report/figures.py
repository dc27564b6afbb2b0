"""What all figures share: how they are saved, and how names at the ends of lines are kept apart.

Matplotlib is imported when the first figure is drawn, and never through pyplot: no global state, no display.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(figure: Figure, out_dir: Path, name: str) -> list[Path]:
    """Write SVG and PNG, in this order; the same records give the same SVG, byte for byte."""
    from matplotlib import rc_context

    out_dir.mkdir(parents=True, exist_ok=True)
    paths = [out_dir / f"{name}.svg", out_dir / f"{name}.png"]
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(paths[0], metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    figure.savefig(paths[1], dpi=150)
    return paths


def spread(values: Sequence[float], low: float, high: float, gap: float) -> list[float]:
    """Move ascending values apart to at least ``gap`` (less if there is no room) without leaving [low, high]."""
    gap = min(gap, (high - low) / max(len(values), 1))
    placed = list(accumulate(values, lambda below, value: max(value, below + gap)))
    ceiling = high
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - gap
    return placed
