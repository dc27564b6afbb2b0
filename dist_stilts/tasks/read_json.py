"""Reads the user's own JSON: objects a line, an array of objects (pretty or not), ``{"data": [objects]}``, or SQuAD.

JSON lines are read one at a time; any other form is held in memory whole. A record of SQuAD's form is a question with
its ``context``. Promises: what is wrong is a UserError with file and line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dist_stilts.conventions import JsonObject
from dist_stilts.errors import UserError
from dist_stilts.tasks.files import Where, read_json_lines, read_lines
from dist_stilts.tasks.json_file import JsonFile

_FIX = "Give an object a line (JSON lines), or one array of objects"


def read_json(path: Path) -> Iterator[tuple[Where, JsonObject]]:
    """Yield (where, object) of every row; blank lines are skipped."""
    if not _is_one_value(path):
        yield from read_json_lines(path)
        return
    document = JsonFile(path, _FIX)
    is_object = isinstance(document.value, dict)
    rows = document.value.get("data", [document.value]) if is_object else document.value
    if not isinstance(rows, list):
        raise document.error("no array of objects", ("data",), fix=_FIX)
    if rows and isinstance(rows[0], dict) and "paragraphs" in rows[0]:
        yield from _questions(document, rows)
        return
    lines = document.lines("data") if is_object else document.lines()
    for row in rows:
        line = next(lines, 1)  # a key that stands there twice leaves fewer lines than rows
        if not isinstance(row, dict):
            raise UserError("not a JSON object", where=(path, line), fix="Expected {...}")
        yield (path, line), row


def _is_one_value(path: Path) -> bool:
    """Whether the first line that is not blank is no object, or one with the rows in it."""
    first = next((line for _, line in read_lines(path) if line.strip()), "")
    if first.lstrip().startswith("["):
        return True
    try:
        value = json.loads(first)
    except json.JSONDecodeError as error:  # an object that is not at its end, or no object at all
        return first.lstrip().startswith("{") and error.pos >= len(first.rstrip())
    except (ValueError, RecursionError):
        return False
    rows = value.get("data") if isinstance(value, dict) else None
    return isinstance(rows, list) and bool(rows) and isinstance(rows[0], dict)


def _questions(document: JsonFile, articles: list[Any]) -> Iterator[tuple[Where, JsonObject]]:
    lines = document.lines("data", "paragraphs", "qas")
    for a, article in enumerate(articles):
        for p, paragraph in enumerate(document.field(article, "paragraphs", list, ("data", a))):
            keys = ("data", a, "paragraphs", p)
            context = document.field(paragraph, "context", str, keys)
            for question in document.field(paragraph, "qas", list, keys):
                where = (document.path, next(lines, 1))
                if not isinstance(question, dict):
                    raise UserError("a question is no object", where=where, fix='Expected {"question": ...}')
                yield where, {**question, "context": context}
