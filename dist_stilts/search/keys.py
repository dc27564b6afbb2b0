"""A similarity and a row number in one int64 that sorts like (score, then lower row number).

Ties go to the lowest row number wherever the largest keys are kept, so what is found is a function of the input; keys
of different tiles or ranks merge by a plain top-k.
"""

from __future__ import annotations

import torch
from torch import Tensor

EMPTY = torch.iinfo(torch.int64).min
"""No neighbour: below every key."""
_LOW_32_BITS = 0xFFFFFFFF


def pack(scores: Tensor, ids: Tensor) -> Tensor:
    """Keys of fp32 ``scores`` and row numbers below 2^32 (shapes broadcast): score bits above, inverted id below."""
    bits = (scores + 0.0).contiguous().view(torch.int32)  # + 0.0 turns -0.0 into 0.0: equal scores, equal bits
    return (_sortable(bits).long() << 32) | (_LOW_32_BITS - ids)


def scores_of(keys: Tensor) -> Tensor:
    """The fp32 scores in ``keys``; NaN where a key is EMPTY."""
    return _sortable(orders_of(keys)).view(torch.float32)


def orders_of(keys: Tensor) -> Tensor:
    """Int32 that sort like the scores in ``keys``; EMPTY is below all."""
    return (keys >> 32).int()


def ids_of(keys: Tensor) -> Tensor:
    """The row numbers in ``keys``."""
    return _LOW_32_BITS - (keys & _LOW_32_BITS)


def no_keys(rows: int, k: int, device: torch.device) -> Tensor:
    """Keys ``[rows, k]`` of rows that have seen nothing yet."""
    return torch.full((rows, k), EMPTY, dtype=torch.int64, device=device)


def _sortable(bits: Tensor) -> Tensor:
    """Map fp32 bits to int32 in the order of the floats; its own inverse. Negative floats sort backwards by bits."""
    return torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
