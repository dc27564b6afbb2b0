"""What scoring one task in one language gives, and how labelled predictions become it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from dist_stilts.data.features import Features
from dist_stilts.errors import UserError
from dist_stilts.layout import OUTCOMES
from dist_stilts.scoring.classify import accuracy, binary_f1, degenerate_reason
from dist_stilts.scoring.tagging import span_f1, token_accuracy
from dist_stilts.tasks.spec import IGNORED, WITHHELD, TaskSpec

UNSEEN_TAG = "(unseen)"
"""Stands for gold tags that the training data do not have."""


@dataclass(frozen=True)
class Score:
    """Scores of one task, split and language.

    Attributes:
        values: metric name to score, in 0..1; None where gold is withheld.
        predictions: lines of the prediction file, in XTREME's layout.
        count: rows, words or gold pairs that the scores are about.
        degenerate: why the model has collapsed, if it has.
        beside: other files to write beside the predictions: suffix to content.
        health: retrieval only: what is known of the embeddings themselves.
        threshold: mining only: the margin from which pairs are kept.
    """

    values: dict[str, float | None]
    predictions: list[str]
    count: int
    degenerate: str | None
    beside: dict[str, str] = field(default_factory=dict)
    health: dict[str, float] = field(default_factory=dict)
    threshold: float | None = None


def outcomes(per_row: Iterable[float]) -> dict[str, str]:
    """The file of what each test row adds to the main score, 0 to 1: what a bootstrap over test rows draws from."""
    return {OUTCOMES: "\n".join(f"{value:.4g}" for value in per_row) + "\n"}


def labelled_scores(spec: TaskSpec, features: Features, predicted: np.ndarray) -> Score:
    """Score predictions (see :func:`dist_stilts.evaluate.predict.predict`) against the features' gold labels.

    Raises:
        UserError: some rows have gold and some do not.
    """
    gold = np.concatenate([labels[(labels != IGNORED) & (labels != WITHHELD)] for labels in features.labels])
    if len(gold) not in (0, len(predicted)):
        raise UserError(
            f"{spec.name}: {len(predicted)} predictions but {len(gold)} gold labels",
            fix="Score a split with gold labels, or with none",
        )
    if spec.family != "token":
        highest = max(gold.max(initial=0), predicted.max())
        names = spec.labels or tuple(str(choice) for choice in range(int(highest) + 1))
        lines = [names[label] for label in predicted]
        if not len(gold):
            return Score({spec.metric: None}, lines, 0, degenerate_reason(predicted, len(names)))
        beside = outcomes(predicted == gold) if spec.metric == "accuracy" else {}
        values: dict[str, float | None] = {"accuracy": accuracy(predicted, gold)}
        if spec.metric == "acc_and_f1":
            f1 = binary_f1(predicted, gold)
            values |= {"f1": f1, "acc_and_f1": (accuracy(predicted, gold) + f1) / 2}
        return Score(values, lines, len(gold), degenerate_reason(predicted, len(names)), beside)
    # A long sentence is several rows of one example: its words follow each other, so cut where the example changes.
    words = np.array([int((labels != IGNORED).sum()) for labels in features.labels])
    ends = np.cumsum(np.bincount(features.example, weights=words).astype(np.int64))[:-1]
    tags = [[spec.labels[label] for label in part] for part in np.split(predicted, ends)]
    lines = [line for sentence in tags for line in [*sentence, ""]][:-1]
    collapsed = degenerate_reason(predicted, len(spec.labels))
    if not len(gold):
        return Score({spec.metric: None}, lines, 0, collapsed)
    known = (*spec.labels, UNSEEN_TAG)  # UNSEEN is -1: the last
    gold_tags = [[known[label] for label in part] for part in np.split(gold, ends)]
    spans = {"f1": span_f1(tags, gold_tags)} if spec.metric == "f1" else {}
    return Score({**spans, "accuracy": token_accuracy(tags, gold_tags)}, lines, len(gold), collapsed)
