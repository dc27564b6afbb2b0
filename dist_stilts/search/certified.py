"""Exact search by a bf16 product that is proved right row by row; rows without a proof are searched again in fp32.

Stages:

1. Centre both sides, a = x + μ and b = y + ν, and take the product of the bf16 roundings x', y' of the centred rows.
   The linear terms are added in fp32: ŝ = p̂ + r + c with r = x·ν and c = μ·b. Cosines that crowd near 1 come from the
   means; without them the numbers are small, and so is what bf16 loses of them.
2. Of each row keep the ``2 k + 8`` largest ŝ and, beyond them, the next one: τ. All that was not fetched has ŝ <= τ.
3. Score what was fetched again, in float64 rounded to fp32.
4. Accept the row if its k-th score is above τ + B. Else search it again, in plain fp32.

The bound B. Let s = a·b be the true inner product of two fp32 rows, d their width, u = 2^-24, and let Y, Y', Z be the
largest |y|, |y'|, |y - y'| of the other side. Every step below holds for all rows of the other side at once.

* Rounding of the factors: |x·y - x'·y'| <= |x - x'| |y| + |x'| |y - y'| <= |x - x'| Y + |x'| Z, by Cauchy-Schwarz,
  with the norms of the actual residues.
* Accumulation: products of bf16 are exact in fp32; d additions, in whatever order and even if they truncate, are off
  by at most d 2^-22 |x'| Y' (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1, with room for units
  that round worse than IEEE).
* A bf16 result (CPU) is off by v |p̂|, v = 2^-8. For a pair that was not fetched p̂ <= τ - r - c, and t + v |t| grows
  with t, so s exceeds τ by at most v |τ - r - c|; of all c the least and the greatest are the worst.
* Everything else (subtracting the means, r, c, two additions, rounding the new score) is a dozen errors of at most
  u M each, M = (|x| + |μ|) (Y + |ν|): together below 2^-20 M.

B is the sum. A row that is accepted therefore has exactly the k neighbours that an exhaustive search by the scores of
stage 3 would give it, ties included. Those scores are correctly rounded, while plain fp32 products are not: between
this search and the plain one the last bit of a score, and the order of neighbours that close, may differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.linalg import vector_norm

from dist_stilts.conventions import OnCount
from dist_stilts.search.keys import EMPTY, ids_of, pack, scores_of
from dist_stilts.search.shares import Share, search_rows
from dist_stilts.search.sides import Picked, Side, spans
from dist_stilts.search.tiles import FullPrecision, Operand, cell_rows

WORK = 1e11
"""Multiply-adds from which the cheaper product repays reading both sides twice more."""
WIDTH = 256
"""Below this the product is not what takes the time."""
PAIRS_PER_STEP = {"cpu": 256, "cuda": 4096}
"""Pairs that are scored together in stage 3; always so many, because a sum may round differently in another shape."""
BYTES_PER_PAIR = 64
"""Row numbers, mask and score of a pair while it is scored again."""
BF16_UNIT = 2.0**-8
ACCUMULATION_UNIT = 2.0**-22
SMALL_ERRORS = 2.0**-20


def worth_it(rows: int, columns: int, width: int, device: torch.device) -> bool:
    """Whether the device multiplies bf16 many times faster than fp32, and there is enough to multiply."""
    return width >= WIDTH and rows * columns * width >= WORK and _has_matrix_units(device)


@cache
def _has_matrix_units(device: torch.device) -> bool:
    """Tensor cores or AMX. Where bf16 is but a wider vector (avx512_bf16), proofs cost what the product saves."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    flags = Path("/proc/cpuinfo")
    return device.type == "cpu" and flags.is_file() and "amx_bf16" in flags.read_text(encoding="utf-8").split()


