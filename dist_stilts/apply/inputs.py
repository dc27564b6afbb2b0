"""Anyone's files as records, one at a time: CSV, TSV, JSON lines, Parquet, plain text, CoNLL, and standard input.

Promises: no more than a chunk of a file is held in memory; blank lines of plain text are records too, so that output
and input stay parallel; what is wrong in a file is a UserError naming file and line (Parquet: row).
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO

from dist_stilts.conventions import JsonObject
from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.archives import PACKED
from dist_stilts.tasks.files import Where, exists, read_lines
from dist_stilts.tasks.read_json import read_json
from dist_stilts.tasks.records import read_csv, read_records, read_tab_separated

STDIN = "-"
CHUNK_ROWS = 512
"""Most records of a chunk: what one rank predicts at a time."""
CHUNK_CHARACTERS = 2_000_000
"""About so many characters end a chunk, too: long documents are held a few at a time."""
_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".txt": "text",
    ".conll": "conll",
    ".iob": "conll",
    ".iob2": "conll",
    ".bio": "conll",
    ".conllu": "conllu",
}
FORMATS = tuple(dict.fromkeys(_SUFFIXES.values()))
Record = tuple[Where, JsonObject]


@dataclass(frozen=True)
class Input:
    """One file and how it is read.

    Attributes:
        path: where it lies; standard input is read to its end into a file first.
        name: as the user wrote it.
    """

    path: Path
    name: str
    format: str

    def records(self) -> Iterator[Record]:
        """Yield the records; errors name the file as the user did."""
        for (_, line), record in _READERS[self.format](self.path):
            yield (Path(self.name), line), record


def format_by_name(name: str, wanted: str | None) -> str:
    """How a file is read: as asked for, else as its name says.

    Raises:
        UserError: neither says.
    """
    if wanted is not None:
        if wanted not in FORMATS:
            raise UserError(f"--format: unknown format '{wanted}'", fix=nearest(wanted, FORMATS))
        return wanted
    path = PurePath(name)
    suffix = PurePath(path.stem).suffix if path.suffix in PACKED else path.suffix
    if suffix.lower() not in _SUFFIXES:
        raise UserError("its name does not say how to read it", where=name, fix=f"Give --format: {', '.join(FORMATS)}")
    return _SUFFIXES[suffix.lower()]


def check_names(names: Sequence[str], wanted: str | None) -> None:
    """Refuse what can be seen without reading anything.

    Raises:
        UserError: no input; a missing file; one whose format nobody knows; standard input twice.
    """
    if not names:
        raise UserError("no input", fix="Name a file, or - for standard input")
    if list(names).count(STDIN) > 1:
        raise UserError("standard input can be read once")
    for name in names:
        if name != STDIN and not exists(Path(name)):
            raise UserError("no such file", where=name)
        if name != STDIN or wanted:
            format_by_name(name, wanted)


def open_inputs(names: Sequence[str], wanted: str | None, spool: Path) -> list[Input]:
    """The inputs; standard input is copied into the folder ``spool``, since it can be read only once."""
    return [
        _spooled(sys.stdin.buffer, spool, wanted)
        if name == STDIN
        else Input(Path(name), name, format_by_name(name, wanted))
        for name in names
    ]


def _spooled(stream: IO[bytes], folder: Path, wanted: str | None) -> Input:
    path = folder / "stdin"
    with path.open("wb") as file:
        shutil.copyfileobj(stream, file)
    found = wanted or ("jsonl" if _looks_like_json(path) else "text")
    if found == "parquet":  # its reader goes by the name
        path = path.rename(path.with_suffix(".parquet"))
    return Input(path, "standard input", found)


def _looks_like_json(path: Path) -> bool:
    with path.open("rb") as file:
        first = next((line for line in file if line.strip()), b"")
    try:
        return isinstance(json.loads(first), dict)
    except ValueError:
        return False


def records_of(inputs: Sequence[Input]) -> Iterator[Record]:
    """The records of all inputs, one after another."""
    for one in inputs:
        yield from one.records()


def chunks(
    records: Iterator[Record], rows: int = CHUNK_ROWS, characters: int = CHUNK_CHARACTERS
) -> Iterator[list[Record]]:
    """Cut records into chunks; where, the records alone decide."""
    chunk: list[Record] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += sum(_length(value) for value in record[1].values())
        if len(chunk) == rows or size >= characters:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    return sum(map(_length, value)) if isinstance(value, list) else 1


def read_text(path: Path) -> Iterator[Record]:
    """Every line of plain text, blank ones too, as the column ``text``."""
    for number, line in read_lines(path):
        yield (path, number), {"text": line}


def read_conll(path: Path) -> Iterator[Record]:
    """Sentences of ``word ... tag`` lines, divided by blanks or tabs, as the columns ``words`` and, if the lines have
    more than a word, ``tags``; a blank line ends a sentence, ``-DOCSTART-`` and comments before it are left out."""
    for where, lines in _sentences(path, lambda line: len(line.split()) != 2):
        columns = [line.split("\t") if "\t" in line else line.split(" ") for line in lines]
        record: JsonObject = {"words": [cells[0] for cells in columns]}
        if len(columns[0]) > 1:
            record["tags"] = [cells[-1] for cells in columns]
        yield where, record


def read_conllu(path: Path) -> Iterator[Record]:
    """Sentences of CoNLL-U as the columns ``words`` (FORM) and ``tags`` (UPOS), without ranges and empty nodes.

    Raises:
        UserError: a line of fewer than four columns.
    """
    for (file, first), lines in _sentences(path, lambda line: True):
        rows = [line.split("\t") for line in lines]
        if (short := next((number for number, cells in enumerate(rows) if len(cells) < 4), None)) is not None:
            raise UserError(f"{len(rows[short])} columns", where=(file, first + short), fix="Expected CoNLL-U: ten")
        words = [cells for cells in rows if cells[0].isdecimal()]
        yield (file, first), {"words": [cells[1] for cells in words], "tags": [cells[3] for cells in words]}


def _sentences(path: Path, is_comment: Callable[[str], bool]) -> Iterator[tuple[Where, list[str]]]:
    """Lines between blank ones, and where they begin.

    Args:
        is_comment: of a line that begins with ``# ``, before the words of a sentence: the sign may be a word, too.
    """
    first = 0
    lines: list[str] = []
    for number, line in read_lines(path):
        if not line.strip():
            if lines:
                yield (path, first), lines
            lines = []
        elif line.startswith("-DOCSTART-") or (not lines and line.startswith("# ") and is_comment(line)):
            continue
        else:
            first = first if lines else number
            lines.append(line)
    if lines:
        yield (path, first), lines


_READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    "jsonl": read_json,
    "csv": read_csv,
    "tsv": read_tab_separated,
    "parquet": read_records,
    "text": read_text,
    "conll": read_conll,
    "conllu": read_conllu,
}
