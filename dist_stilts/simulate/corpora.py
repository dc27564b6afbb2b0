"""Plain text: documents to pretrain on, aligned sentences (Tatoeba) and comparable corpora (BUCC).

Documents of different languages are about different events: there is no parallel text to learn from. What ties the
languages together is that they talk about one world, and that speakers of the others mix in English words.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dist_stilts.conventions import ENGLISH
from dist_stilts.simulate.frames import HYPERNYM, PRONOUNS, ConceptWorld, Frame, Phrase, fingerprint
from dist_stilts.simulate.grammar import Word, realise, sentence, spell
from dist_stilts.simulate.languages import Language
from dist_stilts.simulate.lexicon import CONTENT

SWITCH_RATE = 0.15
"""Share of content words that a document in another language than English says in English."""
_CONTENT = frozenset(CONTENT)


def documents(
    world: ConceptWorld, language: Language, rng: random.Random, count: int, switch_rate: float = SWITCH_RATE
) -> Iterator[str]:
    """``count`` documents of one or two sentences, one line each."""
    rate = 0.0 if language.code == ENGLISH else switch_rate
    for _ in range(count):
        words = [word for frame in document(world, rng) for word in realise(frame, language)]
        yield " ".join(_mixed(words, language, rng, rate))


def document(world: ConceptWorld, rng: random.Random) -> list[Frame]:
    """An event alone, told twice in different words, followed by another with a common participant, or asked about."""
    kind = rng.random()
    first = world.event(rng)
    if kind < 0.2:
        return [first]
    if kind < 0.55:
        return [first, _restated(world, first, rng)]
    if kind < 0.9:
        return [first, _continued(world, first, rng)]
    return [_question(first, rng), first]


def distinct_events(world: ConceptWorld, rng: random.Random, count: int) -> list[Frame]:
    """``count`` events of which no two differ in voice alone."""
    events: dict[Frame, Frame] = {}
    while len(events) < count:
        event = world.event(rng)
        events.setdefault(fingerprint(event), event)
    return list(events.values())


@dataclass(frozen=True)
class Comparable:
    """A BUCC split: ``id \\t text`` rows of two corpora and the gold pairs (source id, English id)."""

    source: list[str]
    english: list[str]
    gold: list[str]


def comparable(
    world: ConceptWorld, pair: tuple[Language, Language], rng: random.Random, sizes: tuple[int, int, int]
) -> Comparable:
    """Two corpora that share some sentences.

    Args:
        pair: the foreign language and English.
        sizes: sentences of the source, of English, and pairs that are translations of each other.
    """
    foreign, english = pair
    sources, targets, gold = sizes
    events = distinct_events(world, rng, sources + targets - gold)
    source_rows = rng.sample(range(sources), sources)
    english_rows = rng.sample(range(targets), targets)
    source = {source_rows[i]: sentence(events[i], foreign) for i in range(sources)}
    target = {english_rows[i]: sentence(events[i if i < gold else i + sources - gold], english) for i in range(targets)}
    return Comparable(
        [f"{_row_id(foreign, row)}\t{source[row]}" for row in range(sources)],
        [f"{_row_id(english, row)}\t{target[row]}" for row in range(targets)],
        sorted(f"{_row_id(foreign, source_rows[i])}\t{_row_id(english, english_rows[i])}" for i in range(gold)),
    )


def _row_id(language: Language, row: int) -> str:
    return f"{language.code}-{row + 1:09d}"


def _mixed(words: list[Word], language: Language, rng: random.Random, rate: float) -> list[str]:
    """Spell the words, each content word in English with probability ``rate``; endings stay native."""
    texts = spell(words, language)
    if rate:
        for i, word in enumerate(words):
            if word.concept in _CONTENT and rng.random() < rate:
                texts[i] = word.concept + word.ending
    return texts


def _restated(world: ConceptWorld, first: Frame, rng: random.Random) -> Frame:
    """The same event in the other voice or not, with hypernyms, and with something left out or added."""
    adverb = rng.choice((first.adverb, None, world.adverbs[first.verb].draw(rng)))
    again = replace(first, passive=rng.random() < 0.5, adverb=adverb)
    if rng.random() < 0.4:
        again = replace(again, place=None, preposition=None) if first.place else world.with_place(rng, again)
    return replace(again, subject=_mentioned_again(first.subject, rng), object=_mentioned_again(first.object, rng))


def _mentioned_again(phrase: Phrase, rng: random.Random) -> Phrase:
    noun = HYPERNYM[phrase.noun] if rng.random() < 0.25 else phrase.noun
    return replace(phrase, noun=noun, adjective=phrase.adjective if rng.random() < 0.6 else None)


def _continued(world: ConceptWorld, first: Frame, rng: random.Random) -> Frame:
    """Another event with the same agent or the same patient, often as a pronoun."""
    if rng.random() < 0.5:
        verb = world.verbs_for(first.subject.noun).draw(rng)
        return replace(world.event(rng, verb=verb), subject=_referred_to(first.subject, rng), passive=False)
    verb = world.verbs_for(None, first.object.noun).draw(rng)
    return replace(world.event(rng, verb=verb), object=_referred_to(first.object, rng), passive=True)


def _referred_to(phrase: Phrase, rng: random.Random) -> Phrase:
    if rng.random() < 0.5:
        return Phrase("they" if phrase.plural else PRONOUNS.get(HYPERNYM[phrase.noun], "it"))
    return replace(phrase, adjective=None, numeral=None)


def _question(frame: Frame, rng: random.Random) -> Frame:
    """Ask for the agent, the patient or the place."""
    asked = rng.choice(("who", "what", "where") if frame.place else ("who", "what"))
    if asked == "where":
        return replace(frame, place="where")
    return replace(frame, subject=Phrase("who")) if asked == "who" else replace(frame, object=Phrase("what"))
