"""A search split over ranks: each takes its own source rows and meets every target; only keys travel.

The rows of a rank are whole cells of the one grid, so no product has another shape than in one process, and keys merge
without loss: the answer is the same, bit for bit, at any number of ranks. One process is the case of a single share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dist_stilts.conventions import OnCount
from dist_stilts.search.sides import Side, spans
from dist_stilts.search.tiles import Product, cell_rows, largest_both_ways

KEYS_PER_EXCHANGE = 1 << 20
"""Keys of each rank that are merged at once: 8 MiB from each."""


@dataclass(frozen=True)
class Share:
    """This process's part of the work.

    Attributes:
        gather: what every rank passes (CPU tensors whose first sizes may differ), by rank, on every rank.
    """

    rank: int = 0
    size: int = 1
    gather: Callable[[Tensor], list[Tensor]] = lambda rows: [rows]

    def of(self, side: Side) -> slice:
        """The rows of a side that are this rank's: whole cells, as many as the others' or one more or less."""
        cell = cell_rows(side.device)
        cells = -(-len(side) // cell)
        first, last = (cells * rank // self.size * cell for rank in (self.rank, self.rank + 1))
        return slice(min(first, len(side)), min(last, len(side)))

    def whole(self, part: Tensor) -> Tensor:
        """The rows of all ranks, in order, on every rank."""
        return part if self.size == 1 else torch.cat(self.gather(part.cpu())).to(part.device)

    def merge(self, keys: Tensor) -> Tensor:
        """The largest keys of each row over all ranks, on every rank: ``[rows, k]``, in place."""
        if self.size > 1 and keys.numel():
            for rows in spans(len(keys), max(KEYS_PER_EXCHANGE // keys.shape[1], 1)):
                found = torch.cat(self.gather(keys[rows].cpu()), dim=1)
                keys[rows] = found.topk(keys.shape[1], dim=1).values.to(keys.device)
        return keys


ALONE = Share()


def search_rows(
    source: Side,
    target: Side,
    keep: tuple[int, int],
    product: Product,
    memory_bytes: int,
    share: Share,
    progress: OnCount | None = None,
) -> tuple[Tensor, Tensor]:
    """Keys of this rank's source rows ``[own rows, keep[0]]``, and of all targets over all ranks ``[m, keep[1]]``."""
    forward, backward = largest_both_ways(source, target, keep, product, memory_bytes, share.of(source), progress)
    return forward, share.merge(backward)
