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
    Frame,
    Phrase,
    fingerprint,
)  # fmt: skip

LABELS = ("entailment", "neutral", "contradiction")
KINDS = {"property": 0.55, "verb": 0.25, "polarity": 0.2}
"""What the hypotheses of one premise differ in, with its probability."""
EXTRA, KEPT = 0.25, 0.9
"""How often a premise states a property beside the one at issue, and how often a hypothesis repeats it."""
Facts = dict[tuple[str, str], str]


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
    premise, hypotheses = (_by_property if kind == "property" else _by_verb if kind == "verb" else _by_polarity)(
        world, rng
    )
    return Item(
        replace(premise, passive=rng.random() < 0.2),
        {label: _retold(hypotheses[label], rng, generalise=kind != "polarity") for label in LABELS},
    )


def _by_property(world: ConceptWorld, rng: random.Random) -> tuple[Frame, dict[str, Frame]]:
    """Same value, another value of the same property, or a property of which the premise says nothing."""
    core = world.core(rng)
    slots = _slots(core)
    probed, silent = rng.sample(slots, 2)
    adjectival = [slot for slot in slots if slot in ("subject", "object")]
    if adjectival and rng.random() < 0.3:
        probed = silent = rng.choice(adjectival)
    core = _with_number(core, "number" in (probed, silent))
    (value, rival), (unsaid, _) = _two_properties(world, rng, core, probed, silent)
    extras = _extras(world, rng, core, [slot for slot in slots if slot not in (probed, silent)])
    kept = {slot: extra for slot, extra in extras.items() if rng.random() < KEPT}
    told = _with_number(core, "number" in extras)
    base = _say(world, told, kept)
    return _say(world, told, {**extras, probed: value}), {
        "entailment": _say(world, base, {probed: value}),
        "contradiction": _say(world, base, {probed: rival}),
        "neutral": _say(world, base, {silent: unsaid}),
    }


def _by_verb(world: ConceptWorld, rng: random.Random) -> tuple[Frame, dict[str, Frame]]:
    """The same verb, its opposite, or an unrelated one."""
    core, verb, unrelated = _two_verbs(world, rng)
    extras = _extras(world, rng, core, _slots(core))
    core = _with_number(core, "number" in extras)
    base = _say(world, core, {slot: extra for slot, extra in extras.items() if rng.random() < KEPT})
    return replace(_say(world, core, extras), verb=verb), {
        "entailment": replace(base, verb=verb),
        "contradiction": replace(base, verb=OPPOSITE[verb]),
        "neutral": replace(base, verb=unrelated),
    }


def _by_polarity(world: ConceptWorld, rng: random.Random) -> tuple[Frame, dict[str, Frame]]:
    """The same polarity, the other one, or an unrelated verb with either."""
    core, verb, unrelated = _two_verbs(world, rng)
    extras = _extras(world, rng, core, _slots(core))
    said = _say(world, _with_number(core, "number" in extras), extras)
    negated = rng.random() < 0.5
    return replace(said, verb=verb, negated=negated), {
        "entailment": replace(said, verb=verb, negated=negated),
        "contradiction": replace(said, verb=verb, negated=not negated),
        "neutral": replace(said, verb=unrelated, negated=rng.random() < 0.5),
    }


def _slots(frame: Frame) -> list[str]:
    """What can be said about an event: names have no adjective and no number."""
    subject = [] if frame.subject.noun in ENTITY else ["subject"]
    return [*subject, "object", "number", "place", "adverb"]


def _two_properties(
    world: ConceptWorld, rng: random.Random, core: Frame, first: str, second: str
) -> tuple[tuple[str, str], tuple[str, str]]:
    """Rival values of two different properties; drawn together, so that both have the same distribution."""
    while True:
        one, two = _rivals(world, rng, core, first), _rivals(world, rng, core, second)
        if first != second or ADJECTIVE_KIND[one[0]] != ADJECTIVE_KIND[two[0]]:
            return one, two


def _rivals(world: ConceptWorld, rng: random.Random, core: Frame, slot: str) -> tuple[str, str]:
    """Two exchangeable values that exclude each other."""
    if slot in ("subject", "object"):
        noun = core.subject.noun if slot == "subject" else core.object.noun
        one = world.adjectives[noun].draw(rng)
        other = OPPOSITE.get(one) or rng.choice([colour for colour in COLOURS if colour != one])
        return (one, other) if rng.random() < 0.5 else (other, one)
    if slot == "number":
        one, other = rng.sample(NUMERALS, 2)
        return one, other
    return (world.places if slot == "place" else world.adverbs)[core.verb].pair(rng)


def _two_verbs(world: ConceptWorld, rng: random.Random) -> tuple[Frame, str, str]:
    """An event without its verb, and two exchangeable verbs for it that are not each other's opposite."""
    while True:
        core = world.core(rng)
        likely = world.verbs_for(core.subject.noun, core.object.noun)
        if any(verb not in (likely.items[0], OPPOSITE[likely.items[0]]) for verb in likely.items):
            break
    while True:
        one, other = likely.pair(rng)
        if OPPOSITE[one] != other:
            return core, rng.choice((one, OPPOSITE[one])), rng.choice((other, OPPOSITE[other]))


def _extras(world: ConceptWorld, rng: random.Random, core: Frame, slots: list[str]) -> dict[str, str]:
    return {slot: _rivals(world, rng, core, slot)[0] for slot in slots if rng.random() < EXTRA}


def _with_number(frame: Frame, counted: bool) -> Frame:
    """The object in the plural if any sentence of the item counts it."""
    return replace(frame, object=replace(frame.object, plural=True)) if counted else frame


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
    frame = replace(frame, passive=rng.random() < 0.25)
    if generalise and rng.random() < 0.25:
        frame = replace(frame, subject=_general(frame.subject))
    if generalise and rng.random() < 0.25:
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
