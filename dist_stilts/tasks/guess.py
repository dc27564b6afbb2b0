"""Which column of somebody's table is which field of a kind of task: by its name, else by what is in it. Guesses are
for starters and are said aloud; what reads rows (:mod:`dist_stilts.tasks.own_rows`) never guesses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dist_stilts.conventions import JsonObject
from dist_stilts.errors import UserError

PAIRS = (
    ("text_a", "text_b"), ("premise", "hypothesis"), ("sentence1", "sentence2"), ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"), ("question1", "question2"), ("text1", "text2"), ("text_1", "text_2"),
)  # fmt: skip
"""Names that columns of two texts have."""
NAMES = {
    "text_a": "text text_a sentence content review comment body message tweet post utterance document query title",
    "label": "label gold_label class category topic sentiment intent emotion target gold y labels tag",
    "value": "value score rating similarity stars grade label target gold y",
    "labels": "labels label categories topics tags emotions classes target",
    "words": "words tokens word form sentence text",
    "tags": "tags ner_tags pos_tags tag ner upos pos labels label",
    "question": "question query",
    "context": "context passage paragraph document text",
    "answers": "answers answer",
    "prompt": "prompt question premise context sentence stem query",
    "choices": "choices options endings candidates answers",
}
"""Names that people give to columns, the likeliest first."""
RIGHT_CHOICE = "label answer answerkey answer_key correct correct_answer gold target"
"""The same for the field that says which choice is right."""
_NUMBERED = re.compile(r"(?i)(choice|option|ending|answer|candidate|alternative|mc|solution|opa|)[ _]?([0-9]|[a-e])")
_FEW = 50
"""Classes that a column of labels may have if half of its rows differ from each other."""

Rows = Sequence[JsonObject]


def guess_columns(
    family: str, fields: Sequence[str], rows: Rows, given: Mapping[str, str], where: Path
) -> dict[str, Any]:
    """Return field to column, or to the columns of the choices, for the fields that are needed, and for a second text.

    Args:
        fields: what every file of the family has.
        rows: some of the table, at least one.
        given: what the user has said.

    Raises:
        UserError: a column that is not there; none that looks like a field.
    """
    there = list(rows[0])
    for field, column in given.items():
        if column not in there:
            raise UserError(f"no column '{column}' for {field}", where=where, fix=f"Columns: {_listed(there)}")
    found: dict[str, Any] = dict(given)
    if "text_a" in fields and not {"text_a", "text_b"} & found.keys():
        found.update(_pair(there))
    for field in fields:
        if field not in found:
            left = [column for column in there if column not in _used(found)]
            found[field] = _by_name(field, family, left) or _by_content(field, left, rows)
            if not found[field]:
                fix = f"Say which it is: --column {field}=NAME. Columns: {_listed(there)}"
                raise UserError(f"no column looks like {field}", where=where, fix=fix)
    return {field: found[field] for field in (*fields, *found.keys() - set(fields))}


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(column[:40] for column in columns[:20])


def _used(found: Mapping[str, Any]) -> set[str]:
    return {column for value in found.values() for column in ([value] if isinstance(value, str) else value)}


def _pair(there: Sequence[str]) -> dict[str, str]:
    """The two columns of a pair of texts, if they are called like one."""
    known = {column.lower(): column for column in there}
    pair = next((pair for pair in PAIRS if set(pair) <= known.keys()), ())
    return dict(zip(("text_a", "text_b"), (known[name] for name in pair), strict=False))


def _by_name(field: str, family: str, there: Sequence[str]) -> Any:
    known = {column.lower(): column for column in there}
    names = RIGHT_CHOICE if (field, family) == ("label", "choice") else NAMES[field]
    named = next((known[name] for name in names.split() if name in known), None)
    if named is None and field == "choices":
        return _numbered(there)
    return named


def _numbered(there: Sequence[str]) -> list[str] | None:
    """Columns such as ending0, ending1 or A, B, C, in the order of their numbers: the largest such set."""
    sets: dict[str, list[str]] = {}
    for column in there:
        if match := _NUMBERED.fullmatch(column):
            sets.setdefault(match[1].lower(), []).append(column)
    largest = max(sets.values(), key=len, default=[])
    return sorted(largest, key=str.lower) if len(largest) > 1 else None


def _by_content(field: str, there: Sequence[str], rows: Rows) -> str | None:
    """Of the columns that are left the longest text, or the one with the fewest values; None for what has a form."""
    ways: dict[str, Callable[[str], float | None]] = {
        "text_a": lambda column: _mean_length(column, rows),
        "label": lambda column: _fewness(column, rows),
        "value": lambda column: _share_of_numbers(column, rows),
    }
    if field not in ways:
        return None
    rated = {column: rate for column in there if (rate := ways[field](column)) is not None}
    return max(rated, key=lambda column: rated[column], default=None)


def _values(column: str, rows: Rows) -> list[Any]:
    return [row.get(column) for row in rows if row.get(column) not in (None, "")]


def _mean_length(column: str, rows: Rows) -> float | None:
    texts = [value for value in _values(column, rows) if isinstance(value, str) and not is_number(value)]
    return sum(map(len, texts)) / len(texts) if texts else None


def _fewness(column: str, rows: Rows) -> float | None:
    """How few different values there are, as a share of the rows below none; None where they are no classes."""
    values = _values(column, rows)
    classes = values and all(isinstance(value, str | int) for value in values)
    return -len(set(values)) / len(values) if classes and not is_too_many(len(set(values)), len(values)) else None


def _share_of_numbers(column: str, rows: Rows) -> float | None:
    values = _values(column, rows)
    return 1.0 if values and all(map(is_number, values)) and len(set(values)) < len(rows) + 1 else None


def is_number(value: Any) -> bool:
    """Whether a value is a number, or a text that is one."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bool)


def is_too_many(classes: int, rows: int) -> bool:
    """Whether so many different values in so many rows are no classes any more."""
    return classes > max(2, rows / 2) and (classes > _FEW or classes == rows)
