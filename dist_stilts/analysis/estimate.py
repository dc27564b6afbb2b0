"""A number with its 95 % interval, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """One estimated quantity; never a number without its uncertainty, never a bare blank.

    Attributes:
        value: the estimate; None where it was not reached (``censored``) or is not known.
        low: lower end of the 95 % interval, None where there is none.
        high: upper end; ``inf`` where "not reached" lies inside the interval.
        note: for readers alone: why a value or an interval is missing.
        censored: whether the value is known only to lie beyond what was looked at ("not reached").
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    censored: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether there is a value, or there is known to be none as far as was looked; None where neither is known."""
        return False if self.censored else True if self.value is not None else None