def search_certified(
    source: Side, target: Side, k: int, memory_bytes: int, share: Share, progress: OnCount | None = None
) -> tuple[Tensor, Tensor, int]:
    """Keys of both directions, ``[n, k]`` and ``[m, k]`` (k capped at the other side), and how many were unproved.

    If searching the unproved rows again would take as much as a full search, that is what is done. Beside the budget,
    ``2 k + 9`` keys and 28 bytes are held for every row.
    """
    product = CentredProduct(source, target)
    fetched = 2 * k + 8
    keep = min(fetched + 1, len(target)), min(fetched + 1, len(source))
    with _full_sums():
        forward, backward = search_rows(source, target, keep, product, memory_bytes, share, progress)
    own_rows, own_columns = share.of(source), share.of(target)
    found = (
        share.whole(product.proved(source, target, own_rows, forward, k, memory_bytes)),
        share.whole(product.proved(target, source, own_columns, backward[own_columns], k, memory_bytes)),
    )
    again = [(keys[:, 0] == EMPTY).nonzero().squeeze(1) for keys in found]
    if len(again[0]) * len(target) + len(again[1]) * len(source) >= len(source) * len(target):
        keep = found[0].shape[1], found[1].shape[1]
        forward, backward = search_rows(source, target, keep, FullPrecision(), memory_bytes, share, progress)
        return share.whole(forward), backward, len(source) + len(target)
    for keys, ids, own, other in zip(found, again, (source, target), (target, source), strict=True):
        if len(ids):
            some = Side(Picked(own, ids), own.name, own.device)
            exact, _ = search_rows(some, other, (keys.shape[1], 0), FullPrecision(), memory_bytes, share)
            keys[ids] = share.whole(exact)
    return *found, len(again[0]) + len(again[1])


@dataclass(frozen=True)
class Centring:
    """What the product and its bound need of one side; norms are float64 [n].

    Attributes:
        mean: of the rows [width], fp32.
        linear: this side's linear term [n and padding to whole cells], fp32.
        norms: of the centred rows.
        rounded: norms of their bf16 roundings.
        residues: norms of what rounding took away.
    """

    mean: Tensor
    linear: Tensor
    norms: Tensor
    rounded: Tensor
    residues: Tensor


class CentredProduct:
    """Similarities from the bf16 product of the centred sides, and the proof that they suffice."""

    bytes_per_value = 2

    def __init__(self, source: Side, target: Side) -> None:
        means = _mean(source), _mean(target)
        self._of = {
            source.name: _centring(source, means[0], means[1], of_centred=True),
            target.name: _centring(target, means[1], means[0], of_centred=False),
        }
        self._wide = source.device.type == "cuda"  # there the product comes out in fp32

    def operand(self, side: Side, start: int, values: Tensor) -> Tensor:
        """The centred rows in bf16."""
        return (values - self._of[side.name].mean).bfloat16()

    def cell(self, left: Operand, right: Operand, out: Tensor) -> None:
        """One matrix product and the linear terms."""
        a, b = left.values, right.values.T
        product = torch.mm(a, b, out_dtype=torch.float32) if self._wide else torch.mm(a, b)
        torch.add(product, self._of["target"].linear[right.start :][: len(out)], out=out)
        out.add_(self._of["source"].linear[left.start :][: len(out), None])

    def bound(self, own: Side, other: Side, rows: slice, highest: Tensor) -> Tensor:
        """How far above ``highest`` the true inner product of a pair that was not fetched may be: B, float64.

        Args:
            rows: whose bound is wanted, rows of ``own``.
            highest: τ of these rows, float64.
        """
        x, y = self._of[own.name], self._of[other.name]
        norms, rounded = x.norms[rows], x.rounded[rows]
        magnitude = (norms + x.mean.double().norm()) * (y.norms.max() + y.mean.double().norm())
        error = x.residues[rows] * y.norms.max() + rounded * y.residues.max()
        error += own.width * ACCUMULATION_UNIT * rounded * y.rounded.max() + SMALL_ERRORS * magnitude
        if self._wide:
            return error
        centred = highest - x.linear[rows].double()
        linear = y.linear[: len(other)].double()
        return error + BF16_UNIT * torch.maximum((centred - linear.min()).abs(), (centred - linear.max()).abs())

    def proved(self, own: Side, other: Side, rows: slice, keys: Tensor, k: int, memory_bytes: int) -> Tensor:
        """Keys of the k nearest by new scores ``[rows, k]``; EMPTY in the rows for which that is not certain.

        Args:
            rows: rows of ``own`` that ``keys`` [rows, fetched and one more] belong to.
        """
        complete = keys.shape[1] == len(other)
        fetched = keys if complete else keys[:, :-1]
        exact = pack(rescore(own, other, rows, ids_of(fetched), memory_bytes), ids_of(fetched))
        nearest = exact.topk(min(k, len(other)), dim=1).values
        if not complete:
            highest = scores_of(keys[:, -1]).double()
            sure = scores_of(nearest[:, -1]).double() > highest + self.bound(own, other, rows, highest)
            nearest[~sure] = EMPTY
        return nearest


