"""What is translated, in which batches: a pure function of the rows, so that no result depends on the ranks.

Every text once, cut into pieces that the model can take, pieces of like length together, the longest first: whether
the memory is enough shows at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dist_stilts.conventions import has_text

_BOUNDARIES = tuple(map(re.compile, (r"\n\s*", r"[.!?…][\"'”’)\]]*\s+", r"[,;:—–]\s+", r"\s+")))
"""Where an English text is cut, the best first: after a paragraph, a sentence, a clause, a word."""
UNSPACED = ("ja", "zh")
"""Languages that put no space between two sentences."""


@dataclass(frozen=True)
class Plan:
    """What is translated.

    Attributes:
        pieces: of every text that is not blank, in order.
        batches: every different piece, once.
    """

    pieces: dict[str, list[str]]
    batches: list[list[str]]

    @property
    def sizes(self) -> list[int]:
        """Pieces in each batch."""
        return list(map(len, self.batches))

    def join(self, text: str, translations: Mapping[str, str], language: str) -> str:
        """The translation of a text from those of its pieces; a blank text is its own."""
        space = "" if language in UNSPACED else " "
        return space.join(translations[piece] for piece in self.pieces[text]) if text in self.pieces else text


def plan(texts: Iterable[str], length: Callable[[str], int], limit: int, batch_size: int) -> Plan:
    """Plan the translation of some texts.

    Args:
        length: the number of tokens of a text, special tokens included.
        limit: the most tokens that a piece may have.
    """
    lengths: dict[str, int] = {}

    def measure(piece: str) -> int:
        if piece not in lengths:
            lengths[piece] = length(piece)
        return lengths[piece]

    pieces = {text: pieces_of(text, measure, limit) for text in dict.fromkeys(texts) if has_text(text)}
    different = dict.fromkeys(piece for some in pieces.values() for piece in some)
    ordered = sorted(different, key=lambda piece: (-measure(piece), piece))
    return Plan(pieces, [ordered[at : at + batch_size] for at in range(0, len(ordered), batch_size)])


def pieces_of(text: str, length: Callable[[str], int], limit: int) -> list[str]:
    """Halve a text, at the best boundary near its middle, until every piece has at most ``limit`` tokens.

    A single character is never cut, whatever its length in tokens. No piece is blank.
    """
    text = text.strip()
    if len(text) < 2 or length(text) <= limit:
        return [text] if has_text(text) else []
    cut = _cut(text)
    return [*pieces_of(text[:cut], length, limit), *pieces_of(text[cut:], length, limit)]


def _cut(text: str) -> int:
    for boundary in _BOUNDARIES:
        if cuts := [match.end() for match in boundary.finditer(text) if match.end() < len(text)]:
            return min(cuts, key=lambda cut: abs(cut - len(text) / 2))
    return len(text) // 2
