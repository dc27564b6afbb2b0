"""What scoring one task in one language gives, and how labelled predictions become it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dist_stilts.data.features import Features
from dist_stilts.errors import UserError
from dist_stilts.scoring.classify import accuracy, degenerate_reason
from dist_stilts.scoring.tagging import span_f1, token_accuracy
from dist_stilts.tasks.spec import TaskSpec


@dataclass(frozen=True)
class Score:
    """Scores of one task, split and language.

    Attributes:
        values: metric name to score, in 0..1 (a threshold: as it is).
        predictions: lines of the prediction file, in XTREME's layout.
        count: rows, words or gold pairs that the scores are about.
        degenerate: why the model has collapsed, if it has.
    """

    values: dict[str, float]
    predictions: list[str]
    count: int
    degenerate: str | None


def labelled_scores(spec: TaskSpec, features: Features, predicted: np.ndarray) -> Score:
    """Score predictions (see :func:`dist_stilts.evaluate.predict.predict`) against the features' gold labels."""
    gold = np.concatenate([labels[labels >= 0] for labels in features.labels])
    if len(gold) != len(predicted):
        raise UserError(
            f"{spec.name}: {len(predicted)} predictions but {len(gold)} gold labels",
            fix="Score a split with gold labels",
        )
    if spec.family != "token":
        names = spec.labels or tuple(str(choice) for choice in range(int(max(gold.max(), predicted.max())) + 1))
        lines = [names[label] for label in predicted]
        return Score(
            {"accuracy": accuracy(predicted, gold)}, lines, len(gold), degenerate_reason(predicted, len(names))
        )
    # A long sentence is several rows of one example: its words follow each other, so cut where the example changes.
    words = np.array([int((labels >= 0).sum()) for labels in features.labels])
    ends = np.cumsum(np.bincount(features.example, weights=words).astype(np.int64))[:-1]
    tags = [[spec.labels[label] for label in part] for part in np.split(predicted, ends)]
    gold_tags = [[spec.labels[label] for label in part] for part in np.split(gold, ends)]
    lines = [line for sentence in tags for line in [*sentence, ""]][:-1]
    values = {"f1": span_f1(tags, gold_tags), "accuracy": token_accuracy(tags, gold_tags)}
    return Score(values, lines, len(gold), degenerate_reason(predicted, len(spec.labels)))
