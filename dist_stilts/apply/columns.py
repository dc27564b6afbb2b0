"""Which columns of a file a model reads: as named by the user, else guessed from their names and said aloud.

    kind of task                          fields
    sequence, regression, multilabel      text_a, and text_b where texts come in pairs
    token                                 words: a list, or text that is cut at blanks
    choice                                prompt, choices: a list, or several columns
    span                                  question, context

Promises a row of every record or a UserError that names file and line; what a model does not read is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dist_stilts.conventions import JsonObject, has_text
from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.files import Where, shown
from dist_stilts.tasks.guess import NAMES, PAIRS
from dist_stilts.tasks.own_rows import FIELDS as GOLD
from dist_stilts.tasks.own_rows import given_choices, joined, own_row
from dist_stilts.tasks.spec import Row, TaggedRow

TEXTS = ("text_a", "text_b")
FIELDS: dict[str, tuple[str, ...]] = {
    "sequence": TEXTS,
    "regression": TEXTS,
    "multilabel": TEXTS,
    "token": ("words",),
    "choice": ("prompt", "choices"),
    "span": ("question", "context"),
}
"""What the model of each family reads of a row."""
OPTIONAL = ("text_b",)
_ASYMMETRIC = (
    ("query", "passage"), ("query", "document"), ("query", "text"), ("question", "sentence"), ("question", "passage"),
    ("claim", "evidence"),
)  # fmt: skip
"""Pairs that are read where no pair of :data:`dist_stilts.tasks.guess.PAIRS` is there."""
_SEVERAL = re.compile(r"(choice|option|ending|answer|alternative|solution|sol)[ _]?(\d+|[a-e])", re.IGNORECASE)
_GUESSES = {**NAMES, "prompt": "prompt ctx context premise stem question sentence goal text query"}
"""Names that a column may have, likeliest first; what a prompt asks may stand beside it, as in XCOPA."""


@dataclass(frozen=True)
class Columns:
    """The columns that a model of a family reads.

    Attributes:
        of: field to the names of its columns: several are joined to one text, and are the items of ``choices``.
        guessed: whether nobody named them.
    """

    family: str
    of: Mapping[str, tuple[str, ...]]
    guessed: bool = False

    def said(self) -> str:
        """Which column is read as what, for people."""
        parts = [f"{' + '.join(map(repr, names))} as {field}" for field, names in self.of.items()]
        cut = ", cut at blanks where it is text" if "words" in self.of else ""
        return f"reading {', '.join(parts)}{cut}"

    @property
    def paired(self) -> bool:
        """Whether texts come in pairs."""
        return "text_b" in self.of

    def row(self, record: JsonObject, number: int, where: Where) -> Row:
        """The row that the model reads of a record.

        Raises:
            UserError: a column is not there, or holds something else than text, or than a list where one is wanted.
        """
        values: dict[str, Any] = {field: self._value(record, field, where) for field in self.of}
        names = str(number), str(number)
        if self.family == "token" and _is_empty(values["words"]):
            return TaggedRow(*names, (), None)
        # Gold is for nobody here to look at.
        return own_row(self.family, {"text_b": None, GOLD[self.family].gold: None, **values}, names, (), where)

    def _value(self, record: JsonObject, field: str, where: Where) -> Any:
        names = self.of[field]
        if missing := next((name for name in names if name not in record), None):
            known = [known[:40] for known in list(record)[:20]]
            raise UserError(f"no column {shown(missing)}", where=where, fix=nearest(missing[:40], known))
        values = [record[name] for name in names]
        if field == "choices" and len(names) > 1:
            return given_choices(values)
        if len(names) > 1:
            return joined(values, field, where)
        return values[0]


def choose_columns(family: str, given: Sequence[str], names: Sequence[str], where: Where) -> Columns:
    """The columns that are read of a file: those named, else those whose names look like it.

    Args:
        given: ``field=column``, several with commas between, ``field=column+column`` for several columns.
        names: the file's columns.

    Raises:
        UserError: a field that the model does not read; a column that the file lacks; nothing that looks right.
    """
    named = _named(family, given, names, where)
    guesses = {} if TEXTS[0] in named else _guess(family, names)
    found = {**guesses, **named}
    if lacking := [field for field in FIELDS[family] if field not in found and field not in OPTIONAL]:
        raise UserError(
            f"no column looks like {lacking[0]} (columns: {shown(', '.join(names))})",
            where=where,
            fix=f"Name it: --columns {','.join(f'{field}=COLUMN' for field in lacking)}",
        )
    ordered = {field: found[field] for field in FIELDS[family] if field in found}
    return Columns(family, ordered, guessed=ordered != named)


def _named(family: str, given: Sequence[str], names: Sequence[str], where: Where) -> dict[str, tuple[str, ...]]:
    known = (*FIELDS[family], "text")
    alias = {"text": FIELDS[family][0]} if len(FIELDS[family]) == 1 or FIELDS[family] == TEXTS else {}
    named = {}
    for part in _parts(given, known):
        field, equals, column = part.partition("=")
        field = alias.get(field, field)
        if not equals or field not in FIELDS[family]:
            fix = f"This model reads {', '.join(FIELDS[family])}: --columns {FIELDS[family][0]}=COLUMN"
            raise UserError(f"--columns: unknown field {shown(field)}", fix=fix)
        columns = (column,) if column in names else tuple(column.split("+"))
        if missing := next((name for name in columns if name not in names), None):
            raise UserError(f"no column {shown(missing)}", where=where, fix=nearest(missing[:40], names))
        named[field] = columns
    return named


def _parts(given: Sequence[str], known: Sequence[str]) -> list[str]:
    """Commas divide where a field follows: columns may have commas in their names."""
    before_field = re.compile(rf",(?=(?:{'|'.join(known)})=)")
    return [part.strip() for text in given for part in before_field.split(text)]


def _guess(family: str, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    as_written = {name.lower(): name for name in reversed(names)}
    if FIELDS[family] == TEXTS:
        return _guess_texts(names, as_written)
    found: dict[str, tuple[str, ...]] = {}
    for field in FIELDS[family]:
        likely = [as_written[name] for name in _GUESSES[field].split() if name in as_written]
        if likely:
            found[field] = (likely[0],)
    if family == "choice":
        found |= _guess_choices(names, as_written)
    if family == "token" and len(names) == 1:
        found["words"] = (names[0],)
    return found


def _guess_texts(names: Sequence[str], as_written: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    for first, second in (*PAIRS, *_ASYMMETRIC):
        if first in as_written and second in as_written:
            return {"text_a": (as_written[first],), "text_b": (as_written[second],)}
    likely = [as_written[name] for name in _GUESSES[TEXTS[0]].split() if name in as_written] or (
        names if len(names) == 1 else []
    )
    return {"text_a": (likely[0],)} if likely else {}


def _guess_choices(names: Sequence[str], as_written: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Columns like ``choice1``, ``choice2``; a prompt that is a context and a question about it."""
    found = {}
    stems: dict[str, list[str]] = {}
    for name in names:
        if match := _SEVERAL.fullmatch(name):
            stems.setdefault(match[1].lower(), []).append(name)
    if several := next((columns for columns in stems.values() if len(columns) > 1), None):
        found["choices"] = tuple(several)
    if "prompt" not in as_written and {"context", "question"} <= as_written.keys():
        found["prompt"] = (as_written["context"], as_written["question"])
    return found


def _is_empty(value: Any) -> bool:
    return not has_text(value) if isinstance(value, str) else value == []
