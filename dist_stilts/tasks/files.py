"""Finds and reads the public text files: plain, packed, deeper in the folder, or inside an archive; promises that
whatever is wrong in one is a UserError naming file:line.

A path may be virtual, leading through an archive (see :mod:`dist_stilts.tasks.archives`), and ``x.tsv`` stands for
``x.tsv``, ``x.tsv.gz``, ``x.tsv.bz2``, ``x.tsv.xz`` or ``x.tsv.zst``, plain first. Lines end at ``\n`` alone: Unicode
line separators inside a sentence do not shift the rows of parallel files.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

from dist_stilts.conventions import ENGLISH, sha256_of_file, sha256_of_text
from dist_stilts.errors import UserError
from dist_stilts.tasks.archives import (
    PACKED,
    bad_archive,
    best_match,
    find_member,
    has_member,
    is_archive,
    is_file,
    lies_apart,
    open_member,
    split_virtual,
    splits_at_archives,
)
from dist_stilts.tasks.encodings import decoded_lines
from dist_stilts.tasks.languages import XTREME_LANGUAGES

Where = tuple[Path, int]
"""A file and its 1-based line."""

_SHOWN_CHARACTERS = 40
_TRANSLATED = frozenset(XTREME_LANGUAGES) - {ENGLISH}
"""Folders of these names hold a translation in the layout of the English files, which is not to be taken for these."""
_DEEPEST = 4
"""How many folders below a task's folder a file may lie; the published archives nest theirs up to three deep."""
_LONGEST_FIELD = 1 << 24
"""Characters of one field of a CSV file; the standard library's own limit is below the longest published context."""
EMPTY = "It has 0 bytes: fetch or write it again"


def _open_zstandard(raw: IO[bytes], _mode: str) -> Any:
    import pyarrow

    return pyarrow.CompressedInputStream(raw, "zstd")


_OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _open_zstandard,
}


def shown(text: object) -> str:
    """Quote what a file holds so that a message stays on one short line."""
    try:
        quoted = repr(text)
    except RecursionError:
        return f"a deeply nested {type(text).__name__}"
    return quoted if len(quoted) <= _SHOWN_CHARACTERS else f"{quoted[:_SHOWN_CHARACTERS]}..."


def locate(folder: Path, *names: str) -> Path:
    """Return where the first of ``names`` is: in ``folder``, else deeper, else in an archive there.

    Args:
        names: file names, which may begin with folders, and with archives that are to be looked into:
            ``R1/dev.jsonl``, ``af.tar.gz/dev``. Each may be packed.

    Returns:
        The path, which may be virtual; if there is none, where the first name was expected. Of several the shallowest;
        a folder called like one of XTREME's languages other than English is searched only if the name gives it.

    Raises:
        UserError: an archive had to be searched and is damaged.
    """
    for name in names:
        if path := _packed(folder / name):
            return path
    below = list(_files_below(folder))
    for name in names:
        if found := best_match(below, name, _TRANSLATED):
            return folder / found
    archives = [path for path in below if is_archive(path) and not lies_apart(path, apart=_TRANSLATED)]
    archives.sort(key=lambda path: (path.count("/"), path))
    for name in names:
        if path := _in_archives(folder, archives, name):
            return path
    return folder / names[0]


def exists(path: Path) -> bool:
    """Whether there is such a file, on disk or in an archive."""
    if is_file(path):
        return True
    virtual = split_virtual(path)
    return virtual is not None and has_member(*virtual)


def digest(path: Path) -> str:
    """Return :func:`sha256` of a file; of an archive's member, the SHA-256 of the archive's and the member's name."""
    virtual = split_virtual(path)
    if virtual is None:
        return sha256(path)
    archive, member = virtual
    return sha256_of_text(f"{sha256(archive)}/{member}")


def read_whole(path: Path) -> str:
    """Return the whole text of a file, lines ended by ``\n``; errors as for :func:`read_lines`."""
    return "\n".join(line for _, line in read_lines(path))


