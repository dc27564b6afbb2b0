"""Makes rows of the user's own records: the fields of each task family, and the ways in which each may be written.

    family     fields                      written as
    sequence   text_a, text_b, label       text_b may be left out: one text to classify, and ``PairRow.text_b`` is ""
    regression text_a, text_b, value       a number, which is neither infinite nor NaN
    multilabel text_a, text_b, labels      a list, as JSON too; or, with ``separator`` stated, text with it between
    choice     prompt, choices, label      a list, or several columns; label: index from 0, letter, or the choice's text
    token      words, tags                 lists, as printed too (list_cells.py), or text with spaces between
    span       question, context, answers  {"text": [...], "answer_start": [...]} or [{"text": ..., "start": ...}]
    mlm        text

Every family may have ``id`` and ``group``, and a text may stand in several columns, which a space joins (but for
``context``, in which answers are counted). Promises a row or a UserError naming where: what can be read in two ways is
refused, never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from dist_stilts.conventions import has_text
from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.files import Where, shown, text_field
from dist_stilts.tasks.list_cells import looks_like_a_list, parse_list
from dist_stilts.tasks.rows_json import (
    Names,
    checked_answer,
    choice_row,
    finite_number,
    several_labels,
    tagged_row,
    whole_number,
)
from dist_stilts.tasks.spec import Answer, PairRow, RegressionRow, Row, SpanRow, TextRow

Values = Mapping[str, Any]
"""Our fields to what the file holds; ``None`` for what is withheld or left out."""


class Fields(NamedTuple):
    """A family's fields: those that every file has, those that it may do without, the one that is gold, and the texts
    that may stand in several columns."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    gold: str = ""
    joined: tuple[str, ...] = ()


