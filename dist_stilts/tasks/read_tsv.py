"""Reads tab-separated tables of the user's own: with quotes that mean nothing, or as pandas and Excel write them.

These programs quote a cell that holds a tab, a quote or a line break, and double the quotes in it; others write cells
as they are. Which a file is, is settled by all of it: quotes are undone if every one of them opens or closes a whole
cell or is doubled in one, and no quoted cell swallows rows. Promises: a file that is in part the one and in part the
other is a UserError with file and line, and no row is ever lost in a cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dist_stilts.errors import UserError
from dist_stilts.tasks.files import Where, read_lines, read_table

_CELL = r'"[^"]*(?:""[^"]*)*"|[^"\t\n]*'
_whole = re.compile(rf"(?:{_CELL})(?:\t(?:{_CELL}))*").fullmatch
_cells = re.compile(rf"(?:^|\t)({_CELL})").findall
_doubled = re.compile(r'"[^"]*(?:""[^"]*)+"').fullmatch
"""A cell that only a program that quotes would write."""
_LONGEST_RECORD = 1 << 24
"""Characters; what goes on for longer is no quoted cell."""
_Record = tuple[int, str]
"""Its first line, and its text, which may have several."""


def read_tsv(path: Path) -> Iterator[tuple[Where, dict[str, str]]]:
    """Yield (where, column to text) of a table whose first line names its columns; errors as for :func:`read_table`."""
    if not _is_quoted(path):
        yield from read_table(path)
        return
    records = _records(path)
    header = _unquoted(next(records)[1])
    if twice := [name for name in header if header.count(name) > 1]:
        raise UserError(f"two columns are called '{twice[0]}'", where=(path, 1))
    for line, text in records:
        yield (path, line), dict(zip(header, _unquoted(text), strict=True))


def _is_quoted(path: Path) -> bool:
    """Whether quotes are to be undone.

    Raises:
        UserError: some cells say so, others cannot be read like that.
    """
    fault = _first_fault(path)
    if fault is None:
        return True
    line, what = fault
    if what and (sure := _surely_quoted(path)):
        fix = f"Line {sure} is quoted as pandas and Excel do it: double the quotes here, too, or write JSON lines"
        raise UserError(what, where=(path, line), fix=fix)
    return False


def _first_fault(path: Path) -> tuple[int, str] | None:
    """The first line that no program that quotes would write, and what is wrong; nothing wrong without any quote."""
    width, any_quote = 0, False
    for line, text in _records(path):
        if '"' in text:
            any_quote = True
            if not _whole(text):
                return line, "a quote inside a cell, or one that is never closed"
        cells = _cells(text) if '"' in text else text.split("\t")
        width = width or len(cells)
        if len(cells) != width:
            return line, f"{len(cells)} columns, {width} in the header"
        if any("\n" in cell and ("\t" in cell or width == 1) for cell in cells):
            return line, "a quoted cell that holds whole lines, as if a quote were not closed"
    return None if any_quote else (1, "")


def _surely_quoted(path: Path) -> int:
    """The first line with a cell that a program quoted beyond doubt; 0 = none."""
    lines = ((number, line) for number, line in read_lines(path) if '""' in line)
    return next((number for number, line in lines if any(map(_doubled, line.split("\t")))), 0)


def _records(path: Path) -> Iterator[_Record]:
    """Yield what ends where as many quotes are closed as were opened."""
    first, held, is_open, size = 0, list[str](), False, 0
    for number, line in read_lines(path):
        first = first if held else number
        held.append(line)
        is_open ^= line.count('"') % 2 == 1
        size += len(line)
        if not is_open or size > _LONGEST_RECORD:
            yield first, "\n".join(held)
            held, is_open, size = [], False, 0
    if held:
        yield first, "\n".join(held)


def _unquoted(text: str) -> list[str]:
    cells: list[str] = _cells(text) if '"' in text else text.split("\t")
    return [cell[1:-1].replace('""', '"') if cell.startswith('"') else cell for cell in cells]
