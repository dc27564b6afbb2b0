"""What can happen to a small file that a program keeps: broken off, emptied, edited, of a newer version, a folder."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

OTHERS: tuple[Any, ...] = ("x", -1, 1.5, True, None, [], ["x"], {}, {"x": 1}, float("nan"), 10**400)
"""What is put in the place of every field."""


@dataclass(frozen=True)
class Damage:
    """One thing that happened: what the file holds now; None where there is a folder in its place."""

    name: str
    content: bytes | None

    def do(self, file: Path) -> None:
        """Let it happen to a file."""
        file.unlink()
        if self.content is None:
            file.mkdir()
        else:
            file.write_bytes(self.content)


def of_file(good: bytes) -> list[Damage]:
    """What leaves nothing of a file that could be used."""
    texts = {"null": b"null", "a list": b"[]", "a number": b"3", "no UTF-8": b'{"\xff": 1}', "nested": b"[" * 5000}
    return [
        Damage("empty", b""),
        Damage("half", good[: len(good) // 2]),
        Damage("zeros", bytes(len(good))),
        *(Damage(name, text) for name, text in texts.items()),
        Damage("a folder", None),
    ]


def of_fields(good: bytes, is_yaml: bool = False) -> Iterator[Damage]:
    """Every field left out, and turned into everything else, however deep it lies."""
    content = yaml.safe_load(good) if is_yaml else json.loads(good)
    content.pop("checksum", None)  # else that is all that is ever found
    write = partial(yaml.dump, Dumper=yaml.CSafeDumper) if is_yaml else json.dumps
    for path in _paths(content):
        yield Damage(f"without {path}", write(_changed(content, path)).encode())
        for other in OTHERS:
            yield Damage(f"{path}: {str(other)[:9]}", write(_changed(content, path, [other])).encode())


def _paths(content: Any) -> Iterator[tuple[Any, ...]]:
    keys = content.keys() if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    for key in keys:
        yield (key,)
        yield from ((key, *rest) for rest in _paths(content[key]))


def _changed(content: Any, path: tuple[Any, ...], value: list[Any] | None = None) -> Any:
    changed = copy.deepcopy(content)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value[0]
    return changed
