"""Lists in cells of text, in the forms in which people's programs print them: JSON, Python (pandas), NumPy.

    ["New", "York"]    ['New', 'York']    ('New', 'York')    ['New' 'York']    [0 1 0]    array(['New'], dtype=object)

Promises: a cell that begins as such a list is read whole or refused, never cut at its blanks. Python itself would read
NumPy's form as one string, ``'NewYork'``: hence this reader.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

_ARRAY = re.compile(r"(?:array|list)\((\[.*\])(?:,\s*dtype=[^()]*)?\)", re.DOTALL)
_ITEM = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]*)?|None|True|False"""
_items = re.compile(rf"\s*({_ITEM})\s*(,?)", re.DOTALL)
_LIKE_A_LIST = re.compile(
    r"\[\s*['\"]|\[[\s0-9.,-]*\]$|\[[^\s,\[\]]+(?:, [^\s,\[\]]+)+\]$|\(['\"].*['\"],?\)$|(?:array|list)\(\[", re.DOTALL
)
"""How a list begins, or one of numbers, a tuple, or bare words (``[New, York]``, which cannot be read, but is no text
with spaces between words either) are as a whole; ``[ Music ]`` and ``[1] Ibid.`` are text."""


def looks_like_a_list(text: str) -> bool:
    """Whether text begins as a printed list does."""
    return _LIKE_A_LIST.match(text.strip()) is not None


def parse_list(text: str) -> list[Any] | None:
    """Return the list that a cell holds; None if it holds none, or one that was printed in part (``...``)."""
    text = text.strip()
    if whole := _ARRAY.fullmatch(text):
        text = whole[1]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _printed(text)
    return value if isinstance(value, list) else None


def _printed(text: str) -> list[Any] | None:
    """A list as Python or NumPy print it: commas between all items, or between none."""
    if text[:1] + text[-1:] not in ("[]", "()"):
        return None
    inner, position = text[1:-1].strip(), 0
    items, commas = list[Any](), list[str]()
    while position < len(inner):
        match = _items.match(inner, position)
        if match is None:
            return None
        try:
            items.append(ast.literal_eval(match[1]))
        except (ValueError, SyntaxError):
            return None
        commas.append(match[2])
        position = match.end()
    return items if len(set(commas[:-1])) < 2 else None
