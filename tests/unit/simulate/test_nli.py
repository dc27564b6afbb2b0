"""The labels follow from the logic, and the hypothesis alone does not tell them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest

from dist_stilts.simulate import Language
from dist_stilts.simulate.frames import ConceptWorld, Frame, Phrase, fingerprint
from dist_stilts.simulate.grammar import sentence
from dist_stilts.simulate.nli import LABELS, Item, items, relation


@pytest.fixture(scope="module")
def drawn(concepts: ConceptWorld) -> list[Item]:
    return list(islice(items(concepts, random.Random(0)), 1100))


def test_every_label_follows_from_the_facts_and_no_event_is_the_premise_of_two_items(drawn: list[Item]) -> None:
    assert len({fingerprint(item.premise) for item in drawn}) == len(drawn)
    for item in drawn:
        assert {label: relation(item.premise, item.hypotheses[label]) for label in LABELS} == {x: x for x in LABELS}


PREMISE = Frame("bought", Phrase("king", "old"), Phrase("boat"), "near", "river")


@pytest.mark.parametrize(
    ("hypothesis", "label"),
    [
        (PREMISE, "entailment"),
        (replace(PREMISE, passive=True), "entailment"),
        (replace(PREMISE, place=None, preposition=None, subject=Phrase("person")), "entailment"),
        (replace(PREMISE, verb="sold"), "contradiction"),
        (replace(PREMISE, subject=Phrase("king", "new")), "contradiction"),
        (replace(PREMISE, place="park"), "contradiction"),
        (replace(PREMISE, verb="loved"), "neutral"),
        (replace(PREMISE, adverb="twice"), "neutral"),
        (replace(PREMISE, verb="sold", adverb="twice"), "neutral"),
        (replace(PREMISE, object=Phrase("cart")), "neutral"),
        (replace(PREMISE, subject=Phrase("king", "red")), "neutral"),
    ],
)
def test_the_logic_on_hand_made_pairs(hypothesis: Frame, label: str) -> None:
    assert relation(PREMISE, hypothesis) == label
    general = replace(PREMISE, subject=Phrase("person"), place=None, preposition=None)
    assert relation(general, replace(general, subject=Phrase("king"))) == "neutral", "a hypernym entails no hyponym"


def test_form_and_verbs_have_one_distribution_for_all_labels(drawn: list[Item], tongues: dict[str, Language]) -> None:
    for measure in (
        lambda frame: len(sentence(frame, tongues["en"]).split()),
        lambda frame: frame.passive,
        lambda frame: sum(x is not None for x in (frame.place, frame.adverb, frame.subject.adjective)),
    ):
        means = [np.mean([measure(item.hypotheses[label]) for item in drawn]) for label in LABELS]
        assert max(means) - min(means) < 0.06
    counts = {label: Counter(item.hypotheses[label].verb for item in drawn) for label in LABELS}
    for verb in counts["entailment"]:
        seen = [counts[label][verb] for label in LABELS]
        assert max(seen) - min(seen) < 4.5 * (max(seen) + min(seen)) ** 0.5


@pytest.mark.parametrize("leak", [False, True])
def test_a_classifier_of_the_hypothesis_alone_stays_near_chance_unless_there_is_a_leak(
    drawn: list[Item], tongues: dict[str, Language], leak: bool
) -> None:
    rows = []
    for item in drawn:
        for y, label in enumerate(LABELS):
            frame = item.hypotheses[label]
            frame = replace(frame, negated=label == "contradiction") if leak else frame
            rows.append((_features(frame, tongues["en"]), y))
    accuracy = _held_out_accuracy(rows[:2400], rows[2400:])
    assert accuracy > 0.60 if leak else accuracy < 0.40


def _features(frame: Frame, english: Language) -> list[str]:
    words = sentence(frame, english).split()
    return [*words, *(" ".join(pair) for pair in pairwise(words)), f"length {len(words)}"]


def _held_out_accuracy(train: Sequence[tuple[list[str], int]], test: Sequence[tuple[list[str], int]]) -> float:
    """Softmax regression on binary features, by gradient descent with momentum."""
    index = {feature: i for i, feature in enumerate(dict.fromkeys(f for features, _ in train for f in features))}

    def design(rows: Sequence[tuple[list[str], int]]) -> np.ndarray:
        matrix = np.zeros((len(rows), len(index)), dtype=np.float32)
        for row, (features, _) in enumerate(rows):
            matrix[row, [index[f] for f in features if f in index]] = 1
        return matrix

    x, gold = design(train), np.eye(3, dtype=np.float32)[[label for _, label in train]]
    weights = np.zeros((len(index), 3), dtype=np.float32)
    velocity = np.zeros_like(weights)
    for _ in range(100):
        scores = np.exp(x @ weights)
        velocity = 0.9 * velocity - x.T @ (scores / scores.sum(axis=1, keepdims=True) - gold) / len(x)
        weights += 0.3 * velocity
    return float(np.mean((design(test) @ weights).argmax(axis=1) == [label for _, label in test]))
