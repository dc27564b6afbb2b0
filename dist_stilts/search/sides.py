"""One side of a search: rows that are read in blocks, wherever they lie, and arrive as fp32 on the searching device.

A side may be a tensor on any device, a NumPy array, a memory-mapped file, or anything else with a ``shape`` whose row
slices are one of these; a corpus larger than memory is never held as a whole. Rows that already lie on the device in
fp32 are used where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dist_stilts.errors import EXIT_FAILED, UserError

Rows = Any
"""What callers may pass as a side: ``[n, width]``, with ``.shape`` and row slices; see the module's docstring."""
ROWS_PER_READ = 1024
"""Rows that are looked at together where a side is read through before the search."""
ALIGNMENT = 64
"""Bytes. A matrix product may round differently where its operands begin elsewhere in a cache line."""
SHARE_OF_FREE_MEMORY = 0.5
"""What both sides may take of an accelerator's free memory before they are streamed instead."""


class Side:
    """Rows ``[n, width]`` to be searched.

    Args:
        rows: see :data:`Rows`.
        name: what messages call this side.
        device: where blocks are wanted.
    """

    def __init__(self, rows: Rows, name: str, device: torch.device) -> None:
        self.raw, self.name, self.device = rows, name, device
        self.width = int(rows.shape[1])

    def __len__(self) -> int:
        return int(self.raw.shape[0])

    @property
    def resident(self) -> bool:
        """Whether blocks are views that take no memory of their own."""
        raw = self.raw
        return (
            isinstance(raw, Tensor)
            and raw.device == self.device
            and raw.dtype == torch.float32
            and raw.is_contiguous()
            and raw.data_ptr() % ALIGNMENT == 0
        )

    def block(self, rows: slice) -> Tensor:
        """Rows ``[b, width]``, fp32 on the device: a view if resident, else an aligned copy."""
        part = self.raw[rows]
        return part if self.resident else _on_device(part, self.device)

    def take(self, ids: Tensor) -> Tensor:
        """The rows numbered ``ids`` (int64, any order, repeats allowed): ``[len(ids), width]``, fp32 on the device."""
        if isinstance(self.raw, Tensor):
            return self.raw[ids.to(self.raw.device)].to(self.device, torch.float32)
        if isinstance(self.raw, np.ndarray):
            return _on_device(self.raw[ids.cpu().numpy()], self.device)
        return self._take_by_slices(ids)

    def _take_by_slices(self, ids: Tensor) -> Tensor:
        found = torch.empty(len(ids), self.width, device=self.device)
        block_of = ids // ROWS_PER_READ
        for block in block_of.unique().tolist():
            start = block * ROWS_PER_READ
            places = (block_of == block).nonzero().squeeze(1)
            found[places] = self.block(slice(start, min(start + ROWS_PER_READ, len(self))))[ids[places] - start]
        return found

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """The whole side once, in order."""
        for rows in spans(len(self), ROWS_PER_READ):
            yield rows, self.block(rows)


class Picked:
    """Some rows of a side, as a side: read when they are asked for.

    Args:
        side: where the rows are.
        ids: row numbers [n], int64, on the side's device.
    """

    def __init__(self, side: Side, ids: Tensor) -> None:
        self._side, self._ids = side, ids
        self.shape = (len(ids), side.width)

    def __getitem__(self, rows: slice) -> Tensor:
        return self._side.take(self._ids[rows])


def open_sides(source: Rows, target: Rows, device: torch.device | str | None) -> tuple[Side, Side]:
    """Both sides, read through once for numbers that are not finite.

    On an accelerator, sides that lie elsewhere are put there as a whole if both together fit half its free memory.

    Raises:
        UserError: an embedding is not finite.
    """
    if device is None:
        device = source.device if isinstance(source, Tensor) else "cpu"
    where = torch.empty(0, device=device).device  # "cuda" is made "cuda:0", as tensors say it
    sides = Side(source, "source", where), Side(target, "target", where)
    if where.type != "cpu" and _fit(sides, where):
        sides = Side(_whole(sides[0]), "source", where), Side(_whole(sides[1]), "target", where)
    for side in sides:
        _refuse_non_finite(side)
    return sides


def spans(rows: int, step: int) -> Iterator[slice]:
    """Cut ``rows`` into slices of ``step``; the last may be shorter."""
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _fit(sides: tuple[Side, Side], device: torch.device) -> bool:
    wanted = sum(4 * len(side) * side.width for side in sides if not side.resident)
    return wanted <= SHARE_OF_FREE_MEMORY * torch.cuda.mem_get_info(device)[0]


def _whole(side: Side) -> Tensor:
    if side.resident:
        return side.raw
    whole = torch.empty(len(side), side.width, device=side.device)
    for rows, block in side.blocks():
        whole[rows] = block
    return whole


def _on_device(part: Any, device: torch.device) -> Tensor:
    """An fp32 copy in fresh, aligned memory."""
    if isinstance(part, Tensor):
        return torch.empty(part.shape, device=device).copy_(part.detach())
    copied = torch.empty(part.shape)
    copied.numpy()[...] = part
    return copied.to(device)


def _refuse_non_finite(side: Side) -> None:
    bad, first = 0, 0
    for rows, block in side.blocks():
        broken = (~block.sum(dim=1).isfinite()).nonzero()
        if len(broken) and not bad:
            first = rows.start + int(broken[0])
        bad += len(broken)
    if bad:
        raise UserError(
            f"{bad} of {len(side)} {side.name} embeddings are not finite, the first in row {first}",
            fix="The encoder is broken: look at the losses of its training",
            code=EXIT_FAILED,
        )
