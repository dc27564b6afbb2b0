"""Scores of predictions that are numbers: mean squared error, and the correlations that GLUE reports for STS-B."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dist_stilts.scoring.classify import FEWEST_ROWS

CONSTANT = 0.01
"""Of gold's standard deviation: predictions that spread less say the same of every row."""


def number_scores(pred: ArrayLike, gold: ArrayLike) -> dict[str, float]:
    """``mse``, in the square of gold's unit, and ``spearman`` and ``pearson``, -1..1.

    A correlation with a constant, or of fewer than two rows, is not defined; it is 0 here, as it orders nothing.

    Raises:
        ValueError: no rows, or not as many predictions as gold numbers.
    """
    from scipy.stats import pearsonr, spearmanr

    predicted, expected = np.asarray(pred, np.float64), np.asarray(gold, np.float64)
    if predicted.shape != expected.shape or predicted.ndim != 1 or not len(expected):
        raise ValueError(f"cannot compare {predicted.shape} predictions with {expected.shape} gold numbers")
    scores = {"mse": float(np.mean((predicted - expected) ** 2)), "spearman": 0.0, "pearson": 0.0}
    if np.ptp(predicted) and np.ptp(expected):
        scores["spearman"] = float(spearmanr(predicted, expected).statistic)
        scores["pearson"] = float(pearsonr(predicted, expected).statistic)
    return scores


def constant_reason(pred: ArrayLike, gold: ArrayLike) -> str | None:
    """Say that a model has collapsed to one number: its predictions hardly differ from row to row.

    Args:
        gold: numbers to hold the spread against, those of the rows or, where gold is withheld, none: then the spread is
            held against the size of the predictions themselves.

    Returns:
        The reason, or ``None`` if the predictions look alive or are fewer than 20.
    """
    predicted, expected = np.asarray(pred, np.float64), np.asarray(gold, np.float64)
    if len(predicted) < FEWEST_ROWS or (len(expected) and not np.ptp(expected)):
        return None
    spread, usual = predicted.std(), _usual(predicted, expected)
    if spread > CONSTANT * usual:
        return None
    return f"all {len(predicted)} predictions are near {predicted.mean():.4g}: they spread by {spread:.2g}"


def _usual(predicted: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    return float(expected.std() if len(expected) else np.abs(predicted).mean())