def read_lines(path: Path, *, may_be_empty: bool = False) -> Iterator[tuple[int, str]]:
    """Yield (1-based line number, line without its end) of a text file; byte-order mark and CR are stripped.

    Raises:
        UserError: the file is missing, empty unless it may be, unreadable, damaged, or neither UTF-8 nor UTF-16.
    """
    path = _packed(path) or path
    if not exists(path):
        raise UserError(f"no such file (nor with {', '.join(PACKED[1:])})", where=path)
    number = 0
    with bad_archive(path), _open(path) as stream:
        for number, line in decoded_lines(stream, path):
            yield number, line
    if number == 0 and not may_be_empty:
        raise UserError("file is empty", where=path, fix=EMPTY)


def read_columns(path: Path, names: str, *, optional_last: bool = False) -> Iterator[tuple[Where, list[str]]]:
    """Yield (where, columns) of a tab-separated file without header or quoting.

    Args:
        names: the columns as a message should name them, separated by spaces.
        optional_last: whether the file may do without the last column, in all of its rows alike.
    """
    wanted = len(names.split())
    allowed = {wanted, wanted - 1} if optional_last else {wanted}
    path = _packed(path) or path
    for number, line in read_lines(path):
        columns = line.split("\t")
        if len(columns) not in allowed:
            found = f"{len(columns)} columns" if line else "a blank line"
            raise UserError(found, where=(path, number), fix=f"Expected, tab-separated: {names}")
        # The first row settles whether the optional column is there.
        allowed = {len(columns)}
        yield (path, number), columns


def read_table(path: Path, columns: str = "", *, skip_short: bool = False) -> Iterator[tuple[Where, dict[str, str]]]:
    """Yield (where, column to text) of a tab-separated file whose first line names its columns; quotes mean nothing.

    Args:
        columns: the wanted ones, separated by spaces; the file may have others, and a row may end before those of them
            that stand behind the last wanted one. None = all.
        skip_short: give an empty dict for a row that ends before the last wanted column, instead of refusing the file.

    Raises:
        UserError: a wanted column is not in the header; a row has too few columns, or more than the header.
    """
    path = _packed(path) or path
    lines = read_lines(path)
    header = next(lines)[1].split("\t")
    wanted = _wanted(columns.split() or header, header, path)
    fewest = max(wanted.values()) + 1
    for number, line in lines:
        cells = line.split("\t")
        if skip_short and len(cells) < fewest:
            yield (path, number), {}
            continue
        if not fewest <= len(cells) <= len(header):
            raise UserError(f"{len(cells)} columns, {len(header)} in the header", where=(path, number))
        yield (path, number), {column: cells[index] for column, index in wanted.items()}


def read_csv_rows(path: Path, columns: str = "", separator: str = ",") -> Iterator[tuple[Where, dict[str, str]]]:
    """Yield (where, column to text) of a comma-separated file with a header, quoted as in RFC 4180.

    A quoted field may hold commas, doubled quotes and line ends (given as ``\n``); ``where`` is a row's first line.

    Args:
        columns: the wanted ones, separated by spaces; the file may have others. None = all.

    Raises:
        UserError: a wanted column is not in the header; a row has more or fewer columns; a quote is never closed.
    """
    path = _packed(path) or path
    csv.field_size_limit(_LONGEST_FIELD)
    lines = (f"{line}\n" for _, line in read_lines(path))
    reader = csv.reader(lines, strict=True, delimiter=separator)
    header: list[str] = []
    wanted: dict[str, int] = {}
    while True:
        where = (path, reader.line_num + 1)
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise UserError(f"not CSV ({error})", where=where, fix=_csv_fix(str(error))) from error
        if cells is None:
            return
        if not header:
            header, wanted = cells, _wanted(columns.split() or cells, cells, path)
        elif cells:
            if len(cells) != len(header):
                raise UserError(f"{len(cells)} columns, {len(header)} in the header", where=where)
            yield where, {column: cells[index] for column, index in wanted.items()}


