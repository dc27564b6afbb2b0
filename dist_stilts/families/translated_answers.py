"""Finds a translated answer in its translated context; what it returns is always a part of that context."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from dist_stilts.tasks.spec import Answer

_UNSPACED_SCRIPTS = {"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"}
"""First words of the Unicode names of characters whose script writes no spaces between words."""


def find_answer(context: str, answer: str, place: float) -> Answer | None:
    """Return where the answer stands in the context, as the context writes it; None if it does not.

    Exactly as written, else without regard to case, punctuation, spacing and compatibility forms. Of several
    occurrences, one that cuts through no word ("in" is not in "Berlin") goes before one that does, a nearer one
    before a farther one.

    Args:
        place: where the middle of the answer is expected, in parts of the context's length: 0 to 1.
    """
    spans = list(_exact(context, answer.strip())) or list(_normalised(context, answer))
    if not spans:
        return None
    start, end = min(spans, key=lambda span: _badness(context, span, place))
    return Answer(context[start:end], start)


def middle(answer: Answer, context: str) -> float:
    """The place of an answer's middle in its context: 0 to 1."""
    return (answer.start + len(answer.text) / 2) / max(1, len(context))


def _exact(context: str, answer: str) -> Iterator[tuple[int, int]]:
    if answer:
        for match in re.finditer(f"(?={re.escape(answer)})", context):
            yield match.start(), match.start() + len(answer)


def _normalised(context: str, answer: str) -> Iterator[tuple[int, int]]:
    text, origins = _normalise(context)
    for start, end in _exact(text, _normalise(answer)[0]):
        yield origins[start], origins[end - 1] + 1


@lru_cache(maxsize=256)  # a context has several answers
def _normalise(text: str) -> tuple[str, list[int]]:
    """The text in compatibility form and folded case, everything but words as single spaces; for each character of
    that the number of the character it comes from."""
    characters: list[str] = []
    origins: list[int] = []
    for number, character in enumerate(text):
        for one in unicodedata.normalize("NFKC", character).casefold():
            if _in_word(one) or characters[-1:] not in ([], [" "]):
                characters.append(one if _in_word(one) else " ")
                origins.append(number)
    kept = len("".join(characters).rstrip())
    return "".join(characters[:kept]), origins[:kept]


def _badness(context: str, span: tuple[int, int], place: float) -> tuple[int, float]:
    start, end = span
    return _cuts(context, start) + _cuts(context, end), abs((start + end) / 2 / len(context) - place)


def _cuts(text: str, at: int) -> bool:
    """Whether a cut before character ``at`` goes through a word."""
    return 0 < at < len(text) and all(_in_word(one) and not _unspaced(one) for one in text[at - 1 : at + 1])


@lru_cache(maxsize=4096)
def _in_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNM"


@lru_cache(maxsize=4096)
def _unspaced(character: str) -> bool:
    return unicodedata.name(character, "").split(" ")[0] in _UNSPACED_SCRIPTS
