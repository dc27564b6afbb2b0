"""Natural language inference with a known logic, built so that the hypothesis alone tells nothing about the label.

Every frame states *facts*: a property and its value ("object colour": "red"). Two values of one property exclude each
other. :func:`relation` derives the label of any pair of frames from their facts. :func:`item` makes one premise and
three hypotheses, one per label, with the same trimmings and voice *in distribution*: what differs between the labels is
drawn from exchangeable pairs, so each label's hypotheses have the same marginal distribution of words, length,
negation, voice and number of adjuncts.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dist_stilts.simulate.frames import (
    ADJECTIVE_KIND,
    COLOURS,
    ENTITY,
    HYPERNYM,
    NUMERALS,
    OPPOSITE,
    ConceptWorld,
    Distribution,
    Frame,
    Phrase,
    fingerprint,
)  # fmt: skip

LABELS = ("entailment", "neutral", "contradiction")
KINDS = {"verb": 0.45, "adjective": 0.3, "polarity": 0.25}
"""What the hypotheses of one premise differ in, with its probability."""
ADDED, KEPT = 0.25, 0.9
"""How often a premise says something that is not at issue, and how often a hypothesis repeats it."""
PASSIVE, GENERAL = 0.2, 0.2
"""How often a hypothesis is in the passive, and how often it replaces a noun by its hypernym."""
Facts = dict[tuple[str, str], str]
_NUMBERS = Distribution(dict.fromkeys(NUMERALS, 1.0))


@dataclass(frozen=True, slots=True)
class Item:
    """One premise and its three hypotheses, by label."""

    premise: Frame
    hypotheses: dict[str, Frame]


def relation(premise: Frame, hypothesis: Frame) -> str:
    """The label of a pair by logic alone: both speak of one event, and a negated sentence denies all of its content."""
    if not hypothesis.negated and not premise.negated:
        if _covers(premise, hypothesis):
            return "entailment"
        return "contradiction" if _excludes(premise, hypothesis) else "neutral"
    if not premise.negated:
        if _covers(premise, hypothesis):
            return "contradiction"
        return "entailment" if _excludes(premise, hypothesis) else "neutral"
    if not _covers(hypothesis, premise):
        return "neutral"
    return "entailment" if hypothesis.negated else "contradiction"


def facts(frame: Frame) -> Facts:
    """Property -> value for everything that a frame says beside who its participants are."""
    verb = min(frame.verb, OPPOSITE[frame.verb])
    stated: Facts = {("verb", verb): frame.verb}
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


def items(world: ConceptWorld, rng: random.Random, told: set[Frame]) -> Iterator[Item]:
    """Endless items whose premises are not in ``told``; each premise is added to it."""
    while True:
        new = item(world, rng)
        if fingerprint(new.premise) not in told:
            told.add(fingerprint(new.premise))
            yield new


def item(world: ConceptWorld, rng: random.Random) -> Item:
    """One premise with one hypothesis per label."""
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    premise, hypotheses = {"verb": _by_verb, "adjective": _by_adjective, "polarity": _by_polarity}[kind](world, rng)
    return Item(
        replace(premise, passive=rng.random() < PASSIVE),
        {label: _retold(hypotheses[label], rng, generalise=kind != "polarity") for label in LABELS},
    )


def _by_verb(world: ConceptWorld, rng: random.Random) -> tuple[Frame, dict[str, Frame]]:
    """The same verb, its opposite, or an unrelated one."""
    core, verb, unrelated = _two_verbs(world, rng)
    premise, repeated = _trimmed(world, rng, core, KEPT)
    return replace(premise, verb=verb), {
        "entailment": replace(repeated, verb=verb),
        "contradiction": replace(repeated, verb=OPPOSITE[verb]),
        "neutral": replace(repeated, verb=unrelated),
    }


def _by_adjective(world: ConceptWorld, rng: random.Random) -> tuple[Frame, dict[str, Frame]]:
    """The same adjective, one that excludes it, or one of another kind."""
    core = world.core(rng)
    role = "object" if core.subject.noun in ENTITY else rng.choice(("subject", "object"))
    likely = world.adjectives[getattr(core, role).noun]
    while True:
        (value, rival), (unrelated, _) = _rivals(likely, rng), _rivals(likely, rng)
        if ADJECTIVE_KIND[value] != ADJECTIVE_KIND[unrelated]:
            break
    premise, repeated = _trimmed(world, rng, core, KEPT, besides=role)
    return _say(world, premise, {role: value}), {
        "entailment": _say(world, repeated, {role: value}),
        "contradiction": _say(world, repeated, {role: rival}),
        "neutral": _say(world, repeated, {role: unrelated}),
    }


def _by_polarity(world: ConceptWorld, rng: random.Random) -> tuple[Frame, dict[str, Frame]]:
    """The same polarity, the other one, or an unrelated verb with either."""
    core, verb, unrelated = _two_verbs(world, rng)
    said, _ = _trimmed(world, rng, core, kept=1.0)
    negated = rng.random() < 0.5
    return replace(said, verb=verb, negated=negated), {
        "entailment": replace(said, verb=verb, negated=negated),
        "contradiction": replace(said, verb=verb, negated=not negated),
        "neutral": replace(said, verb=unrelated, negated=rng.random() < 0.5),
    }


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


def _rivals(adjectives: Distribution, rng: random.Random) -> tuple[str, str]:
    """Two exchangeable adjectives that exclude each other."""
    one = adjectives.draw(rng)
    other = OPPOSITE.get(one) or rng.choice([colour for colour in COLOURS if colour != one])
    return (one, other) if rng.random() < 0.5 else (other, one)


def _trimmed(
    world: ConceptWorld, rng: random.Random, core: Frame, kept: float, besides: str = ""
) -> tuple[Frame, Frame]:
    """``core`` with things added that are not at issue, and again with each of them left out at rate 1 - ``kept``."""
    slots = {
        "subject": None if core.subject.noun in ENTITY else world.adjectives[core.subject.noun],
        "object": world.adjectives[core.object.noun],
        "number": _NUMBERS,
        "place": world.places[core.verb],
        "adverb": world.adverbs[core.verb],
    }
    added = {
        slot: values.draw(rng) for slot, values in slots.items() if values and slot != besides and rng.random() < ADDED
    }
    if "number" in added:
        core = replace(core, object=replace(core.object, plural=True))
    repeated = {slot: value for slot, value in added.items() if rng.random() < kept}
    return _say(world, core, added), _say(world, core, repeated)


def _say(world: ConceptWorld, frame: Frame, values: dict[str, str]) -> Frame:
    """``frame`` with the given slots filled; a place always comes with its most usual preposition."""
    for slot, value in values.items():
        if slot == "subject":
            frame = replace(frame, subject=replace(frame.subject, adjective=value))
        elif slot == "object":
            frame = replace(frame, object=replace(frame.object, adjective=value))
        elif slot == "number":
            frame = replace(frame, object=replace(frame.object, numeral=value))
        elif slot == "place":
            frame = replace(frame, place=value, preposition=world.prepositions[value].most_likely())
        else:
            frame = replace(frame, adverb=value)
    return frame


def _retold(frame: Frame, rng: random.Random, *, generalise: bool) -> Frame:
    """Voice and, where the logic allows it, hypernyms: drawn alike for every label."""
    frame = replace(frame, passive=rng.random() < PASSIVE)
    if generalise and rng.random() < GENERAL:
        frame = replace(frame, subject=_general(frame.subject))
    if generalise and rng.random() < GENERAL:
        frame = replace(frame, object=_general(frame.object))
    return frame


def _general(phrase: Phrase) -> Phrase:
    return replace(phrase, noun=HYPERNYM[phrase.noun])


def _covers(strong: Frame, weak: Frame) -> bool:
    """Whether the affirmed content of ``strong`` includes that of ``weak``."""
    known = facts(strong)
    return _same_participants(strong, weak) and all(known.get(key) == value for key, value in facts(weak).items())


def _excludes(one: Frame, other: Frame) -> bool:
    """Whether ``other`` speaks only of properties known from ``one`` but gives at least one another value."""
    known, claimed = facts(one), facts(other)
    return _same_participants(one, other) and known.keys() >= claimed.keys() and not _covers(one, other)


def _same_participants(specific: Frame, general: Frame) -> bool:
    pairs = ((specific.subject, general.subject), (specific.object, general.object))
    return all(b.noun in (a.noun, HYPERNYM.get(a.noun)) and a.plural == b.plural for a, b in pairs)
