"""What is said of a row, by kind of task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dist_stilts.apply.answers import best_answers
from dist_stilts.apply.predictions import Shape, Wish, our_names
from dist_stilts.families.answers import rank
from dist_stilts.tasks.spec import ChoiceRow, PairRow, SpanRow, TaggedRow

NAMES = "1", "1"
TEXT = PairRow(*NAMES, "a", "", None)
TAGGED = TaggedRow(*NAMES, ("Rom", "ist"), None)
CHOICE = ChoiceRow(*NAMES, "p", ("x", "y"), None)
SPAN = SpanRow(*NAMES, "where", "in Rome now", None)
LABELS = ("no", "yes", "well")
LOGITS = np.log(np.array([0.2, 0.7, 0.1]))
WINDOW = np.array([[-2.0, 3, 8, 5.0, 2, 8, 4.0, 0, 0, -np.inf]])
"""No answer, 'Rome', ' Rome', and one that is none."""
NOTHING = np.array([[1.5, 0, 0, -np.inf]])
BEST = ["yes", "well"]
ALL = {"no": 0.2, "yes": 0.7, "well": 0.1}


@pytest.mark.parametrize(
    ("family", "row", "found", "wish", "expected"),
    [
        ("sequence", TEXT, LOGITS, Wish(), {"label": "yes", "probability": 0.7, "probabilities": ALL}),
        (
            "sequence",
            TEXT,
            LOGITS,
            Wish(top=2, logits=True),
            {
                "label": "yes",
                "probability": 0.7,
                "probabilities": {"yes": 0.7, "no": 0.2},
                "logits": {"no": -1.60944, "yes": -0.356675, "well": -2.30259},
            },
        ),
        ("regression", TEXT, np.array([1.23456789]), Wish(logits=True), {"value": 1.23457}),
        (
            "multilabel",
            TEXT,
            np.array([0.0, 2.0, -2.0]),
            Wish(),
            {"labels": ["no", "yes"], "probabilities": {"no": 0.5, "yes": 0.880797, "well": 0.119203}},
        ),
        (
            "multilabel",
            TEXT,
            np.array([0.0, 2.0, -2.0]),
            Wish(threshold=0.9, top=1),
            {"labels": [], "probabilities": {"yes": 0.880797}},
        ),
        (
            "choice",
            CHOICE,
            np.array([0.0, np.log(3)]),
            Wish(),
            {"choice": 1, "choice_text": "y", "probability": 0.75, "probabilities": [0.25, 0.75]},
        ),
        ("token", TAGGED, np.stack([LOGITS, -LOGITS]), Wish(), {"tags": BEST, "probabilities": [0.7, 0.608696]}),
        (
            "token",
            TAGGED,
            np.stack([LOGITS, -LOGITS]),
            Wish(top=1),
            {"tags": ["yes", "well"], "probabilities": [{"yes": 0.7}, {"well": 0.608696}]},
        ),
        ("token", TaggedRow(*NAMES, (), None), np.empty((0, 3)), Wish(), {"tags": [], "probabilities": []}),
        ("span", SPAN, WINDOW, Wish(), {"answer": "Rome", "score": 5.0, "start": 3, "end": 7}),
        ("span", SPAN, NOTHING, Wish(), {"answer": "", "score": 1.5, "start": None, "end": None}),
    ],
)
def test_what_is_said_of_a_row(family: str, row: Any, found: Any, wish: Wish, expected: dict[str, Any]) -> None:
    shape = Shape(family, LABELS if family != "regression" else ("LABEL_0",), wish)
    made = shape.row(row, found)
    assert made == expected
    assert list(made) == shape.names(), "the columns of a table stand in this order"
    types = shape.types()
    table = pa.Table.from_pylist([made], pa.schema(list(types.items())))
    assert list(types) == shape.names()
    assert all(table.to_pylist()[0][name] is not None for name in made if made[name] is not None)


def test_probabilities_come_best_first_where_only_some_are_wanted() -> None:
    assert list(Shape("sequence", LABELS, Wish(top=3)).row(TEXT, LOGITS)["probabilities"]) == ["yes", "no", "well"]


def test_words_are_given_where_the_input_has_text() -> None:
    assert Shape("token", LABELS, Wish(), words=True).row(TAGGED, np.stack([LOGITS, LOGITS]))["words"] == ["Rom", "ist"]


def test_no_column_of_the_input_is_lost() -> None:
    taken = ["text", "label", "predicted_label", "probability"]
    names = {
        "label": "predicted_predicted_label",
        "probability": "predicted_probability",
        "probabilities": "probabilities",
    }
    assert our_names(list(names), taken) == names


@pytest.mark.parametrize("no_answer", [False, True])
def test_answers_are_those_that_evaluation_ranks_with_their_places(no_answer: bool) -> None:
    rng = np.random.default_rng(0)
    context = "  ein Satz, und noch ein Satz "
    for _ in range(200):
        start = rng.integers(0, len(context) - 1, (3, 5))
        spans = np.stack([start, start + rng.integers(1, 9, (3, 5)), rng.normal(size=(3, 5)).round(1)], 2)
        spans[rng.random((3, 5)) < 0.2, 2] = -np.inf
        windows = np.concatenate([rng.normal(size=(3, 1)), spans.reshape(3, -1)], axis=1)
        found = best_answers(context, windows, no_answer, 5)
        assert [(answer.text, answer.score) for answer in found] == rank(context, windows, no_answer, 5)
        assert all(context[answer.start : answer.end] == answer.text for answer in found if answer.text)
