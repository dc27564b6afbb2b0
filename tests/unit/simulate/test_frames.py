from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from dist_stilts.simulate import frames
from dist_stilts.simulate.frames import ADJECTIVES, OPPOSITE, VERBS, ConceptWorld, Distribution, fingerprint


def test_opposites_are_mutual_and_of_one_kind() -> None:
    assert all(OPPOSITE[OPPOSITE[word]] == word for word in OPPOSITE)
    assert all(frames.ADJECTIVE_KIND[a] == frames.ADJECTIVE_KIND[OPPOSITE[a]] for a in ADJECTIVES if a in OPPOSITE)
    assert set(VERBS) <= set(OPPOSITE)


def test_events_respect_the_selectional_classes_and_preferences_are_steep(concepts: ConceptWorld) -> None:
    """So that words can be told apart by their company."""
    top = [max(concepts.objects[verb].probabilities.values()) for verb in VERBS]
    assert sum(top) / len(top) > 3 / min(len(concepts.objects[verb].items) for verb in VERBS)
    rng = random.Random(0)
    for _ in range(500):
        event = concepts.event(rng)
        assert frames.HYPERNYM[event.subject.noun] in frames.SUBJECT_CLASSES[event.verb]
        assert frames.HYPERNYM[event.object.noun] in frames.OBJECT_CLASSES[event.verb]
        assert event.subject.noun not in frames.ENTITY or event.subject.adjective is None
        assert (event.place is None) == (event.preposition is None)


def test_the_two_places_of_a_drawn_pair_are_exchangeable() -> None:
    skewed = Distribution({"a": 8.0, "b": 2.0, "c": 1.0})
    rng = random.Random(0)
    pairs = [skewed.pair(rng) for _ in range(20_000)]
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    assert all(a != b for a, b in pairs)
    assert all(first[item] == pytest.approx(second[item], rel=0.05) for item in "abc")


def test_another_seed_is_another_world_and_voice_is_no_part_of_an_event(concepts: ConceptWorld) -> None:
    assert ConceptWorld(1).objects["bought"].probabilities != concepts.objects["bought"].probabilities
    assert ConceptWorld(0).objects["bought"].probabilities == concepts.objects["bought"].probabilities
    event = concepts.event(random.Random(0))
    assert fingerprint(replace(event, passive=True)) == fingerprint(replace(event, passive=False))
