"""Sheets of text for people: Markdown, LaTeX, or drawn on a terminal. What a sheet holds is decided elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dist_stilts.errors import UserError, nearest

if TYPE_CHECKING:
    from rich.console import Console

LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "†": r"$^\dagger$"}
LATEX |= {"±": r"$\pm$", "−": "$-$"} | {special: f"\\{special}" for special in "&%$#_{}"}


@dataclass(frozen=True)
class Sheet:
    """A table as it is read: the first column names the rows, the others are numbers; every line fits the header."""

    caption: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]
    notes: Sequence[str]


def write_as(
    format: str,
    sheets: Sequence[Sheet],
    *,
    csv: Callable[[], str],
    json: Callable[[], str],
    remarks: Sequence[str] = (),
) -> str:
    """Write sheets as ``md`` or ``latex``, or the numbers behind them, which only their makers know, as csv or json.

    Args:
        remarks: what stands below all sheets; numbers for machines go without.

    Raises:
        UserError: another format.
    """
    below = {"md": "".join(f"\n- {line}\n" for line in remarks), "latex": "".join(f"% {line}\n" for line in remarks)}
    writers = {
        "md": lambda: markdown(sheets) + below["md"],
        "csv": csv,
        "latex": lambda: latex(sheets) + below["latex"],
        "json": json,
    }
    if format not in writers:
        raise UserError(f"unknown table format '{format}'", fix=nearest(format, writers))
    return writers[format]()


def markdown(sheets: Iterable[Sheet]) -> str:
    """Caption, table, notes as a list."""
    blocks = []
    for sheet in sheets:
        notes = "".join(f"\n- {note}" for note in sheet.notes)
        rows = grid([sheet.header, *sheet.lines])
        blocks.append(f"**{sheet.caption}**\n\n{rows}\n" + (f"{notes}\n" if notes else ""))
    return "\n".join(blocks)


def grid(rows: Sequence[Sequence[str]], first: str = "---", others: str = "---:") -> str:
    """Rows as a table in Markdown, the first as its head; the first column's alignment, and the others': numbers."""
    head, *body = rows
    lines = [head, [first, *[others] * (len(head) - 1)], *body]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def latex(sheets: Iterable[Sheet]) -> str:
    """Tables for the booktabs package; notes go into the caption."""
    blocks = []
    for sheet in sheets:
        head, *body = [" & ".join(map(_escape_latex, row)) + r" \\" for row in (sheet.header, *sheet.lines)]
        caption = _escape_latex(". ".join([sheet.caption, *sheet.notes]) + ".")
        columns = "l" + "r" * (len(sheet.header) - 1)
        start = [r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", rf"\begin{{tabular}}{{{columns}}}"]
        rules = [r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
        blocks.append("\n".join([*start, *rules, r"\end{tabular}", r"\end{table}", ""]))
    return "\n".join(blocks)


def _escape_latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)


def print_rich(sheets: Iterable[Sheet], console: Console | None = None) -> None:
    """Print on a terminal; columns that do not fit its width go into further blocks."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as Grid

    console = console or Console()
    for sheet in sheets:
        console.print(f"\n{sheet.caption}", style="bold", markup=False, highlight=False)
        rows = [sheet.header, *sheet.lines]
        for columns in _blocks([max(map(len, column)) + 3 for column in zip(*rows, strict=True)], console.width - 2):
            drawn = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
            for column in columns:
                drawn.add_column(rows[0][column], justify="right" if column else "left", no_wrap=True)
            for row in rows[1:]:
                drawn.add_row(*(escape(row[column]) for column in columns))
            console.print(drawn)
        for note in sheet.notes:
            console.print(note, markup=False, highlight=False)


def _blocks(widths: Sequence[int], room: int) -> list[list[int]]:
    """Share columns out over blocks that fit ``room`` characters; each repeats column 0, the label."""
    blocks = [[0]]
    for column in range(1, len(widths)):
        if len(blocks[-1]) > 1 and sum(widths[i] for i in [*blocks[-1], column]) > room:
            blocks.append([0])
        blocks[-1].append(column)
    return blocks
