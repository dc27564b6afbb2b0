"""Exact nearest neighbours in both directions over all ranks: the answer of one process, bit for bit.

Every rank can read both sides. It searches its own source rows against all targets; what travels is one int64 for each
(score, row number), over gloo. The whole answer arrives on every rank.
"""

from __future__ import annotations

import torch

from dist_stilts.conventions import OnCount
from dist_stilts.parallel.collectives import gather_rows
from dist_stilts.parallel.world import World
from dist_stilts.search.neighbours import MEMORY_BYTES, Found, Precision, search
from dist_stilts.search.shares import Share
from dist_stilts.search.sides import Rows


def both_directions(
    source: Rows,
    target: Rows,
    k: int,
    world: World,
    memory_bytes: int = MEMORY_BYTES,
    device: torch.device | str | None = None,
    precision: Precision = "auto",
    progress: OnCount | None = None,
) -> Found:
    """Find the k nearest targets of every source row and the k nearest sources of every target row.

    Arguments and errors as in :func:`dist_stilts.search.neighbours.both_directions`, the same on all ranks, except

    Args:
        device: default: the world's.
        memory_bytes: of each rank, beside 8 MiB from every other while keys are merged.
        progress: of this rank.
    """
    share = Share(world.rank, world.size, gather_rows)
    return search(source, target, k, memory_bytes, device or world.device, precision, progress, share)
