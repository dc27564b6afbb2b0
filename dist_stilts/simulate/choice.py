"""Multiple choice about what the world is like, in CommonsenseQA's schema.

"the hot what was bought by the person ?" is answered by the noun that fits the verb and the adjective best. The wrong
choices are right answers of other questions of the same shape, so that a choice alone does not give itself away.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from dist_stilts.simulate.frames import ENTITY, OBJECT_CLASSES, ConceptWorld, Distribution, Frame, Phrase
from dist_stilts.simulate.grammar import sentence
from dist_stilts.simulate.languages import Language

LETTERS = "ABCDE"
DISTRACTOR_RATIO = 8.0
"""The right choice fits its question at least this many times better than any other."""
ROLES = ("subject", "object", "place")
_POOL = 1000


@dataclass(frozen=True, slots=True)
class Question:
    """Which noun plays ``role`` in an event of ``verb``, given perhaps its adjective?"""

    verb: str
    role: str
    adjective: str | None

    @property
    def shape(self) -> tuple[str, bool]:
        """Questions of one shape have the same stock of answers."""
        return self.role, self.adjective is not None


def records(world: ConceptWorld, rng: random.Random, english: Language, prefix: str) -> Iterator[dict[str, Any]]:
    """Endless questions with five choices each."""
    pools = _answer_pools(world, rng)
    number = 0
    while True:
        question, answer = _draw(world, rng, rng.choice(ROLES))
        wrong = _wrong_choices(world, rng, question, answer, pools[question.shape])
        if len(wrong) == len(LETTERS) - 1:
            right = rng.randrange(len(LETTERS))
            choices = [*wrong[:right], answer, *wrong[right:]]
            stem = sentence(replace(_asked(question), passive=rng.random() < 0.3), english)
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


def _answer_pools(world: ConceptWorld, rng: random.Random) -> dict[tuple[str, bool], list[str]]:
    """Right answers by shape of question, as often as they are right."""
    pools: dict[tuple[str, bool], list[str]] = {(role, described): [] for role in ROLES for described in (False, True)}
    for role in ROLES:
        for _ in range(_POOL):
            question, answer = _draw(world, rng, role)
            pools[question.shape].append(answer)
    return pools


def _wrong_choices(
    world: ConceptWorld, rng: random.Random, question: Question, answer: str, pool: list[str]
) -> list[str]:
    """Four nouns that fit clearly worse than the answer; fewer if they cannot be found soon."""
    limit = fit(world, question, answer) / DISTRACTOR_RATIO
    worse = dict.fromkeys(noun for noun in rng.choices(pool, k=60) if fit(world, question, noun) < limit)
    return list(worse)[: len(LETTERS) - 1]


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
