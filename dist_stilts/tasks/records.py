"""Reads any table as records, column by name: JSON lines, CSV, TSV or Parquet, told apart by the file's name.

Promises: one record at a time, whatever the file's size; what is wrong in a file is a UserError naming file and line
(Parquet: row).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

from dist_stilts.conventions import JsonObject
from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.archives import PACKED
from dist_stilts.tasks.files import Where, exists, read_csv_rows, read_json_lines, read_table, shown


def suffix_of(name: str) -> str:
    """Return a file's suffix, whether it is packed or not."""
    path = PurePath(name)
    return PurePath(path.stem).suffix if path.suffix in PACKED else path.suffix


def format_of(name: str, others: Sequence[str] = ()) -> str:
    """Return the suffix that says how to read a file; UserError if it is none of a table and none of ``others``."""
    suffix = suffix_of(name)
    if suffix not in (*_READERS, *others) or (suffix == ".parquet" and PurePath(name).suffix != suffix):
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


def _parquet(path: Path) -> Any:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    if not path.is_file():
        raise UserError("no such file", where=path)
    try:
        return ParquetFile(path)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise UserError(f"not a Parquet file ({shown(str(error))})", where=path, fix="Fetch it again") from error


def _parquet_rows(path: Path) -> Iterator[tuple[Where, JsonObject]]:
    import pyarrow

    file, number = _parquet(path), 0
    try:
        for batch in file.iter_batches():
            for record in batch.to_pylist():
                number += 1
                yield (path, number), record
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise UserError(f"damaged Parquet file ({shown(str(error))})", where=(path, number + 1)) from error


_READERS: dict[str, Callable[[Path], Iterator[tuple[Where, JsonObject]]]] = {
    ".jsonl": read_json_lines,
    ".json": read_json_lines,
    ".csv": read_csv_rows,
    ".tsv": read_table,
    ".parquet": _parquet_rows,
}
