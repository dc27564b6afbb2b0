"""Reads any table of the user's own as records, column by name: JSON, CSV, TSV, Parquet or Arrow, told apart by the
file's name. Blanks and byte-order marks around the names of columns are no part of them.

Promises: one record at a time, whatever the file's size, but for JSON that is no JSON lines; what is wrong in a file is
a UserError naming file and line (Parquet, Arrow: row).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from dist_stilts.conventions import JsonObject
from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.archives import PACKED
from dist_stilts.tasks.files import Where, exists, read_csv_rows, read_lines, shown
from dist_stilts.tasks.read_json import read_json
from dist_stilts.tasks.read_tsv import read_tsv

_BINARY = (".parquet", ".arrow")


def suffix_of(name: str) -> str:
    """Return a file's suffix, whether it is packed or not."""
    path = PurePath(name)
    return PurePath(path.stem).suffix if path.suffix in PACKED else path.suffix


def format_of(name: str, others: Sequence[str] = ()) -> str:
    """Return the suffix, in small letters, that says how to read a file; UserError if it is none of a table and none
    of ``others``."""
    suffix = suffix_of(name).lower()
    if suffix not in (*_READERS, *others) or (suffix in _BINARY and PurePath(name).suffix.lower() != suffix):
        raise UserError(f"no way to read {shown(name)}", fix=f"Known: {', '.join((*_READERS, *others))}")
    return suffix


def find_table(path: Path) -> Path:
    """Return the file, or the packed one beside it; if there is neither, the first as expected."""
    candidates = (path.with_name(path.name + suffix) for suffix in PACKED)
    return next((candidate for candidate in candidates if exists(candidate)), path)


def read_records(path: Path) -> Iterator[tuple[Where, JsonObject]]:
    """Yield (where, column to value) of every row."""
    yield from _READERS[format_of(path.name)](path)


def column(record: JsonObject, name: str, where: Where) -> Any:
    """Return the value in a column; UserError, naming the nearest, if there is no such column."""
    if name not in record:
        known = [known[:40] for known in list(record)[:20]]
        raise UserError(f"no column {shown(name)}", where=where, fix=nearest(name[:40], known))
    return record[name]


def read_csv(path: Path) -> Iterator[tuple[Where, JsonObject]]:
    """Yield (where, column to text); cells are separated by commas or, where the header has none, by ``;`` or tabs."""
    _, header = next(read_lines(path))
    separator = next((mark for mark in ",;\t" if mark in header), ",")
    return _tidied(path, read_csv_rows(path, separator=separator))


def read_tab_separated(path: Path) -> Iterator[tuple[Where, JsonObject]]:
    """Yield (where, column to text); see :func:`dist_stilts.tasks.read_tsv.read_tsv`."""
    return _tidied(path, read_tsv(path))


def _tidied(path: Path, rows: Iterator[tuple[Where, dict[str, str]]]) -> Iterator[tuple[Where, JsonObject]]:
    names: dict[str, str] = {}
    for where, row in rows:
        names = names or {name: name.strip().strip("\ufeff").strip() for name in row}
        if len(set(names.values())) < len(names):
            raise UserError("two columns are called alike, but for blanks", where=(path, 1))
        yield where, {names[name]: cell for name, cell in row.items()}


@contextmanager
def _damaged(path: Path, row: Callable[[], int] = lambda: 0) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        fault = f"no {path.suffix[1:].title()} file, or a damaged one ({shown(str(error))})"
        raise UserError(fault, where=(path, row() + 1) if row() else path, fix="Fetch or write it again") from error


def _batches(path: Path, open_file: Callable[[Path], Iterator[Any]]) -> Iterator[tuple[Where, JsonObject]]:
    if not path.is_file():
        raise UserError("no such file", where=path)
    number = 0
    with _damaged(path, lambda: number):
        for batch in open_file(path):
            for record in batch.to_pylist():
                number += 1
                yield (path, number), record


def _parquet_rows(path: Path) -> Iterator[tuple[Where, JsonObject]]:
    from pyarrow.parquet import ParquetFile

    return _batches(path, lambda path: ParquetFile(path).iter_batches())


def _arrow_rows(path: Path) -> Iterator[tuple[Where, JsonObject]]:
    """The rows of a file that ``save_to_disk`` wrote; numbers of classes become the classes' names."""
    names: dict[str, list[str]] = {}

    def batches(path: Path) -> Iterator[Any]:
        import pyarrow

        with pyarrow.memory_map(str(path)) as source, pyarrow.ipc.open_stream(source) as stream:
            names.update(_class_names(stream.schema.metadata))
            yield from stream

    for where, record in _batches(path, batches):
        yield where, {key: _named(value, names.get(key)) for key, value in record.items()}


def _class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """Column to the names of its classes, as the library ``datasets`` notes them in a file's schema."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        inner = {key: feature.get("feature", feature) for key, feature in features.items() if isinstance(feature, dict)}
        return {key: feature["names"] for key, feature in inner.items() if feature.get("_type") == "ClassLabel"}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _named(value: Any, names: list[str] | None) -> Any:
    if names is None or value is None:
        return value
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    return names[value] if 0 <= value < len(names) else None


_READERS: dict[str, Callable[[Path], Iterator[tuple[Where, JsonObject]]]] = {
    ".jsonl": read_json,
    ".json": read_json,
    ".ndjson": read_json,
    ".csv": read_csv,
    ".tsv": read_tab_separated,
    ".parquet": _parquet_rows,
    ".arrow": _arrow_rows,
}
