"""Reads sentences of CoNLL and IOB files: a word a line, its tag in another column, blank lines between sentences.

    -DOCSTART- -X- O O

    EU NNP B-NP B-ORG
    rejects VBZ B-VP O

Columns are separated by tabs, or else by blanks, the same way in the whole file, and every line has as many. Lines of
``-DOCSTART-`` and comments (``#`` at the head of a sentence) are passed over; a line there that has the file's number
of columns and one of its tags is a word: tweets begin with ``#``. Tags of IOB1 and of schemes that say where a chunk
ends become IOB2 (see :mod:`dist_stilts.tasks.iob`), which is counted.

Promises: one sentence at a time, whatever the file's size (it is read more than once: the scheme is the file's); what
is wrong is a UserError naming file and line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from dist_stilts.conventions import JsonObject
from dist_stilts.errors import UserError
from dist_stilts.tasks.files import Where, read_lines
from dist_stilts.tasks.iob import IOB2, NO_CHUNKS, UNCLEAR, Scheme, breaks_iob2, to_iob2
from dist_stilts.tasks.spec import Quirk

SUFFIXES = (".conll", ".conll03", ".conll2003", ".iob", ".iob2", ".bio", ".iobes", ".bioes", ".txt")
"""Names of such files; with columns by number, any other name will do."""
LEFT = Quirk("tags of no scheme throughout (IOB2, but for some chunks without B), left as they are")
_DOCUMENT = "-DOCSTART-"


class Columns(NamedTuple):
    """Where words and tags are, counted from 0; from the end if negative."""

    words: int = 0
    tags: int = -1


class _Line(NamedTuple):
    """A line of a file: its number and columns; at the head of a sentence, ``#`` may begin a comment."""

    number: int
    cells: list[str]
    is_head: bool

    @property
    def may_be_comment(self) -> bool:
        return self.is_head and self.cells[0].startswith("#")


@dataclass
class _Layout:
    """What the lines of a file have in common.

    Attributes:
        width: number of columns; tags: all tags of lines that are surely no comments, nothing if the file has none.
    """

    width: int = 0
    has_tags: bool = True
    tags: set[str] = field(default_factory=set)

    def is_word(self, line: _Line, columns: Columns) -> bool:
        """Whether a line is a word and no comment."""
        if not line.may_be_comment:
            return True
        return len(line.cells) == self.width and (not self.has_tags or line.cells[columns.tags] in self.tags)


def conll_columns(columns: Mapping[str, Any], where: str) -> Columns:
    """The numbers of an entry's ``columns``; UserError if one is no number, or of a field that such files do not have.

    Args:
        where: what to call the entry.
    """
    for name, number in columns.items():
        if name not in Columns._fields or not isinstance(number, int) or isinstance(number, bool):
            fix = "CoNLL files have columns by number from 0: {words: 0, tags: 3}"
            raise UserError(f"'{name}: {number}' is no column of a CoNLL file", where=where, fix=fix)
    return Columns(**columns)


def read_conll(path: Path, columns: Columns, *, may_lack_tags: bool) -> Iterator[tuple[Where, JsonObject] | Quirk]:
    """Yield (where its first word is, ``words`` and ``tags``) of every sentence; a Quirk before one that was converted.

    Args:
        may_lack_tags: whether the column of the tags may be missing, in all lines alike.

    Raises:
        UserError: no such file; a line with another number of columns, without a word or without a tag.
    """
    layout = _layout(path, columns, may_lack_tags=may_lack_tags)
    scheme = Scheme()
    for _, _, tags in _sentences(path, columns, layout):
        scheme.add(tags)
    for first, words, tags in _sentences(path, columns, layout):
        record: JsonObject = {"words": words}
        if layout.has_tags:
            record["tags"] = tags
            if scheme.name == UNCLEAR and breaks_iob2(tags):
                yield LEFT
            elif scheme.name not in (IOB2, UNCLEAR, NO_CHUNKS) and (converted := to_iob2(tags)) != tags:
                yield Quirk(f"{scheme.name} tags read as IOB2")
                record["tags"] = converted
        yield (path, first), record


def _layout(path: Path, columns: Columns, *, may_lack_tags: bool) -> _Layout:
    layout = _Layout()
    for line in _lines(path):
        if line is None or line.may_be_comment:
            continue
        if not layout.width:
            layout.width = len(line.cells)
            layout.has_tags = _has_tags(line, columns, (path, line.number), may_lack_tags=may_lack_tags)
        _check(line, columns, layout, path)
        if layout.has_tags:
            layout.tags.add(line.cells[columns.tags])
    return layout


def _has_tags(line: _Line, columns: Columns, where: Where, *, may_lack_tags: bool) -> bool:
    width = len(line.cells)
    place = columns.tags + width if columns.tags < 0 else columns.tags
    there = 0 <= place < width and place != (columns.words + width if columns.words < 0 else columns.words)
    if not there and not may_lack_tags:
        fix = "Give each word its tag in another column, and columns: {words: 0, tags: 3} if it is not the last"
        raise UserError(f"{width} column{'s' * (width != 1)}, and no tag", where=where, fix=fix)
    return there


def _check(line: _Line, columns: Columns, layout: _Layout, path: Path) -> None:
    where = (path, line.number)
    if len(line.cells) != layout.width:
        fix = "Separate columns the same way in the whole file, by tabs or by blanks"
        raise UserError(f"{len(line.cells)} columns, {layout.width} in the lines above", where=where, fix=fix)
    if not -layout.width <= columns.words < layout.width:
        raise UserError(f"no column {columns.words}: {layout.width} columns, counted from 0", where=where)
    if not line.cells[columns.words]:
        raise UserError("a tag without a word", where=where)
    if layout.has_tags and not line.cells[columns.tags]:
        raise UserError("a word without a tag", where=where)


def _sentences(path: Path, columns: Columns, layout: _Layout) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield (number of the first line, words, tags)."""
    first, words, tags = 0, list[str](), list[str]()
    for line in _lines(path):
        if line is None:
            if words:
                yield first, words, tags
            words, tags = [], []
        elif layout.is_word(line, columns):
            _check(line, columns, layout, path)
            first = first if words else line.number
            words.append(line.cells[columns.words])
            if layout.has_tags:
                tags.append(line.cells[columns.tags])
    if words:
        yield first, words, tags


def _lines(path: Path) -> Iterator[_Line | None]:
    """Yield the lines as columns; None between sentences."""
    separator: str | None = ""
    is_head = True
    for number, text in read_lines(path):
        if not text.strip(" \t") or text.startswith(_DOCUMENT):
            is_head = True
            yield None
            continue
        if separator == "" and not (is_head and text.startswith("#")):
            separator = "\t" if "\t" in text else None
        cells = [cell.strip(" ") for cell in text.split("\t")] if separator == "\t" else _at_blanks(text)
        line = _Line(number, cells, is_head)
        is_head = line.may_be_comment  # another comment may follow one
        yield line


def _at_blanks(text: str) -> list[str]:
    """Only what is a blank in ASCII separates: a word may hold a no-break space."""
    return [cell for cell in text.replace("\t", " ").split(" ") if cell]
