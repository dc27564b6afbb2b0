"""Rank correlation of a gain with a distance over languages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dist_stilts.conventions import ENGLISH
from dist_stilts.report.numbers import p_equals


@dataclass(frozen=True)
class Correlation:
    """Spearman's rho over ``n`` languages with its two-sided p; NaN where there is nothing to correlate."""

    rho: float
    p: float
    n: int

    def __str__(self) -> str:
        if math.isnan(self.rho):
            return f"no rank correlation: n = {self.n} languages"
        return f"Spearman rho = {self.rho:+.2f}, p {p_equals(self.p)}, n = {self.n} languages"


def correlate(gain: Mapping[str, float], distances: Mapping[str, float]) -> Correlation:
    """Rank-correlate gain with distance over the languages other than English that have both."""
    languages = [lang for lang in gain if lang in distances and lang != ENGLISH]
    x, y = [distances[lang] for lang in languages], [gain[lang] for lang in languages]
    if len(languages) < 3 or len(set(x)) < 2 or len(set(y)) < 2:
        return Correlation(math.nan, math.nan, len(languages))
    from scipy.stats import spearmanr

    result = spearmanr(x, y)
    return Correlation(float(result.statistic), float(result.pvalue), len(languages))
