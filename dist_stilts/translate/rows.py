"""A row in another language: same id, same group, same gold."""

from __future__ import annotations

from collections import Counter

from dist_stilts.conventions import has_text
from dist_stilts.families.family import Family, Say
from dist_stilts.tasks.spec import Row


def translated(kind: Family, row: Row, say: Say, counts: Counter[str]) -> Row | None:
    """The row in the other language, or None if it is lost.

    Args:
        kind: that of the row's task, which says which of its texts are translated.
        counts: why rows were dropped (keys that begin with ``dropped``) and what else happened to their gold.
    """
    if any(has_text(text) and not has_text(say(text)) for text in kind.to_translate(row)):
        counts["dropped: a translation is empty"] += 1
        return None
    return kind.translated(row, say, counts)
