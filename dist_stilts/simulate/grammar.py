"""How a frame becomes a sentence of a language: words in order, each with its part of speech and its role."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dist_stilts.simulate.frames import ENTITY, Frame, Phrase
from dist_stilts.simulate.languages import Language
from dist_stilts.simulate.lexicon import (
    AGENT,
    ARTICLE,
    NEGATION,
    PASSIVE,
    PERSONAL,
    PLURAL_PARTICLE,
    QUESTION,
    QUESTION_MARK,
    STOP,
)  # fmt: skip


class Word(NamedTuple):
    """One word of a sentence.

    Attributes:
        tag: universal part of speech.
        role: "subject" (agent), "object" (patient), "place": the phrase it is in, adpositions excluded; else "".
    """

    concept: str
    tag: str
    role: str = ""
    ending: str = ""


def realise(frame: Frame, language: Language) -> list[Word]:
    """Say ``frame`` in ``language``: the words in order, the closing punctuation last."""
    typology = language.typology
    subject, other = _arguments(frame, language)
    verb, place = _verb_group(frame, language), _place(frame, language)
    if typology.order == "SVO":
        words = subject + verb + other + place
    elif typology.order == "VSO":
        words = verb + subject + other + place
    else:
        words = subject + place + other + verb
    if frame.adverb:
        words.insert(0 if typology.adverb == "clause start" else len(words), Word(frame.adverb, "ADV"))
    asks = frame.subject.noun in QUESTION or frame.object.noun in QUESTION or frame.place in QUESTION
    return [*words, Word(QUESTION_MARK if asks else STOP, "PUNCT")]


def spell(words: Iterable[Word], language: Language) -> list[str]:
    """The words as strings."""
    return [language.lexicon.words[word.concept] + word.ending for word in words]


def sentence(frame: Frame, language: Language) -> str:
    """Say ``frame`` as text: words and punctuation, separated by single spaces."""
    return " ".join(spell(realise(frame, language), language))


def _arguments(frame: Frame, language: Language) -> tuple[list[Word], list[Word]]:
    """Grammatical subject, and the object or (passive) agent phrase."""
    if frame.passive:
        subject = _phrase(frame.object, "object", language)
        other = _adpositional(AGENT, _phrase(frame.subject, "subject", language), language)
    else:
        subject = _phrase(frame.subject, "subject", language)
        other = _phrase(frame.object, "object", language, case=True)
    dropped = language.typology.subject_pronoun == "dropped" and subject[0].concept in PERSONAL
    return [] if dropped else subject, other


def _phrase(phrase: Phrase, role: str, language: Language, case: bool = False) -> list[Word]:
    """A participant with its article, numeral, adjective and endings."""
    typology = language.typology
    ending = language.lexicon.case if case and typology.case == "object suffix" else ""
    if phrase.noun in ENTITY or phrase.noun in PERSONAL:
        return [Word(phrase.noun, "PROPN" if phrase.noun in ENTITY else "PRON", role, ending)]
    suffixed = phrase.plural and typology.plural == "suffix"
    tag = "PRON" if phrase.noun in QUESTION else "NOUN"
    words = [Word(phrase.noun, tag, role, language.lexicon.plural + ending if suffixed else ending)]
    if phrase.adjective:
        words.insert(0 if typology.adjective == "before noun" else 1, Word(phrase.adjective, "ADJ", role))
    if phrase.numeral:
        words.insert(0 if typology.numeral == "before noun" else len(words), Word(phrase.numeral, "NUM", role))
    if phrase.plural and not suffixed:
        words.insert(0, Word(PLURAL_PARTICLE, "PART", role))
    if typology.article == "definite" and (tag == "NOUN" or len(words) > 1):
        words.insert(0, Word(ARTICLE, "DET", role))
    return words


def _verb_group(frame: Frame, language: Language) -> list[Word]:
    typology = language.typology
    words = [Word(frame.verb, "VERB")]
    if frame.negated:
        words.insert(0 if typology.negation == "before verb" else 1, Word(NEGATION, "PART"))
    if frame.passive:
        words.insert(len(words) if typology.order == "SOV" else 0, Word(PASSIVE, "AUX"))
    return words


def _place(frame: Frame, language: Language) -> list[Word]:
    if frame.place is None:
        return []
    if frame.place in QUESTION:
        return [Word(frame.place, "ADV", "place")]
    return _adpositional(str(frame.preposition), _phrase(Phrase(frame.place), "place", language), language)


def _adpositional(adposition: str, phrase: list[Word], language: Language) -> list[Word]:
    word = Word(adposition, "ADP")
    return [word, *phrase] if language.typology.adposition == "preposition" else [*phrase, word]
