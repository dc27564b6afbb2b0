"""Reads XCOPA, and English COPA (SuperGLUE) as its training source: which of two sentences is the cause or the effect?

As in XTREME-R, the prompt is the premise followed by ``What was the cause?`` or ``What was the effect?``, in English
whatever the language: what is asked is one of two fixed marks, not a text to be understood.

XCOPA's items are translations of COPA's dev and test sets, so that ``idx`` names an item in every language, and with it
what is asked. Some files ask for the effect where COPA asks for the cause (th: always; tr, sw, id and it: in places);
six other languages agree with each other in every item. The reader asks what these ask, and counts what it changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dist_stilts.conventions import ENGLISH
from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.files import Where, locate, read_json_lines, require_new, shown, text_field
from dist_stilts.tasks.languages import languages
from dist_stilts.tasks.read_choice import choice_index, is_withheld
from dist_stilts.tasks.spec import ChoiceRow, Quirk

_NAMES = {"train": "train", "dev": "val", "test": "test"}
_ITEMS = {"train": 400, "dev": 100, "test": 500}
_QUESTIONS = ("cause", "effect")
_CHOICES = ("choice1", "choice2")
CHANGED = "asks for the effect where the other languages ask for the cause, or the other way round (mended)"

XCOPA_LANGUAGES = languages("et ht id it qu sw ta th tr vi zh")

_ASKS_FOR_CAUSE = {
    "dev": f"{int('0bb7f575dc2927ffd201c8898', 16):0100b}",
    "test": format(
        int(
            "8f2b58bf502aa02bb7a04d3fb1fdd8cad99d765b3db9b4da77c414bdc2907"
            "f6335cd4c81ece93c86057f9cbb6ca192b8347e108ba34ec89c56345e10d2020",
            16,
        ),
        "0500b",
    ),
}
"""One bit for each ``idx``: whether et, ht, qu, ta, vi and zh all ask for the cause."""


def find_xcopa(folder: Path, split: str, language: str) -> list[Path]:
    """``data/<language>/{val,test}.<language>.jsonl``, the same without these folders, or XTREME-R's ``val-et.jsonl``;
    English: SuperGLUE's ``COPA/{train,val,test}.jsonl`` or ``{train,val,test}.en.jsonl``."""
    name = _NAMES[split]
    file = f"{name}.{language}.jsonl"
    # The repository has machine translations under the same names in a folder beside data/, so that this goes first.
    folders = (f"COPA/{name}.jsonl",) if language == ENGLISH else (f"data/{language}/{file}", f"{language}/{file}")
    return [locate(folder, *folders, file, f"{name}-{language}.jsonl")]


def read_xcopa(folder: Path, split: str, language: str) -> Iterator[ChoiceRow | Quirk]:
    """Yield the items; translations of one share a group; only the test split may lack labels.

    Raises:
        UserError: a key is missing, a question or label is unknown, an ``idx`` occurs twice.
    """
    seen: set[str] = set()
    for where, record in read_json_lines(*find_xcopa(folder, split, language)):
        number = record.get("idx")
        if type(number) is not int or not 0 <= number < _ITEMS[split]:
            raise UserError(
                "no number of an item under the key 'idx'", where=where, fix=f"Expected 0 to {_ITEMS[split] - 1}"
            )
        require_new(seen, shown(number), where)
        label = None if is_withheld(record, "label", split) else choice_index(record, len(_CHOICES), where)
        texts = [text_field(record, key, where) for key in ("premise", *_CHOICES)]
        asked = _known_question(record, where)
        agreed = _agreed_question(number, split) if language in XCOPA_LANGUAGES and split != "train" else asked
        if agreed != asked:
            yield Quirk(CHANGED)
        yield _row(number, agreed, texts, label, split)


def xcopa_from_hub(_row_number: int, record: dict[str, Any], split: str) -> ChoiceRow:
    """Turn a row of ``cambridgeltl/xcopa`` (no English) into the one that :func:`read_xcopa` makes."""
    texts = [record[key] for key in ("premise", *_CHOICES)]
    label = record["label"] if record["label"] >= 0 else None
    return _row(record["idx"], _agreed_question(record["idx"], split), texts, label, split)


def _row(number: int, question: str, texts: list[str], label: int | None, split: str) -> ChoiceRow:
    premise, *choices = texts
    key = f"{split}-{number}"
    return ChoiceRow(key, key, f"{premise} What was the {question}?", tuple(choices), label)


def _agreed_question(number: int, split: str) -> str:
    return "cause" if _ASKS_FOR_CAUSE[split][number] == "1" else "effect"


def _known_question(record: dict[str, Any], where: Where) -> str:
    question = text_field(record, "question", where)
    if question not in _QUESTIONS:
        raise UserError(f"unknown question {shown(question)}", where=where, fix=nearest(question[:40], _QUESTIONS))
    return question
