"""Reads a JSON file that is one big value; promises that whatever is wrong in it is a UserError naming file:line.

A parsed value no longer knows its line, so a value is named by its keys from the top (``("data", 3, "paragraphs")``),
and only when there is something to complain of is the text searched for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from dist_stilts.errors import UserError
from dist_stilts.tasks.files import read_whole, shown

Keys = tuple[str | int, ...]
"""Where a value stands: keys of objects and positions in lists, from the top of the file."""
T = TypeVar("T")

_KINDS: dict[type, str] = {str: "text", int: "whole number", list: "list", dict: "object"}
_space = re.compile(r"[ \t\n\r]*").match
_decode = json.JSONDecoder().raw_decode


class JsonFile:
    """A parsed file.

    Attributes:
        path: where it is.
        value: what it holds.

    Raises:
        UserError: as :func:`dist_stilts.tasks.files.read_lines`, and for invalid JSON.
    """

    def __init__(self, path: Path, fix: str = "Fetch it again") -> None:
        self.path = path
        self._text = read_whole(path)
        try:
            self.value: Any = json.loads(self._text)
        except json.JSONDecodeError as error:
            raise UserError(f"invalid JSON ({error.msg})", where=(path, error.lineno), fix=fix) from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"invalid JSON ({shown(str(error))})", where=path) from error

    def field(self, record: Any, key: str, kind: type[T], keys: Keys) -> T:
        """Return ``record[key]`` where ``record``, which stands at ``keys``, is an object that has such a value.

        Raises:
            UserError: no object, no such key, a value of another kind, or text that UTF-8 cannot hold.
        """
        value = record.get(key) if isinstance(record, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.error(f"no {_KINDS[kind]} under the key '{key}'", (*keys, key))
        if isinstance(value, str) and not _fits_utf8(value):
            raise self.error(f"'{key}' holds half a surrogate pair", (*keys, key))
        return value

    def error(self, what: str, keys: Keys, fix: str = "") -> UserError:
        """Return a complaint about the value at ``keys`` or, if it is missing, about the one that should hold it."""
        return UserError(what, where=(self.path, self._text.count("\n", 0, self._offset(keys)) + 1), fix=fix)

    def lines(self, *keys: str) -> Iterator[int]:
        """Yield the line of every entry of the list at the top or, given keys, of the lists below them:
        ``lines("data", "paragraphs")`` of all paragraphs of all entries of ``data``."""
        line, seen = 1, 0
        for start in self._starts(_skip(self._text, 0), keys):
            line, seen = line + self._text.count("\n", seen, start), start
            yield line

    def _starts(self, position: int, keys: tuple[str, ...]) -> Iterator[int]:
        for name, start in _entries(self._text, position):
            if not keys:
                yield start
            elif name == keys[0]:
                for _, entry in _entries(self._text, start):
                    yield from [entry] if len(keys) == 1 else self._starts(entry, keys[1:])

    def _offset(self, keys: Keys) -> int:
        position = _skip(self._text, 0)
        for key in keys:
            found = next((start for name, start in _entries(self._text, position) if name == key), None)
            if found is None:
                break
            position = found
        return position


def _skip(text: str, start: int) -> int:
    return _space(text, start).end()  # type: ignore[union-attr]  # it always matches


def _fits_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _entries(text: str, position: int) -> Iterator[tuple[str | int, int]]:
    """Yield the key of each entry of the object or list that begins at ``position``, and where its value begins.

    ``text`` is known to be valid JSON.
    """
    opening = text[position]
    if opening not in "{[":
        return
    key: str | int
    count, position = 0, _skip(text, position + 1)
    while text[position] not in "}]":
        key = count
        if opening == "{":
            key, position = _decode(text, position)
            position = _skip(text, _skip(text, position) + 1)  # over the colon
        yield key, position
        position = _skip(text, _decode(text, position)[1])
        if text[position] == ",":
            position = _skip(text, position + 1)
        count += 1
