"""A first pass over all inputs, before anything is predicted: a bad row near the end is found in seconds, not in hours.

It also counts the rows, and finds the types that the columns of a Parquet file are to have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dist_stilts.apply.columns import Columns, choose_columns
from dist_stilts.apply.inputs import Input, Record, chunks
from dist_stilts.conventions import OnCount
from dist_stilts.errors import UserError
from dist_stilts.tasks.files import sha256, shown
from dist_stilts.tasks.own_rows import is_blank

SAY_EVERY = 20_000
"""Rows between two words on how far it has come."""


@dataclass(frozen=True)
class Survey:
    """What the inputs hold.

    Attributes:
        columns: those that the model reads.
        names: all columns of the inputs, in order.
        rows, blank: their number, and that of rows without any text.
        digests: SHA-256 of each input.
        types: Arrow type of each column, if asked for; "" for one whose values are to be written as JSON.
    """

    columns: Columns
    names: tuple[str, ...]
    rows: int
    blank: int
    digests: tuple[str, ...]
    types: dict[str, Any]


def survey(
    inputs: Sequence[Input],
    family: str,
    given: Sequence[str],
    table: bool,
    typed: bool,
    progress: OnCount | None = None,
) -> Survey:
    """Read every record once.

    Args:
        given: columns as the user names them.
        table: whether rows are written to a table, so that all must have the columns of the first.
        typed: whether the types of columns are needed.

    Raises:
        UserError: whatever is wrong with an input; inputs with other columns than the first; no rows at all.
    """
    names: tuple[str, ...] = ()
    columns: Columns | None = None
    rows = blank = 0
    types: dict[str, Any] = {}
    for one in inputs:
        for number, chunk in enumerate(chunks(one.records())):
            if not number:
                names = names or tuple(chunk[0][1])
                _check_same(names, chunk[0], inputs[0])
                columns = columns or choose_columns(family, given, names, chunk[0][0])
            for where, record in chunk:
                if table and not record.keys() <= set(names):
                    new = next(name for name in record if name not in names)
                    raise UserError(f"column {shown(new)} is not in the first row", where=where, fix=_EVERY_ROW)
                assert columns
                blank += is_blank(columns.row(record, rows, where))
                rows += 1
                if progress and rows % SAY_EVERY == 0:
                    progress(rows, 0)
            if typed:
                types = _merged(types, _types(chunk, names))
    if columns is None:
        raise UserError("no rows", where=inputs[0].name)
    if typed:
        types |= _types_of_parquet(inputs)
    return Survey(columns, names, rows, blank, tuple(sha256(one.path) for one in inputs), types)


_EVERY_ROW = "Give it to every row, or write JSON lines, whose rows may differ"


def _check_same(names: Sequence[str], first: Record, before: Input) -> None:
    """Inputs that are written to one file have the same columns."""
    where, record = first
    lacks = [name for name in names if name not in record]
    more = [name for name in record if name not in names]
    if lacks or more:
        parts = [f"lacks {shown(', '.join(lacks))}"] if lacks else []
        parts += [f"has {shown(', '.join(more))} more"] if more else []
        raise UserError(
            f"other columns than {before.name}: it {' and '.join(parts)}", where=where, fix="Predict them one by one"
        )


def _types(chunk: Sequence[Record], names: Sequence[str]) -> dict[str, Any]:
    """Arrow's own types of a chunk's columns; "" where values are of several kinds."""
    import pyarrow as pa

    found: dict[str, Any] = {}
    for name in names:
        try:
            found[name] = pa.array([record.get(name) for _, record in chunk]).type
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            found[name] = ""
    return found


def _merged(before: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Types that hold the values of both."""
    import pyarrow as pa

    merged = {}
    for name, kind in new.items():
        other = before.get(name, kind)
        if "" in (kind, other):
            merged[name] = ""
            continue
        try:
            fields = [pa.schema([(name, one)]) for one in (other, kind)]
            merged[name] = pa.unify_schemas(fields, promote_options="permissive").field(0).type
        except pa.ArrowException:
            merged[name] = ""
    return merged


def _types_of_parquet(inputs: Sequence[Input]) -> dict[str, Any]:
    """The types of columns of Parquet files, where all inputs are such and agree."""
    if any(one.format != "parquet" for one in inputs):
        return {}
    from pyarrow.parquet import read_schema

    schemas = [read_schema(one.path) for one in inputs]
    return {} if any(not schema.equals(schemas[0]) for schema in schemas) else dict(_fields(schemas[0]))


def _fields(schema: Any) -> Iterator[tuple[str, Any]]:
    return ((field.name, field.type) for field in schema)
