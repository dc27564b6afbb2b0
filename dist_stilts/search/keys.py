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
    """Keys of fp32 ``scores`` and row numbers below 2^32 (broadcast to them): score bits above, inverted id below."""
    bits = (scores + 0.0).contiguous().view(torch.int32)  # + 0.0 turns -0.0 into 0.0: equal scores, equal bits
    keys = _sortable_(bits).long()
    return keys.bitwise_left_shift_(32).add_(_LOW_32_BITS).sub_(ids)  # in place: fresh memory costs more than sums


def scores_of(keys: Tensor) -> Tensor:
    """The fp32 scores in ``keys``; NaN where a key is EMPTY."""
    return _sortable_((keys >> 32).int()).view(torch.float32)


def ids_of(keys: Tensor) -> Tensor:
    """The row numbers in ``keys``."""
    return _LOW_32_BITS - (keys & _LOW_32_BITS)


def no_keys(rows: int, k: int, device: torch.device) -> Tensor:
    """Keys ``[rows, k]`` of rows that have seen nothing yet."""
    return torch.full((rows, k), EMPTY, dtype=torch.int64, device=device)


def _sortable_(bits: Tensor) -> Tensor:
    """Map fp32 bits, in place, to int32 in the order of the floats; its own inverse. Negative floats sort backwards."""
    return bits.bitwise_xor_((bits >> 31).bitwise_and_(0x7FFFFFFF))
