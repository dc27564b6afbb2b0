"""Rising, flat, falling, or neither: what the scores say of a curve's course before any form is believed.

The clearest drop from a size to any later one, in units of its standard error, is held against what noise alone makes
of a curve without any drop. Of all curves that never fall the flat one has the clearest drops by chance, so that its
distribution serves for all of them: the level of the test holds whatever the rise. Upside down the test finds rises.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dist_stilts.analysis.estimate import Estimate
from dist_stilts.analysis.forms import Fit

Floats = NDArray[np.floating[Any]]

LEVEL = 0.05
"""Of the test for a drop."""


class Shape(StrEnum):
    """Course of a curve."""

    RISING = "rising"
    FLAT = "flat"
    FALLING = "falling"
    NON_MONOTONE = "non-monotone"

    @property
    def falls(self) -> bool:
        """Whether more examples cost points somewhere: no form that is fitted does so."""
        return self in (Shape.FALLING, Shape.NON_MONOTONE)


@dataclass(frozen=True)
class Drop:
    """The clearest drop of a curve: from the size at index ``start`` to the later one at ``end``; p of any so clear."""

    start: int
    end: int
    p: float


def clearest_drop(means: Floats, covariance: Floats, errors: Floats) -> Drop:
    """Test the means [k >= 2] against curves that never fall; errors: draws of the errors of the means [draws, k]."""
    earlier, later = np.triu_indices(len(means), 1)
    variance = np.diag(covariance)
    unit = np.sqrt(variance[earlier] + variance[later] - 2 * covariance[earlier, later])
    drops = (means[earlier] - means[later]) / unit
    by_chance = ((errors[:, earlier] - errors[:, later]) / unit).max(axis=1)
    best = int(np.argmax(drops))
    p = (1 + int((by_chance >= drops[best]).sum())) / (1 + len(errors))
    return Drop(int(earlier[best]), int(later[best]), p)


def course(
    sizes: tuple[int, ...],
    means: Floats,
    covariance: Floats,
    errors: Floats | None,
    fits: tuple[Fit, ...],
    chosen: Fit | None,
    gain: Estimate,
) -> tuple[Shape, str]:
    """Shape of a curve and the finding behind it.

    With one seed nothing is tested: flat is what ends within two standard errors, from the test rows alone, of its
    start.

    Args:
        means: [k]; covariance: of their errors [k, k]; errors: draws of them [draws, k], None without seeds.
        gain: the total gain.
    """
    if len(sizes) < 2:
        return Shape.FLAT, "one size only" if sizes else "no scores"
    up = float(means[-1] - means[0])
    if errors is None:
        by_rows = 2 * math.sqrt(float(covariance[0, 0] + covariance[-1, -1] - 2 * covariance[0, -1]))
        shape = Shape.FLAT if abs(up) <= by_rows else Shape.RISING if up > 0 else Shape.FALLING
        return shape, "one seed: not tested"
    drop = clearest_drop(means, covariance, errors)
    if drop.p > LEVEL:
        flat = up <= 0 or _is_flat(fits, chosen, gain)
        return Shape.FLAT if flat else Shape.RISING, f"no drop beyond chance, p = {drop.p:.2g}"
    note = _described(sizes, means, drop, len(errors))
    all_the_way = gain.high is not None and gain.high < 0
    if all_the_way and clearest_drop(-means, covariance, errors).p > LEVEL:
        return Shape.FALLING, note
    return Shape.NON_MONOTONE, note


def _is_flat(fits: tuple[Fit, ...], chosen: Fit | None, gain: Estimate) -> bool:
    """A constant by choice, or by the gain's interval where a constant is about as good as the best form."""
    if chosen is not None and chosen.form == "constant":
        return True
    if gain.low is None or gain.high is None or not gain.low <= 0 <= gain.high:
        return False
    constant = next((fit.aicc for fit in fits if fit.form == "constant"), -math.inf)
    return constant <= min((fit.aicc for fit in fits), default=math.inf) + 2


def _described(sizes: tuple[int, ...], means: Floats, drop: Drop, draws: int) -> str:
    start, end = (f"{means[index]:.1f} at {sizes[index]:,}" for index in (drop.start, drop.end))
    p = f"p = {drop.p:.2g}" if drop.p > 1 / (1 + draws) else f"p < {1 / draws:.2g}"
    return f"falls from {start} to {end}, {p}"
