from __future__ import annotations

import unicodedata
from itertools import combinations

import pytest

from dist_stilts.simulate import Language
from dist_stilts.simulate.lexicon import CONTENT, FUNCTION, SHARED, build_lexicons


def test_every_language_has_a_word_for_every_concept(tongues: dict[str, Language]) -> None:
    for language in tongues.values():
        assert set(language.lexicon.words) == {*CONTENT, *FUNCTION, *SHARED}


@pytest.mark.parametrize("seed", range(5))
def test_no_form_belongs_to_two_words_of_one_language(seed: int) -> None:
    lexicon = build_lexicons(seed, {"qaa": "Latn", "qab": "Hang"})
    for code in ("qaa", "qab"):
        own = lexicon[code]
        forms = [word + ending for word in own.words.values() for ending in own.endings()]
        assert len(forms) == len(set(forms))


@pytest.mark.parametrize("seed", range(5))
def test_there_are_no_cognates_and_no_false_friends(seed: int) -> None:
    lexicons = build_lexicons(seed, {"qaa": "Latn", "qab": "Latn", "qac": "Latn"})
    for one, other in combinations(lexicons.values(), 2):
        own = [{form for form in x.forms() if not form.startswith(SHARED)} for x in (one, other)]
        assert own[0].isdisjoint(own[1])


def test_names_and_numerals_are_written_alike_everywhere(tongues: dict[str, Language]) -> None:
    assert all(language.lexicon.words[concept] == concept for language in tongues.values() for concept in SHARED)


def test_words_survive_unicode_normalisation(tongues: dict[str, Language]) -> None:
    for language in tongues.values():
        assert all(unicodedata.normalize("NFKC", form) == form for form in language.lexicon.forms())
