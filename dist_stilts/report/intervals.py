"""How far a score may be off because the test set is a sample.

These intervals know nothing of the other source of error, the seed: only repeated runs show that one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist


def mean_of_languages(values: Sequence[float], counts: Sequence[int], level: float = 0.95) -> tuple[float, float]:
    """Unweighted mean over languages and the half width of its interval.

    Each score is taken as a proportion of ``count`` rows (exact for accuracy, approximate for F1) and the languages as
    independent samples. Where the test sets are translations of one another they are not, and the interval is
    somewhat too narrow. Seeds are not in it at all.

    Args:
        values: one score per language, percent.
        counts: rows that each score was computed on.

    Returns:
        (mean, half width), both in percent.
    """
    if not values or len(values) != len(counts) or min(counts) < 1:
        raise ValueError(f"{len(values)} scores with counts {list(counts)}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    variance = sum(v * (100 - v) / n for v, n in zip(values, counts, strict=True)) / len(values) ** 2
    return sum(values) / len(values), z * math.sqrt(max(variance, 0.0))
