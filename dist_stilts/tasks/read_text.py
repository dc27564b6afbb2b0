"""Reads plain text for masked-language modelling: one line is one example, blank lines are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dist_stilts.tasks.files import locate, read_lines
from dist_stilts.tasks.spec import TextRow


def find_text(folder: Path, _split: str, language: str) -> list[Path]:
    """``<language>.txt``; held-out text is a slice of it."""
    return [locate(folder, f"{language}.txt")]


def read_text(folder: Path, split: str, language: str) -> Iterator[TextRow]:
    """Yield the lines, numbered from 0 with blank ones counted, so that a row's id is its place in the file."""
    for number, line in read_lines(*find_text(folder, split, language)):
        if line.strip():
            key = f"{split}-{number - 1}"
            yield TextRow(id=key, group=key, text=line)
