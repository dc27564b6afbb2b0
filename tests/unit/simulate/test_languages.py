from __future__ import annotations

import unicodedata
from dataclasses import fields
from itertools import combinations

import pytest

from dist_stilts.simulate import Language, languages
from dist_stilts.simulate.languages import ENGLISH_GRAMMAR, PARAMETERS, Typology
from dist_stilts.simulate.lexicon import CONTENT, FUNCTION, SHARED, build_lexicons


def test_every_parameter_varies_and_distances_are_shares_of_those_that_differ_from_english_in_order() -> None:
    english, *others = languages()
    assert (english.code, english.iso3, english.distance) == ("en", "eng", 0)
    assert [language.distance for language in others] == [k / 10 for k in range(1, 11)]
    for language in others:
        different = sum(getattr(language.typology, name) != getattr(ENGLISH_GRAMMAR, name) for name in PARAMETERS)
        assert language.distance == different / 10
        assert "qaa" <= language.code == language.iso3 <= "qtz", "reserved for private use"
    assert len(PARAMETERS) == len(fields(Typology)) == 10
    assert all(len({getattr(language.typology, name) for language in others}) > 1 for name in PARAMETERS)
    assert len({language.script for language in (english, *others)}) >= 6


def test_the_placebo_has_english_grammar_and_the_same_labels_and_words() -> None:
    for real, placebo in zip(languages(seed=3), languages(seed=3, placebo=True), strict=True):
        assert placebo.typology == ENGLISH_GRAMMAR
        assert (placebo.code, placebo.distance, placebo.lexicon) == (real.code, real.distance, real.lexicon)


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
