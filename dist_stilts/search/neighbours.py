"""Exact k nearest neighbours of two sets of embeddings, in both directions, from one pass over their similarities.

Each similarity is computed once and read twice: along its row for the source side's neighbours and along its column
for the target side's. Memory is bounded; the matrix never exists as a whole.

Promises:

* exact in fp32 without TF32: bf16 and TF32 leave gaps near a cosine of 1 that turn neighbours into ties;
* ties go to the lowest row number, so the answer is a function of the input;
* the answer does not depend on the memory budget: see :mod:`dist_stilts.search.tiles`. (Another device, BLAS or thread
  count may still differ in the last bit.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from dist_stilts.conventions import OnCount
from dist_stilts.search.certified import search_certified, worth_it
from dist_stilts.search.keys import ids_of, scores_of
from dist_stilts.search.shares import ALONE, Share, search_rows
from dist_stilts.search.sides import Rows, open_sides
from dist_stilts.search.tiles import FullPrecision

MEMORY_BYTES = 256 << 20
Precision = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class Neighbours:
    """The nearest rows of the other side.

    Attributes:
        scores: inner products [n, k], fp32, descending; cosines if the embeddings have length 1.
        ids: row numbers on the other side [n, k], int64; the lower one first where scores are equal.
    """

    scores: Tensor
    ids: Tensor


class Found(NamedTuple):
    """Both directions; ``searched_again`` counts the rows for which a cheaper product did not prove the answer."""

    forward: Neighbours
    backward: Neighbours
    searched_again: int


def both_directions(
    source: Rows,
    target: Rows,
    k: int,
    memory_bytes: int = MEMORY_BYTES,
    device: torch.device | str | None = None,
    precision: Precision = "auto",
    progress: OnCount | None = None,
) -> Found:
    """Find the k nearest targets of every source row and the k nearest sources of every target row.

    Args:
        source: L2-normalised embeddings [n, d]: a tensor, an array, a memory-mapped file, or anything else with
            ``shape`` and row slices. What does not lie on ``device`` in fp32 is read block by block.
        target: the same [m, d].
        k: neighbours per row; at most the size of the other side is returned.
        memory_bytes: working memory beside the inputs and results; one grid cell is used even if it needs more. A GPU
            is busier with a few GiB.
        device: where to search; default: that of ``source`` if it is a tensor, else the CPU.
        precision: ``fp32``; ``bf16``, a cheaper product whose result is proved or else searched again in fp32 (see
            :mod:`dist_stilts.search.certified`); ``auto``, the one that is faster for these shapes on this device.
        progress: told how many tiles of how many are done.

    Raises:
        UserError: an embedding is not finite.
        ValueError: the shapes, ``k`` or ``precision`` make no sense.
    """
    return search(source, target, k, memory_bytes, device, precision, progress, ALONE)


def search(
    source: Rows,
    target: Rows,
    k: int,
    memory_bytes: int,
    device: torch.device | str | None,
    precision: Precision,
    progress: OnCount | None,
    share: Share,
) -> Found:
    """Do this process's share of :func:`both_directions`; the whole answer comes back."""
    shapes = tuple(source.shape), tuple(target.shape)
    if len(shapes[0]) != 2 or len(shapes[1]) != 2 or shapes[0][1] != shapes[1][1] or k < 1:
        raise ValueError(f"cannot search {shapes[0]} against {shapes[1]} with k={k}")
    if precision not in get_args(Precision):
        raise ValueError(f"precision is one of {', '.join(get_args(Precision))}, not {precision}")
    a, b = open_sides(source, target, device)
    with full_fp32(a.device.type):
        if (
            len(a)
            and len(b)
            and (precision == "bf16" or (precision == "auto" and worth_it(len(a), len(b), a.width, a.device)))
        ):
            forward, backward, again = search_certified(a, b, k, memory_bytes, share, progress)
        else:
            keep, again = (min(k, len(b)), min(k, len(a))), 0
            own, backward = search_rows(a, b, keep, FullPrecision(), memory_bytes, share, progress)
            forward = share.whole(own)
    return Found(_neighbours(forward), _neighbours(backward), again)


def _neighbours(keys: Tensor) -> Neighbours:
    return Neighbours(scores_of(keys), ids_of(keys))


@contextmanager
def full_fp32(device_type: str) -> Iterator[None]:
    """Plain fp32 products whatever the caller has set: no TF32 on GPU, no bf16 on CPU, no autocast."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device_type, enabled=False), torch.no_grad():
            yield
    finally:
        torch.set_float32_matmul_precision(before)
