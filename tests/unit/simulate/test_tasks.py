from __future__ import annotations

import random

from dist_stilts.simulate import Language
from dist_stilts.simulate.frames import ENTITY, ConceptWorld
from dist_stilts.simulate.grammar import realise
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


def test_every_answer_stands_where_it_is_said_to(concepts: ConceptWorld, tongues: dict[str, Language]) -> None:
    drawn = list(passages(concepts, random.Random(0), 60))
    for language in tongues.values():
        for article in squad(drawn, language, "t")["data"]:
            paragraph = article["paragraphs"][0]
            for question in paragraph["qas"]:
                answer = question["answers"][0]
                assert answer["text"]
                assert not set(answer["text"]) & {".", "?"}
                start = answer["answer_start"]
                assert paragraph["context"][start : start + len(answer["text"])] == answer["text"]


def test_answers_are_the_asked_participants(concepts: ConceptWorld, tongues: dict[str, Language]) -> None:
    drawn = list(passages(concepts, random.Random(0), 60))
    for passage, article in zip(drawn, squad(drawn, tongues["en"], "t")["data"], strict=True):
        for (event, role), question in zip(passage.questions, article["paragraphs"][0]["qas"], strict=True):
            frame = passage.events[event]
            noun = frame.place if role == "place" else getattr(frame, role).noun
            assert str(noun) in question["answers"][0]["text"]


def test_question_ids_are_shared_by_all_languages_and_unique(
    concepts: ConceptWorld, tongues: dict[str, Language]
) -> None:
    drawn = list(passages(concepts, random.Random(0), 20))
    found = set()
    for language in tongues.values():
        paragraphs = [article["paragraphs"][0] for article in squad(drawn, language, "t")["data"]]
        found.add(tuple(question["id"] for paragraph in paragraphs for question in paragraph["qas"]))
    (ids,) = found
    assert len(set(ids)) == len(ids)
