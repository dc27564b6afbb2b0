"""Reads the two texts that pairs are mined from, and the pairs that are known, from anyone's files.

A line is a sentence, or ``id<TAB>sentence`` as in BUCC's files. Sentences without an id are known by their line number,
from 1. Lines without text are passed over and counted; a tab inside a sentence becomes a space, so that what is mined
can be written as columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dist_stilts.conventions import has_text
from dist_stilts.errors import UserError
from dist_stilts.tasks.files import read_lines, require_new, shown
from dist_stilts.tasks.read_bitext import read_gold

Lines = list[tuple[int, str]]


@dataclass(frozen=True)
class Side:
    """The sentences of one file.

    Attributes:
        ids: of the sentences, as the file has them; without any, line numbers.
        blank: lines without text.
        named: whether the file has ids.
    """

    path: Path
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    blank: int
    named: bool


def read_sides(source: Path, target: Path, ids: bool | None = None) -> tuple[Side, Side]:
    """Read both sides.

    Args:
        ids: whether lines begin with an id and a tab; None = they do if this is so in every line of both files, with no
            other tab and no id twice in a file.

    Raises:
        UserError: a file without text, a line without its id, an id twice, or what :func:`read_lines` raises.
    """
    files = [(path, list(read_lines(path))) for path in (source, target)]
    named = all(_has_ids(lines) for _, lines in files) if ids is None else ids
    first, second = (_with_ids(*file) if named else _by_number(*file) for file in files)
    return first, second


def read_known(gold: Path, source: Side, target: Side) -> list[tuple[int, int]]:
    """Read the known pairs, ``source id<TAB>target id``, as rows of the two sides, from 0.

    Raises:
        UserError: an id that no sentence of its side has, a pair that occurs twice, another number of columns.
    """
    rows = [{key: row for row, key in enumerate(side.ids)} for side in (source, target)]
    pairs = read_gold(gold, [(source.path, rows[0]), (target.path, rows[1])])
    return [(rows[0][s], rows[1][t]) for s, t in pairs]


def _has_ids(lines: Lines) -> bool:
    keys = [line.split("\t")[0] for _, line in lines if has_text(line) and line.count("\t") == 1]
    whole = len(keys) == sum(has_text(line) for _, line in lines)
    return whole and all(key.strip() for key in keys) and len(set(keys)) == len(keys) > 0


def _with_ids(path: Path, lines: Lines) -> Side:
    seen: set[str] = set()
    kept: list[tuple[str, str]] = []
    for number, line in lines:
        key, tab, text = line.partition("\t")
        if has_text(line) and not tab:
            fix = "Expected, tab-separated: id text; --no-ids reads whole lines"
            raise UserError(f"no id before {shown(line)}", where=(path, number), fix=fix)
        if _plain(text):
            require_new(seen, key, (path, number))
            kept.append((key, _plain(text)))
    return _side(path, kept, len(lines), named=True)


def _by_number(path: Path, lines: Lines) -> Side:
    kept = [(str(number), text) for number, line in lines if (text := _plain(line))]
    return _side(path, kept, len(lines), named=False)


def _side(path: Path, kept: list[tuple[str, str]], lines: int, *, named: bool) -> Side:
    if not kept:
        raise UserError(f"no text in {lines} lines", where=path)
    ids, texts = zip(*kept, strict=True)
    return Side(path, ids, texts, lines - len(kept), named)


def _plain(text: str) -> str:
    """A sentence as it is searched and written; empty if nothing of it shows."""
    return "" if not has_text(text) else text.replace("\t", " ").replace("\r", " ").strip()
