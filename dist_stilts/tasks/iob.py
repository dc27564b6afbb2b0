"""Chunk tags of the older and the finer schemes as IOB2, the one that training and scoring know.

    IOB2   B-PER I-PER O B-LOC      every chunk begins with B
    IOB1   I-PER I-PER O I-LOC      B only where a chunk follows one of its own type (Ramshaw and Marcus 1995)
    IOBES  B-PER E-PER O S-LOC      the last word of a chunk, and a chunk of one word, have letters of their own;
                                    likewise BILOU, BMES, BMEWO; IOE has only the last one's

Promises: which scheme a file has is settled by all of its tags together; tags that are no chunk tags, and files that
no single scheme explains, are left as they are; what is converted has the same chunks before and after (those of
``conlleval``, Tjong Kim Sang and Buchholz 2000).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

OUTSIDE = "O"
IOB1, IOB2, UNCLEAR, NO_CHUNKS = "IOB1", "IOB2", "unclear", "none"
_CHUNK = re.compile(r"([BIEMSLUW])-(.+)", re.DOTALL)
_FINER = {"IOE": "IE", "IOBES": "BIES", "BILOU": "BILU", "BMES": "BMES", "BMEWO": "BMEW"}
"""Schemes that say where a chunk ends, by their letters; the first that has all letters of a file is meant."""
_ENDS = frozenset("ELSUW")
_BEGINS = frozenset("BSUW")


class Scheme:
    """What the sentences of one file say about the scheme of their tags."""

    def __init__(self) -> None:
        self._letters: set[str] = set()
        self._plain = False
        self._not_iob1 = self._not_iob2 = False

    def add(self, tags: Sequence[str]) -> None:
        """Take note of one sentence's tags."""
        before = ("", "")
        for tag in tags:
            letter, kind = now = _parts(tag)
            self._plain |= not letter and tag != OUTSIDE
            self._letters |= {letter} - {""}
            begins = kind != before[1]
            self._not_iob2 |= letter == "I" and begins
            self._not_iob1 |= letter == "B" and begins
            before = now

    @property
    def name(self) -> str:
        """The file's scheme: one of the constants above, or one that says where chunks end."""
        if self._plain or not self._letters:
            return NO_CHUNKS
        if not self._letters <= {"B", "I"}:
            return next((name for name, letters in _FINER.items() if self._letters <= set(letters)), NO_CHUNKS)
        if self._not_iob2:
            return UNCLEAR if self._not_iob1 else IOB1
        return IOB2


def to_iob2(tags: Sequence[str]) -> list[str]:
    """The same chunks in IOB2; each tag is ``O`` or a letter of a scheme, a hyphen and a type."""
    found: list[str] = []
    before = ("", "")
    for tag in tags:
        letter, kind = now = _parts(tag)
        begins = letter in _BEGINS or kind != before[1] or before[0] in _ENDS
        found.append(f"{'B' if begins else 'I'}-{kind}" if letter else tag)
        before = now
    return found


def breaks_iob2(tags: Sequence[str]) -> bool:
    """Whether a chunk of the sentence begins without a B."""
    scheme = Scheme()
    scheme.add(tags)
    return scheme.name in (IOB1, UNCLEAR)


def _parts(tag: str) -> tuple[str, str]:
    match = _CHUNK.fullmatch(tag)
    return (match[1], match[2]) if match else ("", "")
