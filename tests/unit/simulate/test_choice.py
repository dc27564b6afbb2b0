from __future__ import annotations

import random
from collections import Counter
from itertools import islice
from typing import Any

import pytest

from dist_stilts.simulate import Language
from dist_stilts.simulate.choice import DISTRACTOR_RATIO, LETTERS, Question, fit, records
from dist_stilts.simulate.frames import ADJECTIVES, ConceptWorld


@pytest.fixture(scope="module")
def questions(concepts: ConceptWorld, tongues: dict[str, Language]) -> list[dict[str, Any]]:
    return list(islice(records(concepts, random.Random(0), tongues["en"], "t"), 1500))


def test_every_question_has_the_original_schema_and_answers_stand_anywhere(questions: list[dict[str, Any]]) -> None:
    assert len({row["id"] for row in questions}) == len(questions)
    for row in questions:
        assert [choice["label"] for choice in row["question"]["choices"]] == list(LETTERS)
        assert len({choice["text"] for choice in row["question"]["choices"]}) == 5
        assert row["answerKey"] in LETTERS
        assert row["question"]["stem"].endswith("?")
    assert all(230 < count < 370 for count in Counter(row["answerKey"] for row in questions).values())


def test_the_world_knows_the_answer(questions: list[dict[str, Any]], concepts: ConceptWorld) -> None:
    for row in questions:
        words = row["question"]["stem"].split()
        role = "place" if "where" in words else "subject" if "who" in words else "object"
        question = Question(
            row["question"]["question_concept"], role, next((word for word in words if word in ADJECTIVES), None)
        )
        fits = {choice["label"]: fit(concepts, question, choice["text"]) for choice in row["question"]["choices"]}
        right = fits.pop(row["answerKey"])
        assert right > DISTRACTOR_RATIO * max(fits.values())


def test_the_choices_alone_do_not_tell_the_answer(questions: list[dict[str, Any]]) -> None:
    right, seen = Counter[str](), Counter[str]()
    for row in questions[:1000]:
        for choice in row["question"]["choices"]:
            seen[choice["text"]] += 1
            right[choice["text"]] += choice["label"] == row["answerKey"]
    guesses = [
        max(row["question"]["choices"], key=lambda choice: (right[choice["text"]] + 1) / (seen[choice["text"]] + 5))
        for row in questions[1000:]
    ]
    assert sum(g["label"] == row["answerKey"] for g, row in zip(guesses, questions[1000:], strict=True)) / 500 < 0.26