def _csv_fix(error: str) -> str:
    """What to do about a complaint of the standard library's reader."""
    if "new-line" in error:
        return "Its lines end in CR alone: save it with LF or CRLF"
    return "" if "expected after" in error else "A quote that is opened here is never closed: close or double it"


def read_json_lines(path: Path) -> Iterator[tuple[Where, dict[str, Any]]]:
    """Yield (where, object) of a JSON-lines file; blank lines are skipped."""
    path = _packed(path) or path
    for number, line in read_lines(path):
        if line.strip():
            yield (path, number), parse_object(line, (path, number))


def parse_object(text: str, where: Path | Where) -> dict[str, Any]:
    """Parse one JSON object.

    Raises:
        UserError: invalid JSON, or JSON that is not an object.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"invalid JSON ({shown(str(error))})", where=where) from error
    if not isinstance(value, dict):
        raise UserError("not a JSON object", where=where, fix="Expected {...}")
    return value


def text_field(record: dict[str, Any], key: str, where: Where) -> str:
    """Return ``record[key]``, a string that UTF-8 can hold (JSON's escapes allow half a surrogate pair)."""
    value = record.get(key)
    if not isinstance(value, str):
        raise UserError(f"no text under the key '{key}'", where=where, fix=f'Expected "{key}": "..."')
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"'{key}' holds half a surrogate pair", where=where) from error
    return value


def require_new(seen: set[str], key: str, where: Where) -> None:
    """Add an id to those seen in its file; raises UserError if it was there already."""
    if key in seen:
        raise UserError(f"id {shown(key)} occurs twice", where=where, fix="Ids must be unique within a file")
    seen.add(key)


def _wanted(columns: list[str], header: list[str], path: Path) -> dict[str, int]:
    missing = [column for column in columns if column not in header]
    if missing:
        found = shown(" ".join(header))
        raise UserError(f"no column '{missing[0]}' in the header {found}", where=(path, 1))
    if twice := [column for column in columns if header.count(column) > 1]:
        raise UserError(f"two columns are called {shown(twice[0])}", where=(path, 1))
    return {column: header.index(column) for column in columns}


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file on disk, in hexadecimal; UserError if it cannot be read.

    Within a process a file of the same size and modification time is hashed once.
    """
    with bad_archive(path):
        status = path.stat()
        return _sha256(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1024)
def _sha256(path: Path, _size: int, _modified_ns: int) -> str:
    return sha256_of_file(path)


def _packed(path: Path) -> Path | None:
    found = (candidate for suffix in PACKED if is_file(candidate := path.with_name(path.name + suffix)))
    return next(found, None)


def _files_below(folder: Path, prefix: str = "", depth: int = 0) -> Iterator[str]:
    try:
        entries = sorted((entry.name, entry.is_dir()) for entry in os.scandir(folder))
    except OSError:
        return  # missing, or not ours to read: nothing is found in it
    for name, is_folder in entries:
        if not is_folder:
            yield prefix + name
        elif depth < _DEEPEST and not name.startswith((".", "__MACOSX")):
            yield from _files_below(folder / name, f"{prefix}{name}/", depth + 1)


def _in_archives(folder: Path, archives: list[str], name: str) -> Path | None:
    # An archive that the name itself gives is looked into first: others need not even be listed then.
    for head, tail in splits_at_archives(name):
        named = best_match(archives, head)
        if named and (path := find_member(folder / named, tail)):
            return path
    return next((path for archive in archives if (path := find_member(folder / archive, name))), None)


@contextmanager
def _open(path: Path) -> Iterator[io.BufferedReader]:
    virtual = split_virtual(path)
    with open_member(*virtual) if virtual else path.open("rb") as raw:
        opener = _OPENERS.get(path.suffix)
        # Taking lines from a buffer in C is several times as fast as from the unpackers themselves.
        yield io.BufferedReader(opener(raw, "rb") if opener else cast("io.RawIOBase", raw), 1 << 16)
