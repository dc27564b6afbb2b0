from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dist_stilts.simulate import Language
from dist_stilts.simulate.frames import Frame, Phrase
from dist_stilts.simulate.grammar import realise, sentence, spell
from dist_stilts.simulate.languages import ENGLISH_GRAMMAR, Typology

EVENT = Frame(
    "sold", Phrase("farmer", "old"), Phrase("boat", "red", "3", plural=True), "near", "river", "twice", negated=True
)


def gloss(frame: Frame, typology: Typology, english: Language) -> str:
    """English words and the case ending "-acc" in another word order."""
    language = replace(english, typology=typology, lexicon=replace(english.lexicon, case="-acc"))
    return sentence(frame, language)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "the old farmer never sold the 3 red boats near the river twice ."),
        ({"order": "SOV"}, "the old farmer near the river the 3 red boats never sold twice ."),
        ({"order": "VSO"}, "never sold the old farmer the 3 red boats near the river twice ."),
        ({"adjective": "after noun"}, "the farmer old never sold the 3 boats red near the river twice ."),
        ({"numeral": "after noun"}, "the old farmer never sold the red boats 3 near the river twice ."),
        ({"adposition": "postposition"}, "the old farmer never sold the 3 red boats the river near twice ."),
        ({"case": "object suffix"}, "the old farmer never sold the 3 red boats-acc near the river twice ."),
        ({"plural": "particle"}, "the old farmer never sold the several 3 red boat near the river twice ."),
        ({"negation": "after verb"}, "the old farmer sold never the 3 red boats near the river twice ."),
        ({"article": "none"}, "old farmer never sold 3 red boats near river twice ."),
        ({"adverb": "clause start"}, "twice the old farmer never sold the 3 red boats near the river ."),
    ],
)
def test_each_parameter_does_what_it_says(change: dict[str, Any], text: str, tongues: dict[str, Language]) -> None:
    assert gloss(EVENT, replace(ENGLISH_GRAMMAR, **change), tongues["en"]) == text


def test_the_passive_makes_the_patient_the_subject_and_only_subject_pronouns_are_dropped(
    tongues: dict[str, Language],
) -> None:
    text = "the 3 red boats was never sold by the old farmer near the river twice ."
    assert gloss(replace(EVENT, passive=True), ENGLISH_GRAMMAR, tongues["en"]) == text
    dropping = replace(ENGLISH_GRAMMAR, subject_pronoun="dropped")
    frame = Frame("sold", Phrase("he"), Phrase("boat"))
    assert gloss(frame, dropping, tongues["en"]) == "sold the boat ."
    assert gloss(replace(frame, passive=True), dropping, tongues["en"]) == "the boat was sold by he ."


def test_a_language_says_a_frame_with_its_own_words_of_the_same_concepts_in_roles_whatever_the_voice(
    tongues: dict[str, Language],
) -> None:
    for language in tongues.values():
        words = realise(EVENT, language)
        assert {"sold", "farmer", "boat", "river", "twice", "old", "red", "3"} <= {word.concept for word in words}
        if language.code != "en":
            assert not {"sold", "farmer", "boat", "boats"} & set(spell(words, language))
        for frame in (EVENT, replace(EVENT, passive=True)):
            words = realise(frame, language)
            assert [word.role for word in words if word.concept in ("farmer", "boat", "river")].count("subject") == 1
            assert next(word.role for word in words if word.concept == "boat") == "object"
            assert next(word.role for word in words if word.concept == "near") == ""
