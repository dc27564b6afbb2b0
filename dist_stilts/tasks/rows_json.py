"""Our own rows as JSON objects, one a line: what ``dist-stilts translate`` writes and every task can read back.

    {"family": "sequence", "id": "7", "group": "7", "text_a": "...", "text_b": "...", "label": "neutral"}
    {"family": "regression", "id": "7", "group": "7", "text_a": "...", "text_b": "...", "value": 3.5}
    {"family": "multilabel", "id": "7", "group": "7", "text_a": "...", "text_b": "...", "labels": ["...", "..."]}
    {"family": "choice",   "id": "7", "group": "7", "prompt": "...", "choices": ["...", "..."], "label": 0}
    {"family": "token",    "id": "7", "group": "7", "words": ["..."], "tags": ["NOUN"]}
    {"family": "span",     "id": "7", "group": "7", "question": "...", "context": "...",
                           "answers": [{"text": "...", "start": 12}]}
    {"family": "mlm",      "id": "7", "group": "7", "text": "..."}

``label``, ``value``, ``labels``, ``tags`` and ``answers`` are ``null`` where gold is withheld.
Promises: ``row_from_json(row_to_json(row))`` is the row, and nothing but such an object is read: no key too many, none
too few, every answer where it says it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.files import Where, read_json_lines, require_new, shown, text_field
from dist_stilts.tasks.spec import (
    Answer,
    ChoiceRow,
    MultiLabelRow,
    PairRow,
    RegressionRow,
    Row,
    SpanRow,
    TaggedRow,
    TextRow,
)

Names = tuple[str, str]
"""A row's id and group."""

ROW_TYPES: dict[str, type[Row]] = {
    "sequence": PairRow,
    "regression": RegressionRow,
    "multilabel": MultiLabelRow,
    "choice": ChoiceRow,
    "token": TaggedRow,
    "span": SpanRow,
    "mlm": TextRow,
}
"""Families by the row that they train on."""
_FAMILIES = {row_type: family for family, row_type in ROW_TYPES.items()}


def row_to_json(row: Row) -> dict[str, Any]:
    """Return the row as an object that ``json.dumps`` takes: its family first, then its fields."""
    return {"family": _FAMILIES[type(row)], **asdict(row)}


def row_from_json(record: dict[str, Any], where: Where) -> Row:
    """Turn such an object back into its row.

    Raises:
        UserError: unknown family, a key too many or missing, a value of another type, a choice or an answer that is
            not there; names ``where``.
    """
    family = text_field(record, "family", where)
    if family not in ROW_TYPES:
        raise UserError(f"unknown family {shown(family)}", where=where, fix=nearest(family[:40], ROW_TYPES))
    expected = {"family", *(field.name for field in fields(ROW_TYPES[family]))}
    for key in record.keys() - expected:
        raise UserError(f"unknown key {shown(key)}", where=where, fix=nearest(key[:40], expected))
    for key in sorted(expected - record.keys()):
        raise UserError(f"no key '{key}'", where=where, fix=f"Expected {', '.join(sorted(expected))}")
    return _PARSERS[family](record, where)


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file of such objects; no id occurs twice. Errors as for :func:`row_from_json`."""
    seen: set[str] = set()
    for where, record in read_json_lines(path):
        row = row_from_json(record, where)
        require_new(seen, row.id, where)
        yield row


def text_list(record: dict[str, Any], key: str, where: Where) -> tuple[str, ...]:
    """Return ``record[key]``, a list of strings that UTF-8 can hold."""
    value = record.get(key)
    if not isinstance(value, list | tuple):
        raise UserError(f"no list under the key '{key}'", where=where, fix=f'Expected "{key}": ["...", ...]')
    return tuple(text_field({key: item}, key, where) for item in value)


def whole_number(value: object, what: str, where: Where) -> int:
    """Return ``value``, which must be an integer (``true`` is none)."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{what} is no whole number ({shown(value)})", where=where)
    return value