def rescore(own: Side, other: Side, rows: slice, ids: Tensor, memory_bytes: int) -> Tensor:
    """Inner products of rows of ``own`` with the rows ``ids`` [rows, fetched] of ``other``, from float64 to fp32."""
    scores = torch.empty(ids.shape, device=ids.device)
    block = memory_bytes // (16 * max(own.width, 1)) + 1  # two blocks of fp32 rows take half the budget
    step = min(memory_bytes // (BYTES_PER_PAIR * ids.shape[1]) + 1, len(own) if own.resident else block)
    for some in spans(len(ids), step):
        left = own.block(slice(rows.start + some.start, rows.start + some.stop))
        for columns in spans(len(other), len(other) if other.resident else block):
            right = other.block(columns)
            row, place = ((ids[some] >= columns.start) & (ids[some] < columns.stop)).nonzero(as_tuple=True)
            column = ids[some][row, place] - columns.start
            scores[some][row, place] = _inner_products(left, right, row, column)
    return scores


def _inner_products(left: Tensor, right: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    step = PAIRS_PER_STEP.get(left.device.type, PAIRS_PER_STEP["cuda"])
    scores = torch.empty(-(-len(rows) // step) * step, device=rows.device)
    pairs = torch.zeros(2, len(scores), dtype=torch.int64, device=rows.device)
    pairs[0, : len(rows)], pairs[1, : len(rows)] = rows, columns
    for some in spans(len(scores), step):
        a, b = left.index_select(0, pairs[0, some]), right.index_select(0, pairs[1, some])
        scores[some] = (a.double() * b.double()).sum(1).float()
    return scores[: len(rows)]


def _mean(side: Side) -> Tensor:
    total = torch.zeros(side.width, dtype=torch.float64, device=side.device)
    for _, block in side.blocks():
        total += block.double().sum(0)
    return (total / len(side)).float()


def _centring(side: Side, mean: Tensor, other_mean: Tensor, of_centred: bool) -> Centring:
    """Read a side through; its linear term is of the centred rows or of the rows as they are."""
    cell = cell_rows(side.device)
    linear = torch.zeros(-(-len(side) // cell) * cell, device=side.device)
    norms, rounded, residues = torch.empty(3, len(side), dtype=torch.float64, device=side.device)
    for rows, block in side.blocks():
        centred = block - mean
        low = centred.bfloat16().float()
        norms[rows] = vector_norm(centred, dim=1, dtype=torch.float64)
        rounded[rows] = vector_norm(low, dim=1, dtype=torch.float64)
        residues[rows] = vector_norm(centred - low, dim=1, dtype=torch.float64)  # the subtraction is exact
        linear[rows] = ((centred if of_centred else block).double() @ other_mean.double()).float()
    return Centring(mean, linear, norms, rounded, residues)


@contextmanager
def _full_sums() -> Iterator[None]:
    """On CUDA, partial sums of bf16 products are kept in fp32 whatever the caller has set."""
    settings = torch.backends.cuda.matmul
    before = settings.allow_bf16_reduced_precision_reduction
    settings.allow_bf16_reduced_precision_reduction = False
    try:
        yield
    finally:
        settings.allow_bf16_reduced_precision_reduction = before
