"""Meaning is carried by fields: no module reads what was written for people to tell what to do or to count."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import dist_stilts

PACKAGE = Path(dist_stilts.__file__).parent
FOR_PEOPLE = {"note", "notes", "reason", "reasons", "hint", "why", "fix", "headline", "sentences", "degenerate"}
FOR_PEOPLE |= {"language", "shape_note", "intervals_over", "threshold_from", "description"}
READS = {"startswith", "endswith", "split", "rsplit", "splitlines", "partition", "rpartition", "removeprefix"}
PATTERNS = {"match", "fullmatch", "search", "findall", "finditer"}


def name_of(node: ast.expr) -> str:
    """``note`` of ``note``, ``effect.note`` and ``record["note"]``."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def readings(tree: ast.AST) -> Iterator[int]:
    """Lines that look into a text for people: by a method of it or of ``re``, or by ``"..." in`` it."""
    for node in ast.walk(tree):
        looked_into: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            read = node.func.attr
            looked_into = [node.func.value] if read in READS else node.args if read in PATTERNS else []
        elif isinstance(node, ast.Compare) and isinstance(node.left, ast.Constant | ast.JoinedStr):
            looked_into = [
                text for op, text in zip(node.ops, node.comparators, strict=True) if isinstance(op, ast.In | ast.NotIn)
            ]
        if any(name_of(text) in FOR_PEOPLE for text in looked_into):
            yield node.lineno


def test_no_module_reads_what_was_written_for_people() -> None:
    found = [
        f"{file.relative_to(PACKAGE)}:{line}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for line in readings(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert found == [], "give it a field of its own"


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ('curve.enough.note.startswith("not reached")', 1),
        ('[part for part in effect.note.split("; ")]', 1),
        ('"not adjusted" in effect.note', 1),
        ('re.match("x", summary["threshold_from"])', 1),
        ("if note: pass", 0),
        ('path.name.startswith("s1.")', 0),
    ],
)
def test_readings_are_found(code: str, lines: int) -> None:
    assert len(list(readings(ast.parse(code)))) == lines
