"""Permutation tests of a distance over language labels, and Holm's correction for several of them.

A permutation test asks how often a distance handed out to the languages at random explains the values as well as the
real one; it needs no normal distribution. With covariates the residuals of the model without the distance are permuted
(Freedman & Lane 1983), which is exact up to the error of that model.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

EXACT_UP_TO = 8
"""Languages; 8! = 40,320 orders are all tried."""
TIE = 1e-9


def permutation_test(
    values: Floats, weights: Floats, distance: Floats, others: Floats, permutations: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Two-sided p value and partial correlation of a distance with one value per language.

    Args:
        values, weights, distance: [L]; others: [L, k] constant and covariates.
        permutations: random orders, where there are too many to try all; the real one is counted among them.

    Returns:
        (p, r). Nothing to explain, or nothing to explain it by: p = 1, r = 0.
    """
    root = np.sqrt(weights)
    basis = np.linalg.qr(others * root[:, None])[0]
    left = _residuals(values * root, basis)
    direction = _residuals(distance * root, basis)
    if np.linalg.norm(left) < 1e-12 or np.linalg.norm(direction) < 1e-12:
        return 1.0, 0.0
    direction = direction / np.linalg.norm(direction)
    real = float(left @ direction / np.linalg.norm(left))
    shuffled = left[_orders(len(values), permutations, rng)]
    lengths = np.linalg.norm(_residuals(shuffled, basis), axis=1)
    extreme = np.abs(shuffled @ direction) >= (abs(real) - TIE) * lengths
    if len(values) <= EXACT_UP_TO:
        return float(extreme.mean()), real
    return float((1 + extreme.sum()) / (1 + len(extreme))), real


def _residuals(values: Floats, basis: Floats) -> Floats:
    """Values [..., L] less their projection on the orthonormal columns of ``basis`` [L, k]."""
    return np.asarray(values - (values @ basis) @ basis.T)


def _orders(languages: int, permutations: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Orders of the languages [n, L]: all of them, the given one too, or random ones."""
    if languages <= EXACT_UP_TO:
        return _all_orders(languages)
    return np.argsort(rng.random((permutations, languages)), axis=1)


@lru_cache(maxsize=4)
def _all_orders(languages: int) -> NDArray[np.intp]:
    return np.array(list(itertools.permutations(range(languages))))


def least_p(languages: int, permutations: int) -> float:
    """The smallest p value that such a test can give."""
    return 1 / math.factorial(languages) if languages <= EXACT_UP_TO else 1 / (permutations + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) step-down correction; nan stays nan and does not count."""
    known = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    corrected = [math.nan] * len(p_values)
    worst = 0.0
    for rank, (p, place) in enumerate(known):
        worst = max(worst, min(1.0, (len(known) - rank) * p))
        corrected[place] = worst
    return corrected
