"""Multiple choice about what the world is like, in CommonsenseQA's schema.

"the hot what was bought by the person ?" is answered by the noun that fits the verb and the adjective best. Every noun
is made to be a wrong choice about four times as often as a right one, so that a choice alone does not give itself away.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from dist_stilts.simulate.frames import ENTITY, OBJECT_CLASSES, VERBS, ConceptWorld, Distribution, Frame, Phrase
from dist_stilts.simulate.grammar import sentence
from dist_stilts.simulate.languages import Language

LETTERS = "ABCDE"
DISTRACTOR_RATIO = 8.0
"""The right choice fits its question at least this many times better than any other."""
MOST_OWED = 4
"""A noun that lacks more appearances as a wrong choice than this is not asked for before it has had some of them."""
ROLES = ("subject", "object", "place")


@dataclass(frozen=True, slots=True)
class Question:
    """Which noun plays ``role`` in an event of ``verb``, given perhaps its adjective?"""

    verb: str
    role: str
    adjective: str | None

    @property
    def shape(self) -> tuple[str, bool]:
        """Questions of one shape have the same stock of choices."""
        return self.role, self.adjective is not None


def records(world: ConceptWorld, rng: random.Random, english: Language, prefix: str) -> Iterator[dict[str, Any]]:
    """Endless questions with five choices each."""
    owed: dict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    number = 0
    while True:
        question, answer = _draw(world, rng, rng.choice(ROLES))
        wrong = _wrong_choices(world, rng, question, answer, owed[question.shape])
        if len(wrong) < len(LETTERS) - 1 or owed[question.shape][answer] > MOST_OWED:
            continue
        owed[question.shape].update({answer: len(wrong)})
        owed[question.shape].subtract(wrong)
        right = rng.randrange(len(LETTERS))
        stem = sentence(replace(_asked(question), passive=rng.random() < 0.3), english)
        choices = [*wrong[:right], answer, *wrong[right:]]
        yield _record(f"{prefix}-{number:05d}", question.verb, stem, choices, LETTERS[right])
        number += 1


def fit(world: ConceptWorld, question: Question, noun: str) -> float:
    """How well ``noun`` answers: the probability of the noun for the verb times that of the adjective for the noun."""
    if question.adjective and noun in ENTITY:
        return 0.0
    likely = world.adjectives[noun].probability(question.adjective) if question.adjective else 1.0
    return _nouns(world, question.role, question.verb).probability(noun) * likely


def _nouns(world: ConceptWorld, role: str, verb: str) -> Distribution:
    return {"subject": world.subjects, "object": world.objects, "place": world.places}[role][verb]


def _draw(world: ConceptWorld, rng: random.Random, role: str) -> tuple[Question, str]:
    """A question and a likely answer."""
    verb = world.verbs.draw(rng)
    answer = _nouns(world, role, verb).draw(rng)
    described = role != "place" and answer not in ENTITY and rng.random() < 0.5
    return Question(verb, role, world.adjectives[answer].draw(rng) if described else None), answer


def _wrong_choices(
    world: ConceptWorld, rng: random.Random, question: Question, answer: str, owed: Counter[str]
) -> list[str]:
    """Four nouns that fit clearly worse than the answer, those first that are ``owed`` most appearances as wrong."""
    limit = fit(world, question, answer) / DISTRACTOR_RATIO
    stock = {noun: None for verb in VERBS for noun in _nouns(world, question.role, verb).items}
    worse = [
        noun for noun in stock if fit(world, question, noun) < limit and not (question.adjective and noun in ENTITY)
    ]
    worse.sort(key=lambda noun: -owed[noun] - 4 * rng.random())
    return worse[: len(LETTERS) - 1]


def _asked(question: Question) -> Frame:
    """The event asked about; who else takes part stays general."""
    frame = Frame(question.verb, Phrase("person"), Phrase(OBJECT_CLASSES[question.verb][0]))
    if question.role == "place":
        return replace(frame, place="where")
    if question.role == "subject":
        return replace(frame, subject=Phrase("who", question.adjective))
    return replace(frame, object=Phrase("what", question.adjective))


def _record(id_: str, concept: str, stem: str, choices: list[str], answer: str) -> dict[str, Any]:
    labelled = [{"label": letter, "text": text} for letter, text in zip(LETTERS, choices, strict=True)]
    return {"answerKey": answer, "id": id_,
            "question": {"question_concept": concept, "choices": labelled, "stem": stem}}  # fmt: skip
