"""How numbers are written on the page: with their interval, or with the reason why there is none. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dist_stilts.analysis.estimate import Estimate

UNKNOWN = "–"
NO_INTERVAL = "no interval"
NOT_REACHED = "not reached"
LEAST_P = 0.001
"""Smaller p values are only said to be below it."""


def show(estimate: Estimate, number: Callable[[float], str]) -> str:
    """``value [low, high]``, or what is missing of it and why; ``number`` writes a finite one."""

    def end(value: float) -> str:
        return number(value) if math.isfinite(value) else NOT_REACHED

    low, high = estimate.low, estimate.high
    interval = f"[{end(low)}, {end(high)}]" if low is not None and high is not None else ""
    if estimate.value is None:
        return f"{estimate.note or 'not known'} {interval}".strip()
    note = estimate.note or ("" if interval else NO_INTERVAL)
    return " ".join(filter(None, [end(estimate.value), interval, f"({note})" if note else ""]))


def points(value: float) -> str:
    """A difference in percentage points, with its sign."""
    return signed(value, 1)


def fine_points(value: float) -> str:
    """The same for small differences."""
    return signed(value, 2)


def signed(value: float, digits: int) -> str:
    """A number with a sign, a true minus among them; nan is a dash."""
    if math.isnan(value):
        return UNKNOWN
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("+-")


def rounded_size(value: float) -> str:
    """An estimated number of examples, of which more than three figures are never known."""
    return f"{float(f'{value:.3g}'):,.0f}"


def exact_size(size: int) -> str:
    """A size of the design."""
    return f"{size:,}" if size else "none"


def short_size(size: float) -> str:
    """A size where there is little room: 300, 1k, 393k, 1.2M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit * 0.9995:
            return f"{size / unit:.3g}{name}"
    return f"{size:.3g}"


def plain(value: float, digits: int = 2) -> str:
    """A number of either sign; nan is a dash."""
    return UNKNOWN if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def p_value(p: float) -> str:
    """Three decimals, or below which."""
    if math.isnan(p):
        return UNKNOWN
    return f"< {LEAST_P}" if p < LEAST_P else f"{p:.3f}"


def p_equals(p: float) -> str:
    """With its relation, for a sentence: ``= 0.012``, ``< 0.001``."""
    return p_value(p) if p < LEAST_P else f"= {p_value(p)}"
