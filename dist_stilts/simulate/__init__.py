"""A small multilingual world, made up: languages with declared grammars, and every task in its public file format.

Everything is drawn from one concept world (:mod:`frames`) and said in each language (:mod:`grammar`), so what transfers
between languages is learned by the encoder, never written into a score.
"""

from __future__ import annotations

from dist_stilts.simulate.languages import Language, Typology, languages
from dist_stilts.simulate.world import write_world

__all__ = ["Language", "Typology", "languages", "write_world"]
