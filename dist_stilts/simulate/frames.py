"""The concept world: what can happen in it, how likely each thing is, and how to draw an event.

A :class:`Frame` is an event without words or word order; every language of the world says the same frames.
Concepts are named by their English word. Selectional preferences are sparse (Zipf times log-normal), so that the
company a word keeps gives it away: that is all the masked language model has to align the languages by.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

NOUNS: dict[str, tuple[str, ...]] = {
    "person": ("doctor", "teacher", "farmer", "sailor", "king", "pilot"),
    "animal": ("dog", "cat", "horse", "cow", "bird", "goat"),
    "snack": ("apple", "cake", "pie", "egg", "onion", "lemon"),
    "vehicle": ("car", "boat", "truck", "train", "cart", "plane"),
    "tool": ("hammer", "rope", "lamp", "spoon", "bell", "ladder"),
    "text": ("letter", "book", "song", "poem", "map", "novel"),
    "place": ("garden", "park", "market", "river", "forest", "bridge"),
}
"""Hypernym -> its nouns."""
NAMES: dict[str, tuple[str, ...]] = {
    "person": ("anna", "boris", "carla", "david", "emma", "felix", "greta", "hugo"),
    "company": ("acme", "globex", "initech", "umbrella"),
    "place": ("avalon", "camelot", "eldorado", "utopia"),
}
"""Hypernym -> proper names, written alike in all languages."""
ENTITY = {name: tag for kind, tag in (("person", "PER"), ("company", "ORG"), ("place", "LOC")) for name in NAMES[kind]}
"""Proper name -> its entity type in PAN-X."""
HYPERNYM = {noun: kind for table in (NOUNS, NAMES) for kind, nouns in table.items() for noun in nouns}
HYPERNYMS = (*NOUNS, "company")

_PEOPLE, _ACTORS, _THINGS = ("person", "company"), ("person", "animal"), ("snack", "vehicle", "tool", "text")
_OPPOSITE_VERBS = (
    ("bought", "sold", _PEOPLE, (*_THINGS, "animal")),
    ("found", "lost", ("person", "animal", "company"), _THINGS),
    ("loved", "hated", _ACTORS, ("person", "animal", "snack", "text")),
    ("pushed", "pulled", _ACTORS, ("vehicle", "animal", "tool")),
    ("lifted", "dropped", _ACTORS, ("tool", "snack", "text")),
    ("cleaned", "stained", _ACTORS, ("vehicle", "tool", "text")),
    ("praised", "mocked", _PEOPLE, ("person", "text", "vehicle")),
    ("protected", "attacked", _ACTORS, ("person", "animal")),
)
_OPPOSITE_ADJECTIVES = (
    ("big", "small"), ("old", "new"), ("hot", "cold"), ("clean", "dirty"),
    ("good", "bad"), ("heavy", "light"), ("fast", "slow"), ("strong", "weak"),
)  # fmt: skip
COLOURS = ("red", "green", "blue", "white")
ADVERBS = ("once", "twice", "often", "rarely", "daily", "yearly")
PREPOSITIONS = ("in", "near", "behind", "under", "beside")
NUMERALS = tuple("23456789")
PRONOUNS = {"person": "he", "animal": "it"}
"""Pronoun by class of a singular noun; "it" for all other classes, "they" for plurals."""

VERBS = tuple(verb for first, second, _, _ in _OPPOSITE_VERBS for verb in (first, second))
ADJECTIVES = (*(word for pair in _OPPOSITE_ADJECTIVES for word in pair), *COLOURS)
OPPOSITE = {a: b for pair in (*_OPPOSITE_ADJECTIVES, *(v[:2] for v in _OPPOSITE_VERBS)) for a, b in (pair, pair[::-1])}
ADJECTIVE_KIND = {a: pair[0] for pair in _OPPOSITE_ADJECTIVES for a in pair} | dict.fromkeys(COLOURS, "colour")
"""Adjective -> the property it is a value of; two values of one property exclude each other."""
SUBJECT_CLASSES = {verb: v[2] for v in _OPPOSITE_VERBS for verb in v[:2]}
OBJECT_CLASSES = {verb: v[3] for v in _OPPOSITE_VERBS for verb in v[:2]}

PREFERENCE_SPREAD = 2.0
"""Standard deviation of a log preference; steeper worlds are easier to learn from little text."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A participant: a noun (or name, pronoun, question word) with at most one adjective and one numeral."""

    noun: str
    adjective: str | None = None
    numeral: str | None = None
    plural: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """One event; ``subject`` is the agent and ``object`` the patient in the passive, too."""

    verb: str
    subject: Phrase
    object: Phrase
    preposition: str | None = None
    place: str | None = None
    adverb: str | None = None
    negated: bool = False
    passive: bool = False


