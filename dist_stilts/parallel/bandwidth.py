"""How fast the ranks sum tensors together: time and bandwidth of all-reduce by size of message.

Every rank of a started group calls :func:`measure` and gets the same figures; with one process there is nothing to send
and the bus bandwidth is 0. The device, and with it the backend, is the world's: NCCL on GPUs, gloo on CPUs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist

from dist_stilts.conventions import KIB
from dist_stilts.parallel.collectives import barrier, gather_values
from dist_stilts.parallel.world import current

SIZES = tuple(KIB * 16**power for power in range(5))
"""Bytes of the messages: 1 KiB to 64 MiB."""
BYTES_PER_NUMBER = 4
MAX_ROUNDS = 20
ROUNDS_SECONDS = 0.5
"""About how long one size is repeated."""
SLOW_SECONDS = 5.0
"""A size whose one round takes longer is the last one measured."""


@dataclass(frozen=True)
class Figure:
    """All-reduce of one size of message.

    ``algorithm_gb_s`` is bytes per second of the message, ``bus_gb_s`` what that asks of the slowest link, both in
    10^9 bytes per second.
    """

    bytes: int
    seconds: float
    algorithm_gb_s: float
    bus_gb_s: float


def measure(sizes: Sequence[int] = SIZES) -> list[Figure]:
    """Time all-reduce of float32 for each size in bytes, smallest first; of the ranks' mean times the slowest counts.

    Raises:
        RuntimeError: the ranks' sum is wrong (on every rank alike).
    """
    _check_sum()
    figures = []
    for size in sizes:
        numbers = torch.zeros(size // BYTES_PER_NUMBER, device=current().device)
        first = min(_slowest(numbers, 1) for _ in range(2))  # the very first makes connections
        rounds = max(1, min(MAX_ROUNDS, int(ROUNDS_SECONDS / max(first, 1e-6))))
        figures.append(figure(size, _slowest(numbers, rounds), current().size))
        if first > SLOW_SECONDS:
            break
    return figures


def figure(size: int, seconds: float, ranks: int) -> Figure:
    """The bandwidths of an all-reduce of ``size`` bytes that took so long.

    Bus bandwidth is the algorithm's times 2(n-1)/n: with n ranks at least so many times the message passes through each
    rank's link, so that the figure is to be compared with the hardware's, whatever n (NVIDIA nccl-tests,
    doc/PERFORMANCE.md, "Bus bandwidth").
    """
    algorithm = size / seconds / 1e9
    return Figure(size, seconds, algorithm, algorithm * 2 * (ranks - 1) / ranks)


def _slowest(numbers: torch.Tensor, rounds: int) -> float:
    """Seconds per round on the slowest rank; the same on all, so that all repeat equally often."""
    barrier()
    start = time.perf_counter()
    for _ in range(rounds):
        _sum(numbers)
    if numbers.is_cuda:
        torch.cuda.synchronize(numbers.device)
    return max(gather_values((time.perf_counter() - start) / rounds))


def _check_sum() -> None:
    """RuntimeError unless ranks 1 to n add up to what they should."""
    world = current()
    total = torch.full((1024,), float(world.rank + 1), device=world.device)
    _sum(total)
    expected = world.size * (world.size + 1) / 2
    right = gather_values(bool((total == expected).all()))
    if not all(right):
        wrong = [rank for rank, good in enumerate(right) if not good]
        raise RuntimeError(f"the sum over {world.size} ranks is wrong on ranks {wrong}")


def _sum(numbers: torch.Tensor) -> None:
    if current().size > 1:
        dist.all_reduce(numbers)
