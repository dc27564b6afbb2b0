"""What is uncertain about the mean scores of one curve: the run (seeds) and the choice of test rows.

The mean score of a size varies about the truth by

* the runs behind it: variance of one run, pooled over the sizes, over their number. With 2 to 5 seeds that variance is
  itself uncertain, so that every draw takes its own from the chi-square distribution of a pooled variance: the draws
  have the tails of Student's t;
* the test rows, which are the same at every size, so that a hard row pulls all sizes down together: a multiplier
  bootstrap (one N(0, 1) weight per row and draw, common to all sizes). Given the outcomes its draws are normal with the
  covariance of the sizes over rows, from which they are drawn here, which is the same thing and needs no weights.

What varies per run *and* row is in both: in the variance of runs, because each run errs on other rows, and in the
covariance over rows. It is taken off the first (estimated by the spread of a row over the runs of one size). Without
outcomes it stays there, and the common part of the test rows is not covered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dist_stilts.analysis.cells import Cells

Floats = NDArray[np.floating[Any]]

LEAST_VARIANCE = 1e-6
"""Points squared; keeps equal scores from being certain, and covariances invertible."""


class Over(StrEnum):
    """What intervals go over."""

    NOTHING = "nothing: one seed"
    SEEDS = "seeds"
    SEEDS_AND_ROWS = "seeds and test rows"


@dataclass(frozen=True)
class Noise:
    """Variance components of one curve's means, in points squared.

    Attributes:
        run: variance of one run, with ``run_by_row`` in it; degrees: its degrees of freedom, 0 for one seed.
        run_by_row: the part of it that is in ``rows``, too; 0 without outcomes.
        share: what of a run's variance is in a size's mean [k]: 1 / runs, 0 where nothing was trained.
        rows: covariance of the means over the choice of test rows [k, k]; zero without outcomes.
        fixed: variance of the sizes at which nothing was trained, without outcomes [k].
    """

    run: float
    degrees: int
    run_by_row: float
    share: Floats
    rows: Floats
    fixed: Floats

    @property
    def over(self) -> Over:
        """What the draws go over."""
        if not self.degrees:
            return Over.NOTHING
        return Over.SEEDS_AND_ROWS if self.rows.any() else Over.SEEDS

    def covariance(self) -> Floats:
        """Covariance of the means [k, k]; of one seed: that of independent test rows and runs of equal weight."""
        own = max(self.run - self.run_by_row, 0.0) * self.share + self.fixed + LEAST_VARIANCE
        return np.diag(own) + self.rows

    def draw(self, draws: int, rng: np.random.Generator) -> Floats:
        """``[draws, k]`` errors of the means.

        Of the variance of a run the part that is in ``rows``, too, is known well. Taken off before the chi-square, it
        leaves intervals too narrow (92 % where 95 % are asked for), after it too wide (98 %), because a variance below
        it cannot be; with the mean of the two they cover 94 to 97.5 % for 4 to 20 degrees of freedom.
        """
        scale = self.degrees / rng.chisquare(self.degrees, draws)
        before = max(self.run - self.run_by_row, 0.0) * scale
        after = np.maximum(self.run * scale - self.run_by_row, 0.0)
        own = (before + after)[:, None] / 2 * self.share + self.fixed
        size = (draws, len(self.share))
        return rng.standard_normal(size) * np.sqrt(own) + rng.standard_normal(size) @ _root(self.rows)


def noise(cells: Cells) -> Noise:
    """Estimate the variance components of one curve."""
    trained = np.array(cells.trained, bool)
    pooled = [values for values, learnt in zip(cells.values, trained, strict=True) if learnt]
    degrees = sum(len(values) - 1 for values in pooled)
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in pooled)
    binomial = _binomial(cells)
    run = squares / degrees if degrees else binomial
    rows, run_by_row = _rows(cells, trained)
    return Noise(
        run=run,
        degrees=degrees,
        run_by_row=run_by_row if degrees else 0.0,
        share=np.where(trained, 1 / cells.runs, 0.0),
        rows=rows,
        # A score without a seed still holds the luck of its rows: a binomial's at most, and less than a run's.
        fixed=np.where(trained | rows.any(), 0.0, min(binomial, run)),
    )


def _binomial(cells: Cells) -> float:
    if not cells.sizes:
        return LEAST_VARIANCE
    share = float(np.clip(cells.means.mean() / 100, 0.0, 1.0))
    return max(1e4 * share * (1 - share) / max(cells.count, 1), LEAST_VARIANCE)


def _rows(cells: Cells, trained: Floats) -> tuple[Floats, float]:
    """Covariance of the sizes over test rows [k, k] and, of one run, the part that is its own, in points squared."""
    total, own = np.zeros((len(cells.sizes), len(cells.sizes))), 0.0
    for blocks in cells.rows:
        count = blocks[0].shape[1]
        if count > 1:
            total += np.atleast_2d(np.cov(np.stack([block.mean(axis=0) for block in blocks]))) * 1e4 / count
            own += _run_by_row([block for block, learnt in zip(blocks, trained, strict=True) if learnt]) * 1e4 / count
    return total, own


def _run_by_row(blocks: list[Floats]) -> float:
    """Variance per row of a run about the mean of its size, both taken about their means over the rows."""
    degrees = sum(len(block) - 1 for block in blocks) * (blocks[0].shape[1] - 1) if blocks else 0
    if not degrees:
        return 0.0
    squares = 0.0
    for block in blocks:
        centred = block - block.mean(axis=1, keepdims=True)
        squares += float(((centred - centred.mean(axis=0)) ** 2).sum())
    return squares / degrees


def _root(covariance: Floats) -> Floats:
    """R with R.T R = covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0.0))).T


def precision(covariance: Floats) -> Floats:
    """Inverse of a covariance [k, k], symmetric."""
    inverse = np.linalg.inv(covariance)
    return (inverse + inverse.T) / 2


def relative_variances(noise: Noise) -> Floats:
    """Variance of one run per size [k], relative to their geometric mean: the weights of the fits are its inverse."""
    variances = np.where(noise.share > 0, max(noise.run, LEAST_VARIANCE), np.maximum(noise.fixed, LEAST_VARIANCE))
    if noise.rows.any():
        variances = np.where(noise.share > 0, variances, noise.run_by_row or variances.mean())
    return variances / math.exp(np.log(variances).mean()) if len(variances) else variances
