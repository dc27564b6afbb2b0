"""How numbers are written wherever people read them: scores and changes, their ±, sizes, p. Pure."""

from __future__ import annotations

import math

ABSENT = "-"
"""A number that is not there, or cannot be given: nan."""
LEAST_P = 0.001
"""Smaller p values are only said to be below it."""
COLLAPSED = "†"
"""Follows a score that a collapsed model has a part in."""


def score(value: float | None, collapsed: object = False, digits: int = 1, width: int = 0) -> str:
    """A score in percent, set to the right of ``width`` characters."""
    text = ABSENT if value is None else f"{value:.{digits}f}"
    return (text + COLLAPSED * bool(collapsed)).rjust(width)


def plus_minus(value: float, half_width: float | None, digits: int = 1, sign: bool = False) -> str:
    """A number and, where it is known, the half width of its interval; a change has a sign."""
    text = signed(value, digits) if sign else f"{value:.{digits}f}"
    return text if half_width is None else f"{text} {give_or_take(half_width, digits)}"


def give_or_take(half_width: float, digits: int = 1) -> str:
    """The half width of an interval alone."""
    return f"± {half_width:.{digits}f}"


def points(value: float) -> str:
    """A difference in percentage points, with its sign."""
    return signed(value, 1)


def fine_points(value: float) -> str:
    """The same for small differences."""
    return signed(value, 2)


def signed(value: float, digits: int) -> str:
    """A number with a sign, a true minus among them; nan is a dash."""
    if math.isnan(value):
        return ABSENT
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("+-")


def plain(value: float, digits: int = 2) -> str:
    """A number of either sign; nan is a dash."""
    return ABSENT if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def rounded_size(value: float) -> str:
    """An estimated number of examples, of which more than three figures are never known."""
    return f"{float(f'{value:.3g}'):,.0f}"


def exact_size(size: int) -> str:
    """A size of the design."""
    return f"{size:,}" if size else "none"


def short_size(size: float) -> str:
    """A size where there is little room: 300, 1k, 393k, 1.2M, 1.2G."""
    for unit, name in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if size >= unit * 0.9995:
            return f"{size / unit:.3g}{name}"
    return f"{size:.3g}"


def p_value(p: float) -> str:
    """Three decimals, or below which."""
    if math.isnan(p):
        return ABSENT
    return f"< {LEAST_P}" if p < LEAST_P else f"{p:.3f}"


def p_equals(p: float) -> str:
    """With its relation, for a sentence: ``= 0.012``, ``< 0.001``."""
    return p_value(p) if p < LEAST_P else f"= {p_value(p)}"
