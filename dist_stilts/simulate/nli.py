"""Natural language inference with a known logic, built so that the hypothesis alone tells nothing about the label.

Every frame states *facts*: a property and its value ("object colour": "red"). Two values of one property exclude each
other, as "bought" and "sold" do. :func:`relation` derives the label of any pair of frames from their facts alone.
:func:`item` makes one premise and three hypotheses, one per label, that differ in the verb: the same, the opposite or
an unrelated one. The verbs are drawn from an exchangeable pair and everything else without regard to the label, so each
label's hypotheses have the same distribution of words, length, voice and number of adjuncts.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dist_stilts.simulate.frames import (
    ADJECTIVE_KIND,
    ENTITY,
    HYPERNYM,
    NUMERALS,
    OPPOSITE,
    ConceptWorld,
    Distribution,
    Frame,
    Phrase,
    fingerprint,
)

LABELS = ("entailment", "neutral", "contradiction")
ADDED, KEPT = 0.25, 0.9
"""How often a premise has each adjective, numeral and adjunct, and how often a hypothesis repeats it."""
PASSIVE, GENERAL = 0.2, 0.2
"""How often a sentence is in the passive, and how often a hypothesis replaces a noun by its hypernym."""
Facts = dict[tuple[str, str], str]
_NUMBERS = Distribution(dict.fromkeys(NUMERALS, 1.0))


@dataclass(frozen=True, slots=True)
class Item:
    """One premise and its three hypotheses, by label."""

    premise: Frame
    hypotheses: dict[str, Frame]


def relation(premise: Frame, hypothesis: Frame) -> str:
    """The label of a pair of affirmative frames by logic alone: both are taken to speak of one event."""
    known, claimed = facts(premise), facts(hypothesis)
    if not _same_participants(premise, hypothesis) or not known.keys() >= claimed.keys():
        return "neutral"
    return "entailment" if claimed.items() <= known.items() else "contradiction"


def facts(frame: Frame) -> Facts:
    """Property -> value for everything that a frame says beside who its participants are."""
    stated: Facts = {("verb", min(frame.verb, OPPOSITE[frame.verb])): frame.verb}
    for role, phrase in (("subject", frame.subject), ("object", frame.object)):
        if phrase.adjective:
            stated[role, ADJECTIVE_KIND[phrase.adjective]] = phrase.adjective
        if phrase.numeral:
            stated[role, "number"] = phrase.numeral
    if frame.place:
        stated["event", "place"] = frame.place
    if frame.adverb:
        stated["event", "adverb"] = frame.adverb
    return stated


def items(world: ConceptWorld, rng: random.Random) -> Iterator[Item]:
    """Endless items; no two premises tell the same event, not even in different voices."""
    told: set[Frame] = set()
    while True:
        new = item(world, rng)
        if fingerprint(new.premise) not in told:
            told.add(fingerprint(new.premise))
            yield new


def item(world: ConceptWorld, rng: random.Random) -> Item:
    """One premise with one hypothesis per label."""
    core, verb, unrelated = _two_verbs(world, rng)
    premise, repeated = _trimmed(world, rng, core)
    verbs = {"entailment": verb, "neutral": unrelated, "contradiction": OPPOSITE[verb]}
    return Item(
        replace(premise, verb=verb, passive=rng.random() < PASSIVE),
        {label: _retold(replace(repeated, verb=verbs[label]), rng) for label in LABELS},
    )


def _two_verbs(world: ConceptWorld, rng: random.Random) -> tuple[Frame, str, str]:
    """An event without its verb, and two exchangeable verbs for it that are not each other's opposite."""
    while True:
        core = world.core(rng)
        likely = world.verbs_for(core.subject.noun, core.object.noun)
        if len(likely.items) > 2:
            break
    while True:
        one, other = likely.pair(rng)
        if OPPOSITE[one] != other:
            return core, rng.choice((one, OPPOSITE[one])), rng.choice((other, OPPOSITE[other]))


def _trimmed(world: ConceptWorld, rng: random.Random, core: Frame) -> tuple[Frame, Frame]:
    """``core`` with adjectives, number and adjuncts, and once more with some of them left out."""
    slots = {
        "object": world.adjectives[core.object.noun],
        "number": _NUMBERS,
        "place": world.places[core.verb],
        "adverb": world.adverbs[core.verb],
    }
    if core.subject.noun not in ENTITY:
        slots["subject"] = world.adjectives[core.subject.noun]
    added = {slot: values.draw(rng) for slot, values in slots.items() if rng.random() < ADDED}
    if "number" in added:
        core = replace(core, object=replace(core.object, plural=True))
    repeated = {slot: value for slot, value in added.items() if rng.random() < KEPT}
    return _say(world, core, added), _say(world, core, repeated)


def _say(world: ConceptWorld, frame: Frame, values: dict[str, str]) -> Frame:
    """``frame`` with the given slots filled; a place always comes with its most usual preposition."""
    subject = replace(frame.subject, adjective=values.get("subject"))
    patient = replace(frame.object, adjective=values.get("object"), numeral=values.get("number"))
    place = values.get("place")
    preposition = world.prepositions[place].most_likely() if place else None
    return replace(
        frame, subject=subject, object=patient, place=place, preposition=preposition, adverb=values.get("adverb")
    )


def _retold(frame: Frame, rng: random.Random) -> Frame:
    """Voice and hypernyms, drawn alike for every label."""
    return replace(
        frame,
        passive=rng.random() < PASSIVE,
        subject=_general(frame.subject) if rng.random() < GENERAL else frame.subject,
        object=_general(frame.object) if rng.random() < GENERAL else frame.object,
    )


def _general(phrase: Phrase) -> Phrase:
    return replace(phrase, noun=HYPERNYM[phrase.noun])


def _same_participants(specific: Frame, general: Frame) -> bool:
    pairs = ((specific.subject, general.subject), (specific.object, general.object))
    return all(b.noun in (a.noun, HYPERNYM.get(a.noun)) and a.plural == b.plural for a, b in pairs)
