"""Rows of output as bytes, chunk by chunk: JSON lines, CSV, TSV or Parquet, as the file's name says.

Any rank turns its chunks into bytes; rank 0 puts them one behind another. In a table of text, lists and objects are
JSON in their cells. Parquet has its table of contents at its end, so chunks are kept as Arrow streams until then.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dist_stilts.conventions import JsonObject
from dist_stilts.errors import UserError
from dist_stilts.report.spreadsheet import harmless
from dist_stilts.writing import stream_of

KNOWN = (".jsonl", ".csv", ".tsv", ".parquet")
ROWS_PER_GROUP = 32_768
"""Of a Parquet file: what a reader unpacks at a time."""


@dataclass(frozen=True)
class Writer:
    """How rows become bytes.

    Attributes:
        names: all columns, the input's and then ours; JSON lines have those that a row has.
        types: Parquet only: Arrow type of each column; "" for one whose values are written as JSON.
        ours: columns that the input does not have. In a table of text no cell of theirs, which may be a label of
            anybody's model, is taken for a formula; the input's own stay as they are.
    """

    format: str
    names: tuple[str, ...]
    types: dict[str, Any]
    ours: frozenset[str] = frozenset()

    def header(self) -> bytes:
        """What stands before all rows."""
        return self._table([list(self.names)]) if self.format in _DELIMITERS else b""

    def rows(self, rows: Sequence[JsonObject]) -> bytes:
        """A chunk of rows."""
        if self.format == ".parquet":
            return self._arrow(rows)
        if self.format in _DELIMITERS:
            return self._table([[self._cell(name, row.get(name)) for name in self.names] for row in rows])
        return b"".join(map(_json_line, rows))

    def _cell(self, name: str, value: Any) -> str:
        return str(harmless(_cell(value))) if name in self.ours else _cell(value)

    def _table(self, rows: list[list[str]]) -> bytes:
        text = io.StringIO()
        csv.writer(text, delimiter=_DELIMITERS[self.format], lineterminator="\n").writerows(rows)
        return text.getvalue().encode("utf-8", "replace")

    def _arrow(self, rows: Sequence[JsonObject]) -> bytes:
        import pyarrow as pa

        schema = pa.schema([(name, self.types[name] or pa.string()) for name in self.names])
        as_json = {name for name in self.names if self.types[name] == ""}
        made = [{name: _arrow_cell(row.get(name), name in as_json) for name in self.names} for row in rows]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_table(pa.Table.from_pylist(made, schema))
        whole: bytes = sink.getvalue().to_pybytes()
        return whole

    def finish(self, kept: Path) -> Path:
        """The finished file, still under a name of its own, made of the chunks that are kept in a file."""
        return _parquet(kept) if self.format == ".parquet" else kept


_DELIMITERS = {".csv": ",", ".tsv": "\t"}


def output_format(out: str) -> str:
    """How the output is written.

    Raises:
        UserError: its name does not say.
    """
    if stream_of(out) is not None:
        return ".jsonl"
    suffix = Path(out).suffix.lower()
    if suffix not in KNOWN:
        raise UserError("its name does not say what to write", where=out, fix=f"End it in {', '.join(KNOWN)}")
    return suffix


def _json_line(row: JsonObject) -> bytes:
    try:
        return (json.dumps(row, ensure_ascii=False, default=str) + "\n").encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold and UTF-8 cannot
        return (json.dumps(row, default=str) + "\n").encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _arrow_cell(value: Any, as_json: bool) -> Any:
    if as_json and value is not None:
        value = json.dumps(value, ensure_ascii=False, default=str)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _parquet(kept: Path) -> Path:
    """One Parquet file of many Arrow streams that lie one behind another."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    path = kept.with_suffix(".parquet")
    with pa.OSFile(str(kept)) as source:
        schema = pa.ipc.open_stream(source).schema
        source.seek(0)
        with ParquetWriter(str(path), schema) as writer:
            _in_groups(source, writer.write_table)
    return path


def _in_groups(source: Any, write: Callable[[Any], None]) -> None:
    import pyarrow as pa

    waiting: list[Any] = []
    while source.tell() < source.size():
        waiting.append(pa.ipc.open_stream(source).read_all())
        if sum(map(len, waiting)) >= ROWS_PER_GROUP:
            write(pa.concat_tables(waiting))
            waiting = []
    if waiting:
        write(pa.concat_tables(waiting))