def finite_number(value: object, what: str, where: Where) -> float:
    """Return ``value``, which must be a number that is neither infinite nor NaN (``true`` is none)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise UserError(f"{what} is no finite number ({shown(value)})", where=where)
    return float(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond what a float holds
        return False


def several_labels(names: Names, texts: tuple[str, str], labels: tuple[str, ...] | None, where: Where) -> MultiLabelRow:
    """Make a row with any number of labels; UserError if one stands there twice."""
    if labels is not None and len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise UserError(f"label {shown(twice)} stands there twice", where=where)
    return MultiLabelRow(*names, *texts, labels)


def choice_row(names: Names, prompt: str, choices: tuple[str, ...], label: int | None, where: Where) -> ChoiceRow:
    """Make a multiple-choice row; UserError if there are fewer than two choices or the label is none of them."""
    if len(choices) < 2:
        raise UserError(f"{len(choices)} choices", where=where, fix="Give two or more")
    if label is not None and not 0 <= label < len(choices):
        raise UserError(
            f"label {shown(label)} is no choice", where=where, fix=f"Expected 0 to {len(choices) - 1}, counted from 0"
        )
    return ChoiceRow(*names, prompt, choices, label)


def tagged_row(names: Names, words: tuple[str, ...], tags: tuple[str, ...] | None, where: Where) -> TaggedRow:
    """Make a tagged sentence; UserError without words, or with more or fewer tags than words."""
    if not words:
        raise UserError("no words", where=where)
    if tags is not None and len(words) != len(tags):
        raise UserError(f"{len(words)} words, but {len(tags)} tags", where=where, fix="Give each word one tag")
    return TaggedRow(*names, words, tags)


def checked_answer(text: str, start: int, context: str, where: Where) -> Answer:
    """Make an answer; UserError if it is empty or is not at ``start`` of the context."""
    if not text or start < 0 or not context.startswith(text, start):
        raise UserError(
            f"answer {shown(text)} is not at character {shown(start)} of its context",
            where=where,
            fix="Count in characters, from 0",
        )
    return Answer(text, start)


def _names(record: dict[str, Any], where: Where) -> Names:
    return text_field(record, "id", where), text_field(record, "group", where)


def _texts(record: dict[str, Any], where: Where) -> tuple[str, str]:
    return text_field(record, "text_a", where), text_field(record, "text_b", where)


def _pair(record: dict[str, Any], where: Where) -> Row:
    label = None if record["label"] is None else text_field(record, "label", where)
    return PairRow(*_names(record, where), *_texts(record, where), label)


def _number(record: dict[str, Any], where: Where) -> Row:
    value = None if record["value"] is None else finite_number(record["value"], "value", where)
    return RegressionRow(*_names(record, where), *_texts(record, where), value)


def _labels(record: dict[str, Any], where: Where) -> Row:
    labels = None if record["labels"] is None else text_list(record, "labels", where)
    return several_labels(_names(record, where), _texts(record, where), labels, where)


def _choice(record: dict[str, Any], where: Where) -> Row:
    label = None if record["label"] is None else whole_number(record["label"], "label", where)
    prompt, choices = text_field(record, "prompt", where), text_list(record, "choices", where)
    return choice_row(_names(record, where), prompt, choices, label, where)


def _tagged(record: dict[str, Any], where: Where) -> Row:
    words = text_list(record, "words", where)
    tags = None if record["tags"] is None else text_list(record, "tags", where)
    return tagged_row(_names(record, where), words, tags, where)


def _span(record: dict[str, Any], where: Where) -> Row:
    context, question = text_field(record, "context", where), text_field(record, "question", where)
    if record["answers"] is None:
        return SpanRow(*_names(record, where), question, context, None)
    if not isinstance(record["answers"], list | tuple):
        raise UserError("'answers' is no list", where=where, fix='Expected "answers": [{"text": "...", "start": 0}]')
    answers = tuple(_answer(answer, context, where) for answer in record["answers"])
    return SpanRow(*_names(record, where), question, context, answers)


def _answer(record: object, context: str, where: Where) -> Answer:
    if not isinstance(record, dict):
        raise UserError(
            f"an answer is no object ({shown(record)})", where=where, fix='Expected {"text": "...", "start": 0}'
        )
    start = whole_number(record.get("start"), "an answer's start", where)
    return checked_answer(text_field(record, "text", where), start, context, where)


def _text(record: dict[str, Any], where: Where) -> Row:
    return TextRow(*_names(record, where), text_field(record, "text", where))


_PARSERS: dict[str, Callable[[dict[str, Any], Where], Row]] = {
    "sequence": _pair,
    "regression": _number,
    "multilabel": _labels,
    "choice": _choice,
    "token": _tagged,
    "span": _span,
    "mlm": _text,
}