FIELDS = {
    "sequence": Fields(("text_a", "label"), ("text_b", "id", "group"), "label", ("text_a", "text_b")),
    "regression": Fields(("text_a", "value"), ("text_b", "id", "group"), "value", ("text_a", "text_b")),
    "multilabel": Fields(("text_a", "labels"), ("text_b", "id", "group"), "labels", ("text_a", "text_b")),
    "choice": Fields(("prompt", "choices", "label"), ("id", "group"), "label", ("prompt",)),
    "token": Fields(("words", "tags"), ("id", "group"), "tags"),
    "span": Fields(("question", "context", "answers"), ("id", "group"), "answers", ("question",)),
    "mlm": Fields(("text",), ("id", "group"), joined=("text",)),
}
_NUMBER = re.compile(r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?")


def own_row(family: str, values: Values, names: Names, labels: Sequence[str], where: Where) -> Row:
    """Make a row of one record.

    Args:
        values: every field of the family; a gold of ``None`` is one that is withheld.
        names: the row's id and group.
        labels: the classes or tags that are allowed; none = all.

    Raises:
        UserError: a value that cannot be read as its field, an unknown label, an answer that is not in its context.
    """
    return _MAKERS[family](values, names, labels, where)


def is_blank(row: Row) -> bool:
    """Whether a row has no text at all that a model could read."""
    no_text = {"id", "group", *(fields.gold for fields in FIELDS.values())}
    return not any(_has_text(getattr(row, name)) for name in row.__dataclass_fields__ if name not in no_text)


def _has_text(value: str | Sequence[str]) -> bool:
    return has_text(value) if isinstance(value, str) else any(map(has_text, value))


def name_of(value: Any, field: str, where: Where) -> str:
    """Return a class, tag, id or group as text: written as text, as a whole number, or as true or false."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        fix = "Write classes as text or whole numbers; pandas makes 1.0 of 1 in a column that has empty cells"
        raise UserError(f"{field} is a fraction or no number ({shown(value)})", where=where, fix=fix)
    text = str(value) if isinstance(value, int) else text_of(value, field, where)
    if not text:
        raise UserError(f"{field} is empty", where=where)
    return text


def text_of(value: Any, field: str, where: Where) -> str:
    """Return ``value``, which must be text that UTF-8 can hold."""
    if not isinstance(value, str):
        raise UserError(f"{field} is no text ({shown(value)})", where=where)
    return text_field({field: value}, field, where)


def joined(values: Sequence[Any], field: str, where: Where) -> str:
    """Return the texts of several columns as one, a space between; what is empty or missing is passed over."""
    return " ".join(text for value in values if value is not None and (text := text_of(value, field, where)))


def is_nothing(value: Any) -> bool:
    """Whether a cell is empty; what pandas writes for an empty cell of numbers is NaN, which equals nothing."""
    return bool(value == "" or (isinstance(value, float) and value != value))


def given_choices(cells: Sequence[Any]) -> list[Any]:
    """The choices in several columns, up to the last that is there: a row with fewer leaves its last columns empty."""
    there = [number for number, choice in enumerate(cells, 1) if choice is not None and not is_nothing(choice)]
    return list(cells)[: max(there, default=0)]


def _texts(values: Values, where: Where) -> tuple[str, str]:
    text_b = values["text_b"]
    return text_of(values["text_a"], "text_a", where), "" if text_b is None else text_of(text_b, "text_b", where)


def _pair(values: Values, names: Names, labels: Sequence[str], where: Where) -> Row:
    texts, label = _texts(values, where), values["label"]
    if label is None:
        return PairRow(*names, *texts, None)
    if not labels and _is_fraction(label):
        fix = "Numbers are predicted by family: regression (field value); classes so called are listed under labels"
        raise UserError(f"label {shown(label)} is a number, not a class", where=where, fix=fix)
    return PairRow(*names, *texts, _allowed(name_of(label, "label", where), "label", labels, where))


def _is_fraction(label: Any) -> bool:
    """Whether a label is a number that is not whole; whole numbers are classes."""
    if isinstance(label, str) and _NUMBER.fullmatch(label):
        label = float(label)
    return isinstance(label, float) and label % 1 != 0 and label - label == 0


def _number(values: Values, names: Names, _labels: Sequence[str], where: Where) -> Row:
    value = values["value"]
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    return RegressionRow(
        *names, *_texts(values, where), None if value is None else finite_number(value, "value", where)
    )


def _several(values: Values, names: Names, labels: Sequence[str], where: Where) -> Row:
    given = values["labels"]
    if given is not None:
        given = _unpacked(given, "labels", where)
        if not isinstance(given, list | tuple):
            raise UserError(f"labels is no list ({shown(given)})", where=where, fix='Give a list: ["a", "b"] or []')
        given = tuple(_allowed(name_of(label, "a label", where), "label", labels, where) for label in given)
    return several_labels(names, _texts(values, where), given, where)


def _choice(values: Values, names: Names, _labels: Sequence[str], where: Where) -> Row:
    listed = _unpacked(values["choices"], "choices", where)
    if not isinstance(listed, list | tuple):
        raise UserError(f"choices is no list ({shown(listed)})", where=where, fix="Give a list, or several columns")
    choices = tuple(text_of(choice, "a choice", where) for choice in listed)
    label = None if values["label"] is None else _index(values["label"], choices, where)
    return choice_row(names, text_of(values["prompt"], "prompt", where), choices, label, where)


def _index(label: Any, choices: Sequence[str], where: Where) -> int:
    """Which choice is meant; text that means two different ones is refused."""
    if not isinstance(label, str):
        return whole_number(label, "label", where)
    meant = {number for number, choice in enumerate(choices) if choice == label}
    if len(label) == 1 and "A" <= label <= "Z":
        meant.add(ord(label) - ord("A"))
    if label.isascii() and label.isdecimal() and len(label) <= len(str(len(choices))):
        meant.add(int(label))
    meant = {number for number in meant if number < len(choices)}
    if len(meant) != 1:
        fault = "may mean several choices" if meant else "is no choice"
        raise UserError(
            f"label {shown(label)} {fault}",
            where=where,
            fix="Give an index from 0, a letter from A, or a choice's text",
        )
    return meant.pop()


def _tagged(values: Values, names: Names, labels: Sequence[str], where: Where) -> Row:
    words = tuple(text_of(word, "a word", where) for word in _split(values["words"], "words", where))
    if values["tags"] is None:
        return tagged_row(names, words, None, where)
    tags = (name_of(tag, "a tag", where) for tag in _split(values["tags"], "tags", where))
    return tagged_row(names, words, tuple(_allowed(tag, "tag", labels, where) for tag in tags), where)


def _split(value: Any, field: str, where: Where) -> list[Any]:
    if isinstance(value, str) and not looks_like_a_list(value):
        return value.split()
    if isinstance(value, str) and (listed := parse_list(value)) is None:
        fix = 'Write it whole: ["a", "b"], or the text alone with spaces between'
        raise UserError(f"{field} begins like a list, but is none ({shown(value)})", where=where, fix=fix)
    if isinstance(value, str):
        value = listed
    if not isinstance(value, list | tuple):
        raise UserError(
            f"{field} is no list ({shown(value)})", where=where, fix="Give a list, or text with spaces between"
        )
    return list(value)


def _allowed(label: str, field: str, labels: Sequence[str], where: Where) -> str:
    if labels and label not in labels:
        fix = nearest(label[:40], labels)
        if label.startswith("B-") and f"I-{label[2:]}" in labels:
            fix = "List it under labels: tags are read as IOB2, where every chunk begins with B"
        if {"True", "False"} & set(labels):
            fix = "Quote the labels in the recipe: unquoted yes, no, on and off are true and false in YAML"
        raise UserError(f"unknown {field} {shown(label)}", where=where, fix=fix)
    return label


def _span(values: Values, names: Names, _labels: Sequence[str], where: Where) -> Row:
    context, question = text_of(values["context"], "context", where), text_of(values["question"], "question", where)
    answers = None if values["answers"] is None else _answers(values["answers"], context, where)
    return SpanRow(*names, question, context, answers)


def _answers(value: Any, context: str, where: Where) -> tuple[Answer, ...]:
    value = _unpacked(value, "answers", where)
    if isinstance(value, dict):
        texts, starts = value.get("text"), _start(value)
    elif isinstance(value, list | tuple) and all(isinstance(item, dict) for item in value):
        texts, starts = [item.get("text") for item in value], [_start(item) for item in value]
    else:
        texts = starts = None
    if not isinstance(texts, list | tuple) or not isinstance(starts, list | tuple) or len(texts) != len(starts):
        raise UserError(
            f"answers cannot be read ({shown(value)})",
            where=where,
            fix='Give {"text": [...], "answer_start": [...]} or [{"text": ..., "start": ...}]',
        )
    return tuple(
        checked_answer(
            text_of(text, "an answer", where), whole_number(start, "an answer's start", where), context, where
        )
        for text, start in zip(texts, starts, strict=True)
    )


def _start(answer: Mapping[str, Any]) -> Any:
    return answer.get("answer_start", answer.get("start"))


def _unpacked(value: Any, field: str, where: Where) -> Any:
    """The value, parsed if it is JSON or a printed list in a cell of text: a table of text can hold lists no other
    way."""
    if not isinstance(value, str):
        return value
    if (listed := parse_list(value)) is not None:
        return listed
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        fix = "Say what stands between labels: separator, beside columns" if field == "labels" else "Write it as JSON"
        raise UserError(f"{field} is neither a list nor JSON ({shown(value)})", where=where, fix=fix) from error


def _text(values: Values, names: Names, _labels: Sequence[str], where: Where) -> Row:
    return TextRow(*names, text_of(values["text"], "text", where))


_MAKERS: dict[str, Callable[[Values, Names, Sequence[str], Where], Row]] = {
    "sequence": _pair,
    "regression": _number,
    "multilabel": _several,
    "choice": _choice,
    "token": _tagged,
    "span": _span,
    "mlm": _text,
}
