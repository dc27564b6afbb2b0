"""Scores of predictions that are any number of labels per row: F1 over labels, and whole rows that are right."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dist_stilts.scoring.classify import DEGENERATE_SHARE, FEWEST_ROWS


def multilabel_scores(pred: ArrayLike, gold: ArrayLike) -> dict[str, float]:
    """Score yes and no for each row and label, as scikit-learn's ``f1_score`` and ``accuracy_score`` do.

    Args:
        pred, gold: ``[rows, labels]``, 1 where a row has a label.

    Returns:
        ``subset_accuracy``: share of rows whose labels are all right; ``macro_f1``: mean over labels of the F1 of each,
        0 for one that neither side has; ``f1``: micro-averaged, over all labels of all rows, 0 if there is none.

    Raises:
        ValueError: no rows, or two sides of different shape.
    """
    predicted, expected = np.asarray(pred, bool), np.asarray(gold, bool)
    if predicted.shape != expected.shape or predicted.ndim != 2 or not len(expected):
        raise ValueError(f"cannot compare {predicted.shape} predictions with {expected.shape} gold labels")
    right, either = (predicted & expected).sum(0), predicted.sum(0) + expected.sum(0)
    return {
        "subset_accuracy": float((predicted == expected).all(1).mean()),
        "macro_f1": float(_f1(right, either).mean()),
        "f1": float(_f1(right.sum(), either.sum())),
    }


def _f1(right: ArrayLike, either: ArrayLike) -> NDArray[np.float64]:
    return 2 * np.asarray(right) / np.maximum(either, 1)


def one_answer_reason(pred: ArrayLike) -> str | None:
    """Say that a model has collapsed: more than 95 % of the rows are given the same labels, or none.

    Args:
        pred: ``[rows, labels]``, 1 where a row is given a label.

    Returns:
        The reason, or ``None`` if the predictions look alive or are fewer than 20.
    """
    predicted = np.asarray(pred, bool)
    if len(predicted) < FEWEST_ROWS:
        return None
    sets, counts = np.unique(predicted, axis=0, return_counts=True)
    share = counts.max() / len(predicted)
    if share <= DEGENERATE_SHARE:
        return None
    labels = ", ".join(map(str, np.flatnonzero(sets[counts.argmax()]))) or "none"
    return f"labels {labels} are {share:.1%} of {len(predicted)} predictions"
