from __future__ import annotations

from dist_stilts.simulate import languages
from dist_stilts.simulate.languages import ENGLISH_GRAMMAR, PARAMETERS


def test_distance_is_the_share_of_parameters_that_differ_from_english() -> None:
    for language in languages():
        different = sum(getattr(language.typology, name) != getattr(ENGLISH_GRAMMAR, name) for name in PARAMETERS)
        assert language.distance == different / 10


def test_distances_cover_a_tenth_to_one_in_order() -> None:
    english, *others = languages()
    assert (english.code, english.distance) == ("en", 0)
    assert [language.distance for language in others] == [k / 10 for k in range(1, 11)]


def test_simulated_codes_are_reserved_for_private_use() -> None:
    assert all("qaa" <= language.code <= "qtz" and language.iso3 == language.code for language in languages()[1:])
    assert languages()[0].iso3 == "eng"


def test_every_parameter_varies_and_scripts_do_too() -> None:
    all_ = languages()
    assert all(len({getattr(language.typology, name) for language in all_}) > 1 for name in PARAMETERS)
    assert len({language.script for language in all_}) >= 6


def test_the_placebo_has_english_grammar_and_the_same_labels_and_words() -> None:
    for real, placebo in zip(languages(seed=3), languages(seed=3, placebo=True), strict=True):
        assert placebo.typology == ENGLISH_GRAMMAR
        assert (placebo.code, placebo.distance, placebo.lexicon) == (real.code, real.distance, real.lexicon)
