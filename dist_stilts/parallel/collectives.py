"""What ranks say to each other: few, small, and right with one process.

Results of sharded work travel as *rows tagged by global id* and meet in one reduction, so uneven shards need no
padding and no score depends on the number of ranks (law 3).
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist

from dist_stilts.parallel import messages

T = TypeVar("T")


def _alone() -> bool:
    return not dist.is_initialized() or dist.get_world_size() == 1


def sum_by_index(values: np.ndarray, ids: np.ndarray, size: int) -> np.ndarray:
    """Put every rank's rows in their places.

    Args:
        values: ``[n]`` or ``[n, d]``, this rank's rows; n may differ between ranks and may be 0.
        ids: ``[n]`` global row numbers; a row may be on one rank only.
        size: number of rows of all ranks together.

    Returns:
        ``[size]`` or ``[size, d]``, the same on every rank.

    Raises:
        RuntimeError: a row is missing or was counted twice (on every rank alike).
    """
    whole = np.zeros((size, *values.shape[1:]), values.dtype)
    seen = np.zeros(size, np.int32)
    whole[ids] = values
    np.add.at(seen, ids, 1)
    if not _alone():
        for array in (whole, seen):
            dist.all_reduce(torch.from_numpy(array))  # in place, over gloo
    if (seen != 1).any():
        raise RuntimeError(f"{int((seen != 1).sum())} of {size} rows were not scored exactly once")
    return whole


def sum_values(*values: float) -> list[float]:
    """Sum each number over the ranks, in float64."""
    total = torch.tensor(values, dtype=torch.float64)
    if not _alone():
        dist.all_reduce(total)
    return [float(value) for value in total]


def any_rank(flag: bool) -> bool:
    """Whether the flag is set on at least one rank."""
    return sum_values(float(flag))[0] > 0


def least(value: int) -> int:
    """The smallest of the ranks' whole numbers."""
    smallest = torch.tensor(value, dtype=torch.int64)
    if not _alone():
        dist.all_reduce(smallest, op=dist.ReduceOp.MIN)
    return int(smallest)


def broadcast_value(value: T, source: int = 0) -> T:
    """The value that rank ``source`` holds (any of :mod:`dist_stilts.parallel.messages`; keep it small)."""
    if _alone():
        return value
    message = _as_tensor(value) if dist.get_rank() == source else torch.empty(0, dtype=torch.uint8)
    size = torch.tensor(len(message))
    dist.broadcast(size, source)
    message = message if dist.get_rank() == source else torch.empty(int(size), dtype=torch.uint8)
    dist.broadcast(message, source)
    result: T = _as_value(message)
    return result


def gather_values(value: T) -> list[T]:
    """What every rank holds, by rank (any of :mod:`dist_stilts.parallel.messages`; keep it small)."""
    return [value] if _alone() else [_as_value(message) for message in gather_rows(_as_tensor(value))]


def scatter_values(values: list[T] | None) -> T:
    """This rank's of the values that rank 0 holds, one for each rank (any of :mod:`dist_stilts.parallel.messages`)."""
    if _alone():
        assert values is not None
        return values[0]
    parts = [_as_tensor(value) for value in values or []]
    sizes = torch.tensor([len(message) for message in parts] or [0] * dist.get_world_size())
    dist.broadcast(sizes, 0)
    own = torch.empty(int(sizes.max()), dtype=torch.uint8)
    dist.scatter(own, [_padded(message, len(own)) for message in parts] or None)
    result: T = _as_value(own[: int(sizes[dist.get_rank()])])
    return result


def gather_on_main(value: T) -> list[T]:
    """What every rank holds, by rank (any of :mod:`~dist_stilts.parallel.messages`): on rank 0, else nothing."""
    if _alone():
        return [value]
    message = _as_tensor(value)
    sizes = gather_values(len(message))
    parts = gather_tensor(_padded(message, max(sizes)))
    return [_as_value(part[:size]) for part, size in zip(parts, sizes, strict=False)]


def _as_tensor(value: object) -> torch.Tensor:
    return torch.frombuffer(bytearray(messages.write(value)), dtype=torch.uint8)


def _as_value(message: torch.Tensor) -> Any:
    return messages.read(message.numpy().tobytes())


def _padded(rows: torch.Tensor, length: int) -> torch.Tensor:
    """The rows, followed by zeros."""
    padded = rows.new_zeros(length, *rows.shape[1:])
    padded[: len(rows)] = rows
    return padded


def gather_tensor(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Every rank's CPU tensor, of one shape on all ranks, by rank: on rank 0; the others get an empty list."""
    if _alone():
        return [tensor]
    main = dist.get_rank() == 0
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())] if main else []
    dist.gather(tensor, parts or None)
    return parts


def gather_rows(rows: torch.Tensor) -> list[torch.Tensor]:
    """Every rank's CPU tensor, by rank, on every rank; their first sizes may differ and may be 0."""
    if _alone():
        return [rows]
    counts = [torch.zeros(1, dtype=torch.int64) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, torch.tensor([len(rows)]))
    longest = max(int(count) for count in counts)
    padded = _padded(rows, longest)
    parts = [torch.empty_like(padded) for _ in counts]
    if padded.numel():
        dist.all_gather(parts, padded)
    return [part[: int(count)] for part, count in zip(parts, counts, strict=True)]


def barrier() -> None:
    """Wait for all ranks."""
    if not _alone():
        dist.barrier()
