"""Tables of numbers as CSV, for spreadsheets and data frames; no cell is taken for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet computes, or runs, if a cell begins with it (OWASP: CSV injection)."""


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows, the first of them the header, as CSV; None is an empty cell."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([*map(harmless, row)] for row in rows)
    return text.getvalue()


def harmless(cell: Any) -> Any:
    """The cell, behind an apostrophe if a spreadsheet would take it for a formula; numbers and lone signs are none."""
    if not isinstance(cell, str) or len(cell) < 2 or not cell.startswith(STARTS) or _is_number(cell):
        return cell
    return f"'{cell}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
