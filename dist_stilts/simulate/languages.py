"""The simulated languages: ten typological parameters each, a script, a lexicon, and the distance to English.

Distance is the number of parameters in which a grammar differs from English (Hamming), over ten. The codes are those
that ISO 639 reserves for private use (qaa-qtz), so a simulated language can never be mistaken for a real one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

from dist_stilts.conventions import ENGLISH
from dist_stilts.simulate.lexicon import Lexicon, build_lexicons


@dataclass(frozen=True, slots=True)
class Typology:
    """Ten parameters of a grammar; the defaults are English.

    ``order`` also places what goes with it in most languages: where the verb is last, phrases of place precede the
    object and the passive auxiliary follows the verb.
    """

    order: Literal["SVO", "SOV", "VSO"] = "SVO"
    adjective: Literal["before noun", "after noun"] = "before noun"
    adposition: Literal["preposition", "postposition"] = "preposition"
    case: Literal["none", "object suffix"] = "none"
    plural: Literal["suffix", "particle"] = "suffix"
    subject_pronoun: Literal["said", "dropped"] = "said"
    negation: Literal["before verb", "after verb"] = "before verb"
    article: Literal["definite", "none"] = "definite"
    adverb: Literal["clause end", "clause start"] = "clause end"
    numeral: Literal["before noun", "after noun"] = "before noun"

    def differences(self, other: Typology) -> int:
        """Number of parameters in which two grammars differ."""
        return sum(getattr(self, f.name) != getattr(other, f.name) for f in fields(self))


ENGLISH_GRAMMAR = Typology()
PARAMETERS = tuple(f.name for f in fields(Typology))

_HEAD_FINAL = Typology(order="SOV", adposition="postposition", case="object suffix", article="none")
_NOUN_FIRST = replace(
    _HEAD_FINAL, adjective="after noun", numeral="after noun", plural="particle", negation="after verb"
)
DESIGNS: dict[str, tuple[str, Typology]] = {
    "qaa": ("Latn", Typology(adjective="after noun")),
    "qab": ("Cyrl", Typology(article="none", adverb="clause start")),
    "qac": ("Grek", Typology(article="none", case="object suffix", subject_pronoun="dropped")),
    "qad": ("Latn", Typology(adjective="after noun", numeral="after noun", plural="particle", negation="after verb")),
    "qae": ("Armn", Typology(order="VSO", adjective="after noun", subject_pronoun="dropped", case="object suffix",
                             adverb="clause start")),
    "qaf": ("Kana", replace(_HEAD_FINAL, subject_pronoun="dropped", adverb="clause start")),
    "qag": ("Geor", replace(_HEAD_FINAL, plural="particle", negation="after verb", adverb="clause start")),
    "qah": ("Latn", _NOUN_FIRST),
    "qai": ("Ethi", replace(_NOUN_FIRST, adverb="clause start")),
    "qaj": ("Hang", replace(_NOUN_FIRST, adverb="clause start", subject_pronoun="dropped")),
}  # fmt: skip
"""Code -> script (ISO 15924) and grammar, by distance: 0.1, 0.2 ... 1.0."""


@dataclass(frozen=True)
class Language:
    """A language of the world.

    Attributes:
        code: ISO 639-1 for English, else ISO 639-3 (private use).
        distance: to English, 0..1; in the placebo world the distance that the code has in the real one.
    """

    code: str
    name: str
    script: str
    typology: Typology
    distance: float
    lexicon: Lexicon

    @property
    def iso3(self) -> str:
        """Code in Tatoeba's file names."""
        return "eng" if self.code == ENGLISH else self.code


def languages(*, seed: int = 0, placebo: bool = False) -> tuple[Language, ...]:
    """All languages of a world, English first, then by distance.

    Args:
        placebo: give every language the grammar of English but leave its ``distance`` as it is. Distance then is a
            label without a cause, and no honest analysis may find an effect of it.
    """
    lexicons = build_lexicons(seed, {code: script for code, (script, _) in DESIGNS.items()})
    english = Language(ENGLISH, "English", "Latn", ENGLISH_GRAMMAR, 0.0, lexicons[ENGLISH])
    return (
        english,
        *(
            Language(
                code=code,
                name=f"Simulated {code[-1].upper()}",
                script=script,
                typology=ENGLISH_GRAMMAR if placebo else typology,
                distance=typology.differences(ENGLISH_GRAMMAR) / len(PARAMETERS),
                lexicon=lexicons[code],
            )
            for code, (script, typology) in DESIGNS.items()
        ),
    )
