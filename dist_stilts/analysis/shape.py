"""Rising, flat, falling, or neither: what the scores say of a curve's course before any form is laid through them.

The largest drop from a size to any later one, in units of its standard error, is held against what noise alone makes of
a curve without any drop. Of all curves that never fall the flat one has the largest drops by chance, so that its
distribution serves for all of them: the test's level holds whatever the rise. The same test upside down finds rises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
LEVEL = 0.05


@dataclass(frozen=True)
class Drop:
    """The clearest drop of a curve: from the size at index ``start`` to the later one at ``end``; p of its kind."""

    start: int
    end: int
    points: float
    p: float


def clearest_drop(means: Floats, covariance: Floats, errors: Floats) -> Drop:
    """Test the means [k >= 2] against curves that never fall; errors: [draws, k]."""
    earlier, later = np.triu_indices(len(means), 1)
    variance = np.diag(covariance)
    unit = np.sqrt(variance[earlier] + variance[later] - 2 * covariance[earlier, later])
    drops = (means[earlier] - means[later]) / unit
    by_chance = ((errors[:, earlier] - errors[:, later]) / unit).max(axis=1)
    best = int(np.argmax(drops))
    p = (1 + int((by_chance >= drops[best]).sum())) / (1 + len(errors))
    start, end = int(earlier[best]), int(later[best])
    return Drop(start, end, float(means[start] - means[end]), p)
