"""Tagging (parts of speech, entities) and extractive question answering, made from frames."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from dist_stilts.simulate.corpora import document
from dist_stilts.simulate.frames import ENTITY, VERBS, ConceptWorld, Frame, Phrase
from dist_stilts.simulate.grammar import Word, realise, spell
from dist_stilts.simulate.languages import Language


def sentences(world: ConceptWorld, rng: random.Random, count: int, *, with_name: bool = False) -> list[Frame]:
    """``count`` different sentences as they occur in documents; on request, only those that have a proper name."""
    found: dict[Frame, None] = {}
    while len(found) < count:
        frame = document(world, rng)[-1]
        if not with_name or ENTITY.keys() & {frame.subject.noun, frame.object.noun, frame.place}:
            found[frame] = None
    return list(found)


def pos_rows(frame: Frame, language: Language) -> list[tuple[str, str]]:
    """(token, universal part of speech) of each word."""
    words = realise(frame, language)
    return list(zip(spell(words, language), (word.tag for word in words), strict=True))


def entity_rows(frame: Frame, language: Language) -> list[tuple[str, str]]:
    """(token, BIO entity tag) of each word; all names are one word long."""
    words = realise(frame, language)
    return list(zip(spell(words, language), (_entity_tag(word) for word in words), strict=True))


def _entity_tag(word: Word) -> str:
    return f"B-{ENTITY[word.concept]}" if word.concept in ENTITY else "O"


@dataclass(frozen=True)
class Passage:
    """Three events, and questions that each ask one participant or place of one of them."""

    events: tuple[Frame, ...]
    questions: tuple[tuple[int, str], ...]
    """(event asked about, role asked for)."""


def passages(world: ConceptWorld, rng: random.Random, count: int) -> Iterator[Passage]:
    """Passages in which every verb is new, so that each question has one answer."""
    for _ in range(count):
        verbs = rng.sample(VERBS, 3)
        events = tuple(replace(world.event(rng, verb=verb), negated=False) for verb in verbs)
        asked = [
            (i, role) for i, event in enumerate(events) for role in ("subject", "object", "place") if _has(event, role)
        ]
        yield Passage(events, tuple(sorted(rng.sample(asked, 3))))


def squad(passages_: list[Passage], language: Language, prefix: str) -> dict[str, Any]:
    """SQuAD v1.1 JSON of passages in one language; ids depend on ``prefix`` and position, not on the language."""
    articles = []
    for i, passage in enumerate(passages_):
        context, spans = _context(passage, language)
        questions = [
            {
                "id": f"{prefix}-{i:04d}-{j}",
                "question": " ".join(spell(realise(_asked(passage.events[event], role), language), language)),
                "answers": [{"text": context[slice(*spans[event, role])], "answer_start": spans[event, role][0]}],
            }
            for j, (event, role) in enumerate(passage.questions)
        ]
        articles.append({"title": f"{prefix}-{i:04d}", "paragraphs": [{"context": context, "qas": questions}]})
    return {"version": "1.1", "data": articles}


def _has(event: Frame, role: str) -> bool:
    return role != "place" or event.place is not None


def _context(passage: Passage, language: Language) -> tuple[str, dict[tuple[int, str], tuple[int, int]]]:
    """The text, and the character span of every role in it."""
    texts: list[str] = []
    spans: dict[tuple[int, str], tuple[int, int]] = {}
    position = 0
    for event, frame in enumerate(passage.events):
        words = realise(frame, language)
        for word, text in zip(words, spell(words, language), strict=True):
            if word.role:
                start, _ = spans.get((event, word.role), (position, 0))
                spans[event, word.role] = (start, position + len(text))
            texts.append(text)
            position += len(text) + 1
    return " ".join(texts), spans


def _asked(event: Frame, role: str) -> Frame:
    """The event as a question."""
    if role == "place":
        return replace(event, place="where")
    return replace(event, subject=Phrase("who")) if role == "subject" else replace(event, object=Phrase("what"))
