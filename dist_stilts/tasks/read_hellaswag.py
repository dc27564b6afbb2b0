"""Reads HellaSwag: the publishers' JSON lines, and the six-line text form of its validation set.

As in jiant, the prompt is ``ctx_a``, the finished sentences of the context, and each choice is ``ctx_b``, the one that
is begun, with an ending. The text form does not keep the two apart (``activity: ctx``), so that here ``ctx_b`` is what
follows the last finished sentence of a context that does not itself end in a punctuation mark. The activity is in
neither prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from dist_stilts.conventions import text_hash
from dist_stilts.errors import UserError
from dist_stilts.tasks.files import Where, locate, read_json_lines, read_lines, require_new, shown, text_field
from dist_stilts.tasks.read_choice import choice_index, is_withheld
from dist_stilts.tasks.spec import ChoiceRow

_NAMES = {"train": "train", "dev": "val", "test": "test"}
_ENDINGS = 4
_LINES = 2 + _ENDINGS
_BEGUN = re.compile(r"(?P<finished>.*[.!?]) (?P<begun>\S.*[^.!?\"')\]])", re.DOTALL)


def find_hellaswag(folder: Path, split: str, _language: str) -> list[Path]:
    """``hellaswag_{train,val,test}.jsonl`` or ``hellaswag_{train,val}_full.txt``, English only."""
    name = _NAMES[split]
    return [locate(folder, f"hellaswag_{name}.jsonl", f"{name}.jsonl", f"hellaswag_{name}_full.txt")]


def read_hellaswag(folder: Path, split: str, language: str) -> Iterator[ChoiceRow]:
    """Yield the items; those made of one video or how-to article share a group (in the text form: of one prompt).

    Raises:
        UserError: a key, line or ending is missing, a label is none of 0 to 3 (only test may lack it), an ``ind``
            occurs twice.
    """
    (path,) = find_hellaswag(folder, split, language)
    return _from_text(path, split) if ".txt" in path.name else _from_json(path, split)


def hellaswag_from_hub(_number: int, record: dict[str, Any], split: str) -> ChoiceRow:
    """Turn a row of ``Rowan/hellaswag`` into the one that :func:`read_hellaswag` makes; label "" is hidden gold."""
    label = int(record["label"]) if record["label"] != "" else None
    key, group = f"{split}-{record['ind']}", record["source_id"]
    return _row(key, group, record["ctx_a"], record["ctx_b"], record["endings"], label)


def _from_json(path: Path, split: str) -> Iterator[ChoiceRow]:
    seen: set[str] = set()
    for where, record in read_json_lines(path):
        if type(record.get("ind")) is not int:
            raise UserError("no number under the key 'ind'", where=where, fix='Expected "ind": 24')
        key = f"{split}-{shown(record['ind'])}"
        require_new(seen, key, where)
        label = None if is_withheld(record, "label", split) else choice_index(record, _ENDINGS, where)
        prompt, begun = text_field(record, "ctx_a", where), text_field(record, "ctx_b", where)
        yield _row(key, text_field(record, "source_id", where), prompt, begun, _endings(record, where), label)


def _endings(record: dict[str, Any], where: Where) -> list[str]:
    endings = record.get("endings")
    if not isinstance(endings, list) or len(endings) != _ENDINGS:
        raise UserError(f"not {_ENDINGS} endings", where=where, fix='Expected "endings": ["...", "...", "...", "..."]')
    return [text_field({"endings": ending}, "endings", where) for ending in endings]


def _from_text(path: Path, split: str) -> Iterator[ChoiceRow]:
    lines = read_lines(path)
    for number, item in enumerate(iter(lambda: list(islice(lines, _LINES)), [])):
        if len(item) < _LINES:
            raise UserError("the last item is cut off", where=(path, item[-1][0]), fix="Fetch the file again")
        where, (headed, label, *endings) = (path, item[0][0]), [line for _, line in item]
        activity, colon, context = headed.partition(": ")
        if not (activity and colon and context):
            raise UserError(f"no context in {shown(headed)}", where=where, fix="Expected activity: context")
        index = choice_index({"label": label}, _ENDINGS, (path, item[1][0]))
        begun = _BEGUN.fullmatch(context)
        prompt, rest = (begun["finished"], begun["begun"]) if begun else (context, "")
        yield _row(
            f"{split}-{number}", text_hash(headed[: len(activity + colon + prompt)]).hex(), prompt, rest, endings, index
        )


def _row(key: str, group: str, prompt: str, begun: str, endings: list[str], label: int | None) -> ChoiceRow:
    return ChoiceRow(key, group, prompt, tuple(f"{begun} {ending}".strip() for ending in endings), label)
