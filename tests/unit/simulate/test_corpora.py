from __future__ import annotations

import random

import pytest

from dist_stilts.simulate import Language
from dist_stilts.simulate.corpora import SWITCH_RATE, comparable, distinct_events, documents
from dist_stilts.simulate.frames import ConceptWorld, fingerprint
from dist_stilts.simulate.lexicon import CONTENT


def test_documents_switch_to_english_at_the_stated_rate(concepts: ConceptWorld, tongues: dict[str, Language]) -> None:
    for code in ("qab", "qaj"):
        language = tongues[code]
        lines = documents(concepts, language, random.Random(0), 2000)
        words = [word for line in lines for word in line.split()]
        endings = language.lexicon.endings()
        english = {concept + ending for concept in CONTENT for ending in endings}
        native = {language.lexicon.words[concept] + ending for concept in CONTENT for ending in endings}
        switched, kept = sum(word in english for word in words), sum(word in native for word in words)
        assert switched / (switched + kept) == pytest.approx(SWITCH_RATE, abs=0.02)
    lines = documents(concepts, tongues["qac"], random.Random(0), 500, switch_rate=0.0)
    assert not set(CONTENT) & {word for line in lines for word in line.split()}


def test_events_are_distinct_whatever_the_voice(concepts: ConceptWorld) -> None:
    events = distinct_events(concepts, random.Random(0), 400)
    assert len({fingerprint(event) for event in events}) == 400


def test_gold_pairs_are_all_and_only_the_translations(concepts: ConceptWorld, tongues: dict[str, Language]) -> None:
    """English paired with itself: translations are then equal strings."""
    english = tongues["en"]
    split = comparable(concepts, (english, english), random.Random(0), (40, 50, 12))
    source = dict(line.split("\t") for line in split.source)
    target = dict(line.split("\t") for line in split.english)
    gold = {tuple(line.split("\t")) for line in split.gold}
    assert (len(source), len(target), len(gold)) == (40, 50, 12)
    assert gold == {(a, b) for a, text in source.items() for b, other in target.items() if text == other}