class Distribution:
    """Concepts with their probabilities, ready to draw from."""

    def __init__(self, weights: dict[str, float]) -> None:
        total = sum(weights.values())
        self.probabilities = {item: weight / total for item, weight in weights.items()}
        self.items = tuple(weights)
        self._cumulative = list(accumulate(self.probabilities.values()))

    def probability(self, item: str) -> float:
        """Probability of ``item``; 0 if it cannot occur."""
        return self.probabilities.get(item, 0.0)

    def draw(self, rng: random.Random) -> str:
        """One concept."""
        return rng.choices(self.items, cum_weights=self._cumulative)[0]

    def most_likely(self) -> str:
        """The most probable concept."""
        return max(self.items, key=self.probability)

    def pair(self, rng: random.Random) -> tuple[str, str]:
        """Two different concepts, exchangeable: each position has the same marginal distribution."""
        first = second = self.draw(rng)
        while second == first:
            second = self.draw(rng)
        return (first, second) if rng.random() < 0.5 else (second, first)


class ConceptWorld:
    """The preferences of one world: who does what to whom, where, how often, and what is what like."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(f"{seed}:preferences")
        self.verbs = _preferences(rng, VERBS, spread=0.3)
        self.subjects = {verb: _preferences(rng, _members(SUBJECT_CLASSES[verb], names=True)) for verb in VERBS}
        self.objects = {verb: _preferences(rng, _members(OBJECT_CLASSES[verb], names=False)) for verb in VERBS}
        self.places = {verb: _preferences(rng, _members(("place",), names=True)) for verb in VERBS}
        self.adverbs = {verb: _preferences(rng, ADVERBS) for verb in VERBS}
        self.adjectives = {noun: _preferences(rng, ADJECTIVES) for noun in (*HYPERNYM, *HYPERNYMS)}
        self.prepositions = {place: _preferences(rng, PREPOSITIONS) for place in _members(("place",), names=True)}

    def event(self, rng: random.Random, *, verb: str | None = None) -> Frame:
        """Draw an event with its usual trimmings, active and affirmative or not."""
        verb = verb or self.verbs.draw(rng)
        frame = Frame(verb, self.participant(rng, self.subjects[verb]), self.participant(rng, self.objects[verb]))
        if rng.random() < 0.35:
            frame = self.with_place(rng, frame)
        return replace(
            frame,
            adverb=self.adverbs[verb].draw(rng) if rng.random() < 0.35 else None,
            negated=rng.random() < 0.2,
            passive=rng.random() < 0.2,
        )

    def core(self, rng: random.Random) -> Frame:
        """Draw an event without trimmings: two singular participants, active, affirmative."""
        verb = self.verbs.draw(rng)
        return Frame(verb, Phrase(self.subjects[verb].draw(rng)), Phrase(self.objects[verb].draw(rng)))

    def verbs_for(self, subject: str | None = None, patient: str | None = None) -> Distribution:
        """Which verbs are likely for a given agent and (or) patient; at least one verb must admit them."""
        return Distribution({verb: weight for verb in VERBS if (weight := self._fit(verb, subject, patient)) > 0})

    def participant(self, rng: random.Random, nouns: Distribution) -> Phrase:
        """Draw a noun with adjective and number; names have neither."""
        noun = nouns.draw(rng)
        if noun in ENTITY:
            return Phrase(noun)
        adjective = self.adjectives[noun].draw(rng) if rng.random() < 0.4 else None
        plural = rng.random() < 0.25
        numeral = rng.choice(NUMERALS) if plural and rng.random() < 0.4 else None
        return Phrase(noun, adjective, numeral, plural)

    def _fit(self, verb: str, subject: str | None, patient: str | None) -> float:
        fit = self.verbs.probability(verb)
        fit *= self.subjects[verb].probability(subject) if subject else 1.0
        return fit * (self.objects[verb].probability(patient) if patient else 1.0)

    def with_place(self, rng: random.Random, frame: Frame, place: str | None = None) -> Frame:
        """Let the event happen at ``place`` (drawn if not given)."""
        place = place or self.places[frame.verb].draw(rng)
        return replace(frame, place=place, preposition=self.prepositions[place].draw(rng))


def fingerprint(frame: Frame) -> Frame:
    """The event that a frame is about, whichever voice it is told in."""
    return replace(frame, passive=False)


def _members(classes: Iterable[str], *, names: bool) -> list[str]:
    tables = (NOUNS, NAMES) if names else (NOUNS,)
    return [noun for kind in classes for table in tables for noun in table.get(kind, ())]


def _preferences(rng: random.Random, items: Sequence[str], spread: float = PREFERENCE_SPREAD) -> Distribution:
    """Zipf over a random ranking, times a log-normal factor per item."""
    ranks = rng.sample(range(1, len(items) + 1), len(items))
    return Distribution({x: math.exp(rng.gauss(0.0, spread)) / rank for x, rank in zip(items, ranks, strict=True)})
