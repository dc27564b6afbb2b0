"""A number with its 95 % interval, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """One estimated quantity; never a number without its uncertainty, never a bare blank.

    Attributes:
        value: the estimate; None where it was not reached or is not known, and ``note`` says which.
        low: lower end of the 95 % interval, None where there is none.
        high: upper end; ``inf`` where "not reached" lies inside the interval.
        note: what a reader has to know: why a value or an interval is missing.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
