"""How estimates are written on the page: with their interval, or with the reason why there is none. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dist_stilts.analysis.estimate import Estimate

NO_INTERVAL = "no interval"
NOT_REACHED = "not reached"


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
