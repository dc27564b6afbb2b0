from __future__ import annotations

import unicodedata
from itertools import combinations

import pytest

from dist_stilts.simulate import Language
from dist_stilts.simulate.lexicon import CONTENT, FUNCTION, SHARED, build_lexicons


def test_every_language_has_a_normal_word_for_every_concept_and_the_same_names_and_numerals(
    tongues: dict[str, Language],
) -> None:
    for language in tongues.values():
        assert set(language.lexicon.words) == {*CONTENT, *FUNCTION, *SHARED}
        assert all(language.lexicon.words[concept] == concept for concept in SHARED)
        assert all(unicodedata.normalize("NFKC", form) == form for form in language.lexicon.forms())


@pytest.mark.parametrize("seed", range(5))
def test_no_form_belongs_to_two_words_of_one_language_or_of_two(seed: int) -> None:
    lexicons = build_lexicons(seed, {"qaa": "Latn", "qab": "Latn", "qac": "Latn", "qad": "Hang"})
    for own in (lexicons[code] for code in lexicons if code != "en"):
        forms = [word + ending for word in own.words.values() for ending in own.endings()]
        assert len(forms) == len(set(forms))
    for one, other in combinations(lexicons.values(), 2):
        words = [{form for form in x.forms() if not form.startswith(SHARED)} for x in (one, other)]
        assert words[0].isdisjoint(words[1]), "cognates or false friends"
