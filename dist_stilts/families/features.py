"""Tokenised rows as the model reads them: the Arrow schema, and zero-copy access to a memory-mapped table.

One *feature row* is one forward unit: a pair of texts, a multiple-choice item (its choices are segments), a stretch of
tagged words, a question with one window of its context, or a line of text. Variable-length columns are flat buffers
with offsets; nothing is padded on disk.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS: dict[str, str] = {
    "input_ids": "all segments one after another",
    "lengths": "tokens of each segment; one segment but for multiple choice",
    "second": "place in each segment from which on token types are 1: where its second text begins; else its length",
    "labels": "class or choice index; 1 or 0 per label where a row may have several, and how many of its labels"
    " training lacks; per token for tagging (-100 between words, -1 a tag that training lacks, -2 a withheld one);"
    " first and last token of the answer (0 0 = not in this window); empty for mlm, regression or hidden gold",
    "values": "regression: the row's number; empty elsewhere, and where gold is withheld",
    "offsets": "questions: first character of each token in the context and the one after its last, (-1 -1) elsewhere",
    "example": "number of the example in its file, 0-based",
    "first_word": "tagging: number of the row's first word among all words of the file",
    "truncated": "tokens that did not fit",
    "id": "the example's id",
    "group": "the example's group (see tasks.spec.Row)",
}
LIST_COLUMNS = ("input_ids", "lengths", "second", "labels", "values", "offsets")


def schema() -> Any:
    """The Arrow schema of :data:`COLUMNS`."""
    import pyarrow as pa

    kinds = {
        **dict.fromkeys(COLUMNS, pa.int64()),
        **dict.fromkeys(LIST_COLUMNS, pa.list_(pa.int32())),
        "values": pa.list_(pa.float64()),
        "id": pa.string(),
        "group": pa.string(),
    }
    return pa.schema(list(kinds.items()))


class Ragged(Sequence[np.ndarray]):
    """A list column of an Arrow table, as numpy views into the mapped file."""

    def __init__(self, chunks: Sequence[Any]) -> None:
        chunks = [chunk for chunk in chunks if len(chunk)]
        self._starts = [0, *accumulate(len(chunk) for chunk in chunks)]
        self._offsets = [chunk.offsets.to_numpy() for chunk in chunks]
        self._values = [chunk.values.to_numpy() for chunk in chunks]

    @cached_property
    def sizes(self) -> np.ndarray:
        """``[rows]`` values of each row."""
        return np.concatenate([np.diff(offsets) for offsets in self._offsets] or [np.empty(0, np.int32)])

    @property
    def flat(self) -> list[np.ndarray]:
        """All values, one row behind another, in as many parts as the table has."""
        return self._values

    def __len__(self) -> int:
        return self._starts[-1]

    def holds(self, value: int) -> bool:
        """Whether the value occurs in any row."""
        return any((values == value).any() for values in self.flat)

    def __getitem__(self, row: Any) -> Any:
        row = int(row)
        chunk = bisect_right(self._starts, row) - 1
        offsets, local = self._offsets[chunk], row - self._starts[chunk]
        return self._values[chunk][offsets[local] : offsets[local + 1]]


@dataclass(frozen=True)
class Features:
    """A tokenised split of one task in one language.

    Attributes:
        input_ids, lengths, second, labels, values, offsets: see :data:`COLUMNS`.
        example, first_word, truncated: ``[rows]`` int64.
        ids, groups: ``[rows]`` strings.
        tokens: ``[rows]`` number of tokens.
    """

    input_ids: Ragged
    lengths: Ragged
    second: Ragged
    labels: Ragged
    values: Ragged
    offsets: Ragged
    example: np.ndarray
    first_word: np.ndarray
    truncated: np.ndarray
    ids: list[str]
    groups: list[str]

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def tokens(self) -> np.ndarray:
        """``[rows]`` tokens per row, special tokens included."""
        return self.input_ids.sizes

    @property
    def examples(self) -> int:
        """Number of examples; a long tagged sentence or the context of a question is several rows."""
        return int(self.example.max()) + 1 if len(self) else 0

    @cached_property
    def has_second(self) -> bool:
        """Whether any token is of type 1."""
        return any(
            (second < lengths).any() for second, lengths in zip(self.second.flat, self.lengths.flat, strict=True)
        )


def open_features(path: Path) -> Features:
    """Map a prepared Arrow file into memory."""
    from datasets import Dataset

    return from_table(Dataset.from_file(str(path)).data)


def from_table(table: Any) -> Features:
    """View an Arrow table with the columns of :data:`COLUMNS`."""
    columns: dict[str, Any] = {name: Ragged(table.column(name).chunks) for name in LIST_COLUMNS}
    columns |= {name: table.column(name).to_numpy().astype(np.int64) for name in ("example", "first_word", "truncated")}
    return Features(**columns, ids=table.column("id").to_pylist(), groups=table.column("group").to_pylist())


def concatenated(parts: Sequence[Features]) -> Features:
    """Several splits as one, row numbers running on; for training on several languages at once."""
    if len(parts) == 1:
        return parts[0]
    first = np.cumsum([0, *(part.examples for part in parts)])
    columns: dict[str, Any] = {name: _Joined([getattr(part, name) for part in parts]) for name in LIST_COLUMNS}
    return Features(
        **columns,
        example=np.concatenate([part.example + start for part, start in zip(parts, first, strict=False)]),
        first_word=np.concatenate([part.first_word for part in parts]),
        truncated=np.concatenate([part.truncated for part in parts]),
        ids=[row_id for part in parts for row_id in part.ids],
        groups=[group for part in parts for group in part.groups],
    )


class _Joined(Ragged):
    """Ragged columns one after another."""

    def __init__(self, parts: Sequence[Ragged]) -> None:
        self._parts = parts
        self._starts = [0, *accumulate(map(len, parts))]

    @cached_property
    def sizes(self) -> np.ndarray:
        return np.concatenate([part.sizes for part in self._parts])

    @property
    def flat(self) -> list[np.ndarray]:
        return [values for part in self._parts for values in part.flat]

    def __getitem__(self, row: Any) -> Any:
        row = int(row)
        part = bisect_right(self._starts, row) - 1
        return self._parts[part][row - self._starts[part]]
