"""Texts that stand in a file more than once, in bitext mining: which rows are searched, which pairs are extracted.

    texts -> unique_texts -> mine their first rows -> original_rows -> candidates as rows of the files

Only distinct texts are searched, since copies would fill the k neighbours and raise the neighbourhood means. Texts that
differ only in surrounding white space are the same. The rules that the field knows for what a found text then stands
for are in :data:`RULES`. Array code throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dist_stilts.errors import UserError, nearest
from dist_stilts.scoring.mining import Candidates, Ids, best_first


class UniqueTexts(NamedTuple):
    """The distinct texts among n, numbered in the order of their first rows.

    Attributes:
        first: row where each distinct text stands first [u], ascending: the rows to embed and search.
        of_row: number of the distinct text that each row holds [n].
    """

    first: Ids
    of_row: Ids


def unique_texts(texts: Sequence[str]) -> UniqueTexts:
    """Number the distinct texts."""
    stripped = pc.utf8_trim_whitespace(pa.array(texts, pa.large_string()))
    encoded = stripped.dictionary_encode()
    of_row = encoded.indices.to_numpy().astype(np.int64)
    first = np.empty(len(encoded.dictionary), np.int64)
    # Where an index repeats, the last value assigned stays: backwards, that is the first row.
    first[of_row[::-1]] = np.arange(len(of_row))[::-1]
    return UniqueTexts(first, of_row)


def original_rows(pairs: Candidates, source: UniqueTexts, target: UniqueTexts, duplicates: str = "drop") -> Candidates:
    """Turn pairs of distinct texts into pairs of the files' rows.

    * ``drop`` (XTREME): a pair one of whose texts stands in its file more than once is left out.
    * ``all_ids`` (jiant): a text stands for all its rows; a pair of texts with a and b rows becomes a * b pairs.
    * ``first``: a text stands for its first row.

    Args:
        pairs: candidates as numbers of distinct texts, each pair once.
        source, target: the distinct texts of the two files.
        duplicates: a name in :data:`RULES`.

    Raises:
        UserError: no such rule.
    """
    if duplicates not in RULES:
        raise UserError(f"unknown rule for duplicates '{duplicates}'", fix=nearest(duplicates, RULES))
    return RULES[duplicates](pairs, source, target)


def _first(pairs: Candidates, source: UniqueTexts, target: UniqueTexts) -> Candidates:
    # First rows ascend with the numbers of the texts, so the order of the pairs holds.
    return Candidates(source.first[pairs.source], target.first[pairs.target], pairs.scores)


def _drop(pairs: Candidates, source: UniqueTexts, target: UniqueTexts) -> Candidates:
    single = (_copies(source)[pairs.source] == 1) & (_copies(target)[pairs.target] == 1)
    return _first(Candidates(pairs.source[single], pairs.target[single], pairs.scores[single]), source, target)


def _all_ids(pairs: Candidates, source: UniqueTexts, target: UniqueTexts) -> Candidates:
    targets_per_pair = _copies(target)[pairs.target]
    rows_per_pair = _copies(source)[pairs.source] * targets_per_pair
    pair = np.repeat(np.arange(len(rows_per_pair)), rows_per_pair)
    place = np.arange(len(pair)) - np.repeat(np.cumsum(rows_per_pair) - rows_per_pair, rows_per_pair)
    source_copy, target_copy = np.divmod(place, targets_per_pair[pair])
    source_rows = _nth_row(source, pairs.source[pair], source_copy)
    target_rows = _nth_row(target, pairs.target[pair], target_copy)
    return best_first(Candidates(source_rows, target_rows, pairs.scores[pair]))


def _copies(texts: UniqueTexts) -> Ids:
    """How many rows hold each distinct text [u]."""
    return np.bincount(texts.of_row, minlength=len(texts.first))


def _nth_row(texts: UniqueTexts, text: Ids, copy: Ids) -> Ids:
    """The row of the given copy of each given text, both counted from 0."""
    rows_by_text = np.argsort(texts.of_row, kind="stable")
    copies = _copies(texts)
    rows: Ids = rows_by_text[(np.cumsum(copies) - copies)[text] + copy]
    return rows


RULES: dict[str, Callable[[Candidates, UniqueTexts, UniqueTexts], Candidates]] = {
    "drop": _drop,
    "all_ids": _all_ids,
    "first": _first,
}
"""What a text that stands in its file more than once is taken for."""
