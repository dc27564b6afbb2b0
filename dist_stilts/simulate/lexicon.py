"""The words of each language: invented, unrelated (no cognates), in several scripts, never ambiguous.

Names and numerals are written alike in all languages. All other words are drawn from the syllables of the language,
so that no form of one word, in any language, is a form of another: a word's string tells its language and meaning.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from dist_stilts.conventions import ENGLISH
from dist_stilts.simulate.frames import (
    ADJECTIVES,
    ADVERBS,
    ENTITY,
    HYPERNYM,
    HYPERNYMS,
    NUMERALS,
    PREPOSITIONS,
    VERBS,
)  # fmt: skip

ARTICLE, PASSIVE, AGENT, NEGATION, PLURAL_PARTICLE = "the", "was", "by", "never", "several"
PERSONAL, QUESTION = ("he", "it", "they"), ("who", "what", "where")
STOP, QUESTION_MARK = ".", "?"

NOUN_CONCEPTS = (*(noun for noun in HYPERNYM if noun not in ENTITY), *HYPERNYMS)
CONTENT = (*NOUN_CONCEPTS, *VERBS, *ADJECTIVES, *ADVERBS)
"""Concepts that each language has its own word for and that code-switching replaces."""
FUNCTION = (*PREPOSITIONS, ARTICLE, PASSIVE, AGENT, NEGATION, PLURAL_PARTICLE, *PERSONAL, *QUESTION)
"""Concepts that each language has its own, shorter word for."""
SHARED = (*ENTITY, *NUMERALS, STOP, QUESTION_MARK)
"""Written alike everywhere."""


@dataclass(frozen=True)
class Lexicon:
    """Words and endings of one language.

    Attributes:
        words: concept -> its word, without endings.
        plural, case: the endings of a plural noun and of an object, where the grammar uses them.
    """

    words: dict[str, str]
    plural: str
    case: str

    def endings(self) -> tuple[str, ...]:
        """Every ending that a noun can bear, none included."""
        return ("", self.plural, self.case, self.plural + self.case)

    def forms(self) -> set[str]:
        """Every string that can stand for a word, including the impossible ones such as verbs with noun endings."""
        return {word + ending for word in self.words.values() for ending in self.endings()}


def _alphabet(consonants: str, vowels: str) -> list[str]:
    return [c + v for c in consonants for v in vowels]


def _syllabary(first_letters: Sequence[int], vowels: Sequence[int]) -> list[str]:
    return [chr(letter + vowel) for letter in first_letters for vowel in vowels]


SYLLABLES: dict[str, list[str]] = {
    "Latn": _alphabet("bdfgklmnprstvz", "aeiou"),
    "Cyrl": _alphabet("бгджзклмнпрст", "аеиоу"),
    "Grek": _alphabet("βγδζκλμνπρστφ", "αεηου"),
    "Armn": _alphabet("բգդզկլմնպրստ", "աեիոօ"),
    "Geor": _alphabet("ბგდვზკლმნპრს", "აეიოუ"),
    "Hang": _syllabary([0xAC00 + 588 * i for i in (0, 2, 3, 5, 6, 7, 9, 12)], [28 * i for i in (0, 4, 8, 13, 20)]),
    "Ethi": _syllabary((0x1208, 0x1218, 0x1228, 0x1230, 0x1260, 0x1270, 0x1290, 0x12A8, 0x12F0, 0x1308), range(5)),
    "Kana": list("カキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモラリルレロ"),
}
"""Script (ISO 15924) -> its stock of syllables, all unchanged by Unicode normalisation."""
SYLLABLES_PER_LANGUAGE = 28


def english() -> Lexicon:
    """English: every concept is its own word."""
    return Lexicon({concept: concept for concept in (*CONTENT, *FUNCTION, *SHARED)}, plural="s", case="")


def build_lexicons(seed: int, scripts: dict[str, str]) -> dict[str, Lexicon]:
    """Invent the words of all languages.

    Args:
        scripts: language code -> script, without English.

    Returns:
        Language code -> lexicon, English first. All forms of different words differ, within and across languages,
        English words with foreign endings (code-switching) included.
    """
    lexicons = {ENGLISH: english()}
    taken = lexicons[ENGLISH].forms()
    for code, script in scripts.items():
        rng = random.Random(f"{seed}:lexicon:{code}")
        lexicons[code] = _invent(rng, rng.sample(SYLLABLES[script], SYLLABLES_PER_LANGUAGE), taken, lexicons[ENGLISH])
        taken |= lexicons[code].forms()
    return lexicons


def _invent(rng: random.Random, syllables: Sequence[str], taken: set[str], base: Lexicon) -> Lexicon:
    """One language; ``taken`` grows by the English words that bear its endings."""
    while True:
        plural, case = rng.sample(syllables, 2)
        foreign = {word + ending for word in base.words.values() for ending in (plural, case, plural + case)}
        if not foreign & taken:
            break
    taken |= foreign
    own = Lexicon({concept: concept for concept in SHARED}, plural, case)
    used = own.forms() | taken
    for concepts, lengths in ((FUNCTION, (1, 2)), (CONTENT, (2, 3))):
        for concept in concepts:
            own.words[concept] = word = _new_word(rng, syllables, lengths, own.endings(), used)
            used |= {word + ending for ending in own.endings()}
    return own


def _new_word(
    rng: random.Random, syllables: Sequence[str], lengths: tuple[int, int], endings: tuple[str, ...], used: set[str]
) -> str:
    while True:
        word = "".join(rng.choices(syllables, k=rng.randint(*lengths)))
        if used.isdisjoint(word + ending for ending in endings):
            return word
