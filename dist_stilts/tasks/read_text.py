"""Reads plain text for masked-language modelling: one line is one example, blank lines are skipped.

The files are streamed: no more than a line of them is held.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dist_stilts.conventions import has_text
from dist_stilts.tasks.archives import PACKED
from dist_stilts.tasks.files import exists, locate, read_lines
from dist_stilts.tasks.spec import TextRow


def find_text(folder: Path, _split: str, language: str) -> list[Path]:
    """``<language>.txt``, else all ``<anything>.<language>.txt`` in the folder; held-out text is a slice of it."""
    plain = locate(folder, f"{language}.txt")
    if exists(plain):
        return [plain]
    endings = tuple(f".{language}.txt{packed}" for packed in PACKED)
    named = sorted(path for path in folder.glob("*") if path.name.endswith(endings))
    return named or [plain]


def read_text(folder: Path, split: str, language: str) -> Iterator[TextRow]:
    """Yield the lines of all files, numbered from 0 with blank ones counted: a row's id is its place in the text."""
    before = 0
    for path in find_text(folder, split, language):
        number = 0
        for number, line in read_lines(path):
            if has_text(line):
                key = f"{split}-{before + number - 1}"
                yield TextRow(id=key, group=key, text=line)
        before += number
