"""Text in columns, for files and terminals that know nothing else."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] | None = None) -> str:
    """Columns side by side.

    Args:
        rows: of equal length.
        right: the columns that are set to the right; None for those that hold numbers below their first row.
    """
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    wanted = [place for place, column in enumerate(columns) if _is_numbers(column[1:])] if right is None else right
    return "\n".join(
        "  ".join(
            text.rjust(width) if place in wanted else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _is_numbers(texts: Sequence[str]) -> bool:
    return all(text.replace(",", "").replace(".", "").isdigit() for text in texts)
