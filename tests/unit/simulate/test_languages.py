from __future__ import annotations

from dataclasses import fields

from dist_stilts.simulate import languages
from dist_stilts.simulate.languages import ENGLISH_GRAMMAR, PARAMETERS, Typology


def test_distances_are_shares_of_parameters_that_differ_from_english_from_a_tenth_to_one_in_order() -> None:
    english, *others = languages()
    assert (english.code, english.iso3, english.distance) == ("en", "eng", 0)
    assert [language.distance for language in others] == [k / 10 for k in range(1, 11)]
    for language in others:
        different = sum(getattr(language.typology, name) != getattr(ENGLISH_GRAMMAR, name) for name in PARAMETERS)
        assert language.distance == different / 10
        assert "qaa" <= language.code == language.iso3 <= "qtz", "reserved for private use"


def test_every_parameter_varies_and_scripts_do_too() -> None:
    all_ = languages()
    assert len(PARAMETERS) == len(fields(Typology)) == 10
    assert all(len({getattr(language.typology, name) for language in all_}) > 1 for name in PARAMETERS)
    assert len({language.script for language in all_}) >= 6


def test_the_placebo_has_english_grammar_and_the_same_labels_and_words() -> None:
    for real, placebo in zip(languages(seed=3), languages(seed=3, placebo=True), strict=True):
        assert placebo.typology == ENGLISH_GRAMMAR
        assert (placebo.code, placebo.distance, placebo.lexicon) == (real.code, real.distance, real.lexicon)
