"""Languages by ISO 639-1: those of XTREME (Hu et al. 2020), and all that English rows may be translated into; and the
order in which they stand wherever several do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from dist_stilts.conventions import ENGLISH


def languages(codes: str) -> tuple[str, ...]:
    """Split a list of codes written with spaces."""
    return tuple(codes.split())


XTREME_LANGUAGES = languages(
    "en af ar bg bn de el es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te th tl tr ur vi "
    "yo zh"
)
TRANSLATABLE = (*XTREME_LANGUAGES, *languages("az gu ht lt pa pl qu ro uk wo"))
"""Those of XTREME, XTREME-R and XCOPA."""


def in_order(codes: Iterable[str], distances: Mapping[str, float] | None = None) -> list[str]:
    """English, then by distance from it where that is known, then by name; each once."""
    known = distances or {}
    return sorted(set(codes), key=lambda code: (code != ENGLISH, known.get(code, math.inf), code))
