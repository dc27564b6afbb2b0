"""Gold that training lacks, and training that has one gold only: named, counted, and never taken for knowledge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from models_made import features_of
from seqeval.metrics import f1_score

from dist_stilts.families.kinds import family_of
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.spec import (
    Answer,
    MultiLabelRow,
    PairRow,
    RegressionRow,
    Row,
    SpanRow,
    TaggedRow,
    TaskSpec,
)

XNLI = get_task("xnli")
CHUNKS = replace(get_task("panx"), labels=("B-LOC", "B-PER", "O"))
ABOUT = replace(XNLI, family="multilabel", labels=("cats", "dogs"), metric="f1")
SIMILAR = replace(XNLI, family="regression", labels=(), metric="pearson")
ANSWERS = get_task("squad_v2")


def tagged(*sentences: tuple[str, ...]) -> list[Row]:
    return [TaggedRow(str(n), str(n), ("cat",) * len(tags), tags) for n, tags in enumerate(sentences)]


def pairs(*labels: str) -> list[Row]:
    return [PairRow(str(n), str(n), "the cat", "a lamp", label) for n, label in enumerate(labels)]


def sets(*labels: tuple[str, ...]) -> list[Row]:
    return [MultiLabelRow(str(n), str(n), "the cat", "", given) for n, given in enumerate(labels)]


def numbers(*values: float) -> list[Row]:
    return [RegressionRow(str(n), str(n), "the cat", "", value) for n, value in enumerate(values)]


def questions(*answers: tuple[Answer, ...]) -> list[Row]:
    return [SpanRow(str(n), str(n), "who", "the cat", given) for n, given in enumerate(answers)]


def test_spans_of_tags_that_training_lacks_are_those_of_the_gold_as_it_is_written(tokenizer: Any) -> None:
    rows = tagged(("B-PER", "I-PER", "O"), ("B-LOC", "I-LOC"), ("O", "B-LOC"))
    gold = [list(row.tags or ()) for row in rows if isinstance(row, TaggedRow)]
    predicted = [["B-PER", "O", "O"], ["B-LOC", "O"], ["O", "B-LOC"]]
    ids = np.array([CHUNKS.labels.index(tag) for sentence in predicted for tag in sentence])
    score = family_of(CHUNKS).score(CHUNKS, "en", features_of(CHUNKS, rows, tokenizer), ids, lambda: rows)
    assert score.values["f1"] == pytest.approx(f1_score(gold, predicted)) == pytest.approx(1 / 3)
    assert score.values["accuracy"] == pytest.approx(5 / 7)
    assert (score.unseen, score.count) == (2, 7)


@pytest.mark.parametrize(
    ("spec", "rows", "predicted"),
    [(XNLI, pairs("neutral", "Neutral"), [1, 1]), (ABOUT, sets(("cats",), ("birds", "fish")), [[1, 0], [0, 0]])],
    ids=["sequence", "multilabel"],
)
def test_labels_that_training_lacks_are_counted_and_wrong(
    spec: TaskSpec, rows: list[Row], predicted: Any, tokenizer: Any
) -> None:
    score = family_of(spec).score(spec, "en", features_of(spec, rows, tokenizer), np.array(predicted), list)
    assert score.unseen == {"sequence": 1, "multilabel": 2}[spec.family]
    assert score.values[spec.metric] != 1.0


@pytest.mark.parametrize(
    ("spec", "rows", "counts"),
    [
        (XNLI, pairs("neutral", "neutral", "Neutral"), {"contradiction": 0, "entailment": 0, "neutral": 2}),
        (CHUNKS, tagged(("O", "B-PER"), ("O", "I-PER")), {"B-LOC": 0, "B-PER": 1, "O": 2}),
        (ABOUT, sets(("cats",), ("cats", "birds"), ()), {"cats": 2, "dogs": 0}),
        (SIMILAR, numbers(1, 2), {}),
    ],
    ids=lambda value: getattr(value, "family", ""),
)
def test_classes_are_counted(spec: TaskSpec, rows: list[Row], counts: dict[str, int], tokenizer: Any) -> None:
    assert family_of(spec).classes(spec, features_of(spec, rows, tokenizer)) == counts


@pytest.mark.parametrize(
    ("spec", "rows", "said"),
    [
        (XNLI, pairs("neutral", "neutral"), "the only label of its training rows is 'neutral'"),
        (XNLI, pairs("neutral", "entailment"), None),
        (CHUNKS, tagged(("O", "O"), ("O",)), "the only tag of its training rows is 'O'"),
        (CHUNKS, tagged(("O", "O"), ("B-PER",)), None),
        (ABOUT, sets(("cats",), ("cats",)), "all of its training rows have the same labels: cats"),
        (ABOUT, sets((), ()), "all of its training rows have the same labels: none"),
        (ABOUT, sets(("cats",), ()), None),
        (SIMILAR, numbers(3, 3), "the number of all its training rows is 3"),
        (SIMILAR, numbers(3, 4), None),
        (ANSWERS, questions((), ()), "no answer stands in a window of its training rows"),
        (ANSWERS, questions((), (Answer("cat", 4),)), None),
    ],
)
def test_rows_that_are_all_alike_teach_nothing(
    spec: TaskSpec, rows: list[Row], said: str | None, tokenizer: Any
) -> None:
    features = features_of(spec, rows, tokenizer)
    assert family_of(spec).alike(spec, features, np.arange(len(features))) == said
