from __future__ import annotations

import random
from collections import Counter
from itertools import islice
from typing import Any

import pytest

from dist_stilts.simulate import Language
from dist_stilts.simulate.choice import DISTRACTOR_RATIO, LETTERS, Question, fit, records
from dist_stilts.simulate.corpora import SWITCH_RATE, comparable, distinct_events, documents
from dist_stilts.simulate.frames import ADJECTIVES, ENTITY, ConceptWorld, fingerprint
from dist_stilts.simulate.grammar import realise
from dist_stilts.simulate.lexicon import CONTENT
from dist_stilts.simulate.tasks import entity_rows, passages, pos_rows, sentences, squad

UPOS = {"ADJ", "ADP", "ADV", "AUX", "DET", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "VERB"}


def test_tags_are_universal_and_cover_every_word(concepts: ConceptWorld, tongues: dict[str, Language]) -> None:
    for frame in sentences(concepts, random.Random(0), 100):
        for language in tongues.values():
            rows = pos_rows(frame, language)
            assert {tag for _, tag in rows} <= UPOS
            assert rows[-1][1] == "PUNCT"
            assert sum(tag == "VERB" for _, tag in rows) == 1


def test_entity_sentences_have_an_entity_and_it_is_a_name(concepts: ConceptWorld, tongues: dict[str, Language]) -> None:
    for frame in sentences(concepts, random.Random(0), 100, with_name=True):
        for language in tongues.values():
            rows = entity_rows(frame, language)
            concepts_said = [word.concept for word in realise(frame, language)]
            assert any(tag != "O" for _, tag in rows)
            for (_, tag), concept in zip(rows, concepts_said, strict=True):
                assert tag == (f"B-{ENTITY[concept]}" if concept in ENTITY else "O")


def test_every_answer_stands_where_it_is_said_to_and_is_the_asked_participant_under_an_id_of_all_languages(
    concepts: ConceptWorld, tongues: dict[str, Language]
) -> None:
    drawn = list(passages(concepts, random.Random(0), 60))
    found = set()
    for language in tongues.values():
        ids = []
        for article in squad(drawn, language, "t")["data"]:
            paragraph = article["paragraphs"][0]
            for question in paragraph["qas"]:
                ids.append(question["id"])
                answer = question["answers"][0]
                assert answer["text"]
                assert not set(answer["text"]) & {".", "?"}
                start = answer["answer_start"]
                assert paragraph["context"][start : start + len(answer["text"])] == answer["text"]
        found.add(tuple(ids))
    for passage, article in zip(drawn, squad(drawn, tongues["en"], "t")["data"], strict=True):
        for (event, role), question in zip(passage.questions, article["paragraphs"][0]["qas"], strict=True):
            frame = passage.events[event]
            noun = frame.place if role == "place" else getattr(frame, role).noun
            assert str(noun) in question["answers"][0]["text"]
    (ids,) = found
    assert len(set(ids)) == len(ids)


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


def test_events_are_distinct_and_gold_pairs_all_and_only_the_translations(
    concepts: ConceptWorld, tongues: dict[str, Language]
) -> None:
    events = distinct_events(concepts, random.Random(0), 400)
    assert len({fingerprint(event) for event in events}) == 400
    # English paired with itself: translations are then equal strings.
    english = tongues["en"]
    split = comparable(concepts, (english, english), random.Random(0), (40, 50, 12))
    source = dict(line.split("\t") for line in split.source)
    target = dict(line.split("\t") for line in split.english)
    gold = {tuple(line.split("\t")) for line in split.gold}
    assert (len(source), len(target), len(gold)) == (40, 50, 12)
    assert gold == {(a, b) for a, text in source.items() for b, other in target.items() if text == other}


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
        adjective = next((word for word in words if word in ADJECTIVES), None)
        question = Question(row["question"]["question_concept"], role, adjective)
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
