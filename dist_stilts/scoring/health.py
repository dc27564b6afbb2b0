"""Signs that an encoder cannot retrieve, to be read before its retrieval scores: collapse and hubness.

A collapsed encoder makes all texts look alike: the mean cosine of different texts nears 1 and the effective rank falls.
In a space with hubs a few rows are among the neighbours of very many others, and many rows of none (Radovanovic et al.,
JMLR 2010), which misleads a search by cosine; margins are there to correct it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.scoring.mining import Floats, Ids

ROWS_PER_BLOCK = 1 << 12
"""Rows held in float64 at a time."""
SAMPLED_ROWS = 50_000
"""Of more rows than these, as many are read, evenly spaced."""
COLLAPSED_COSINE = 0.999
"""Mean cosine of different texts above which an encoder tells nothing apart."""
COLLAPSED_RANK = 1.1
"""Effective rank below which all embeddings lie on one line."""


def retrieval_health(embeddings: Floats) -> dict[str, float]:
    """Two signs of a collapsed encoder.

    The work grows with d squared times n, so above :data:`SAMPLED_ROWS` rows an evenly spaced sample of that size
    stands for all. Rows are read in blocks: a memory-mapped array need not fit in memory.

    Args:
        embeddings: [n, d], n >= 2; rows are normalised here.

    Returns:
        ``mean_cosine``: mean over all pairs of different rows; near 1 means that every text looks alike.
        ``effective_rank``: exp of the entropy of the normalised singular values (Roy & Vetterli 2007), from 1 (all
        rows on one line) to min(n, d).

    Raises:
        UserError: an embedding that is read is not finite.
        ValueError: fewer than two rows.
    """
    n, width = embeddings.shape
    if n < 2:
        raise ValueError(f"{n} embeddings have no pairs")
    sample = np.linspace(0, n - 1, min(n, SAMPLED_ROWS)).astype(np.int64)
    total, gram = np.zeros(width), np.zeros((width, width))
    for start in range(0, len(sample), ROWS_PER_BLOCK):
        rows = _unit_rows(embeddings, sample[start : start + ROWS_PER_BLOCK])
        total += rows.sum(axis=0)
        gram += rows.T @ rows
    singular = np.sqrt(np.clip(np.linalg.eigvalsh(gram), 0.0, None))
    share = singular[singular > 0] / singular.sum()
    return {
        "mean_cosine": float((total @ total - np.trace(gram)) / (len(sample) * (len(sample) - 1))),
        "effective_rank": float(np.exp(-np.sum(share * np.log(share)))),
    }


def _unit_rows(embeddings: Floats, which: Ids) -> NDArray[np.float64]:
    rows = np.asarray(embeddings[which], np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        first = int(which[~np.isfinite(lengths[:, 0])][0])
        fix = "The encoder is broken: look at the losses of its training"
        raise UserError(f"the embedding in row {first} is not finite", fix=fix, code=EXIT_FAILED)
    rows /= np.maximum(lengths, np.finfo(np.float64).tiny)
    return rows


def hubness(ids: Ids, others: int) -> dict[str, float]:
    """How unevenly neighbours are shared out.

    Args:
        ids: the rows of the other side that are nearest to each row of this side [n, k].
        others: number of rows on the other side.

    Returns:
        ``hubness``: skewness of N_k, the number of rows that have a given row among their k nearest (Radovanovic et
        al. 2010, section 2): about 0 without hubs, far above 1 with; 0 if all N_k are equal.
        ``largest_hub``: share of rows that have the most popular row among their k nearest.
        ``never_near``: share of rows of the other side that are nobody's neighbour (anti-hubs).

    Raises:
        ValueError: there are no neighbours.
    """
    if not ids.size:
        raise ValueError(f"no neighbours in {ids.shape} ids")
    times_near = np.bincount(ids.ravel(), minlength=others).astype(np.float64)
    off_mean = times_near - times_near.mean()
    spread = np.sqrt(np.mean(off_mean**2))
    return {
        "hubness": float(np.mean(off_mean**3) / spread**3) if spread else 0.0,
        "largest_hub": float(times_near.max() / len(ids)),
        "never_near": float(np.mean(times_near == 0)),
    }


def collapsed(health: Mapping[str, float]) -> str | None:
    """Why nothing can be retrieved with such embeddings (:func:`retrieval_health`), in one line; None if it can."""
    if health["mean_cosine"] > COLLAPSED_COSINE:
        return f"collapsed encoder: mean cosine of unrelated sentences is {health['mean_cosine']:.4f}"
    if health["effective_rank"] < COLLAPSED_RANK:
        return f"collapsed encoder: effective rank of the embeddings is {health['effective_rank']:.2f}"
    return None
