"""What the ranks of one world get back from every collective, and from building one folder at the same time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dist_stilts import once
from dist_stilts.parallel import collectives
from dist_stilts.parallel.world import World

SIZE = 10
# Rows of each rank, by number of ranks: uneven, and from two ranks on with one that has none.
SHARDS = {1: [range(10)], 2: [range(10), range(0)], 3: [range(7), range(0), range(7, 10)]}


def exchange(world: World, out: Path) -> dict[str, Any]:
    """Call everything once on this rank."""
    order = np.random.default_rng(0).permutation(SIZE)
    mine = order[np.array(SHARDS[world.size][world.rank], dtype=np.int64)]
    return {
        "table": collectives.sum_by_index(table()[mine], mine, SIZE),
        "numbers": collectives.sum_by_index(numbers()[mine], mine, SIZE),
        "doubled": error_of(lambda: collectives.sum_by_index(numbers()[[*mine, 4]], np.array([*mine, 4]), SIZE)),
        "missing": error_of(lambda: collectives.sum_by_index(numbers()[mine], mine, SIZE + 1)),
        "sums": collectives.sum_values(float(world.rank), 0.1, 2.0**53 if world.rank == 0 else 1.0),
        "any of none": collectives.any_rank(False),
        "any of the last": collectives.any_rank(world.rank == world.size - 1),
        "any of all": collectives.any_rank(True),
        "least": collectives.least(2**60 - world.rank),
        "from rank 0": collectives.broadcast_value({"rank": world.rank, "path": Path("a/b")}),
        "from the last": collectives.broadcast_value(world.rank, source=world.size - 1),
        "gathered": collectives.gather_values((world.rank, "a")),
        "gathered tensors": [part.tolist() for part in collectives.gather_tensor(torch.full((3,), float(world.rank)))],
        "gathered rows": [part.numpy() for part in collectives.gather_rows(torch.from_numpy(table()[mine]))],
        "gathered nothing": [tuple(part.shape) for part in collectives.gather_rows(torch.empty(0, 3))],
        "built": build(world, out),
    }


def table() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((SIZE, 3)).astype(np.float32)


def numbers() -> np.ndarray:
    return np.arange(SIZE) * 7 - 3


def error_of(call: Callable[[], object]) -> str:
    """The RuntimeError's message; empty if there was none."""
    try:
        call()
    except RuntimeError as error:
        return str(error)
    return ""


def build(world: World, out: Path) -> dict[str, Any]:
    """Build a slow folder on all ranks at the same time; what this rank did and then found."""

    def make(folder: Path) -> None:
        (out / f"maker-{os.getpid()}").touch()
        (folder / "first").write_text("1", encoding="utf-8")
        time.sleep(0.5)
        (folder / "last").write_text("2", encoding="utf-8")

    collectives.barrier()
    worked = once.build(out / "built", make)
    found = sorted(path.name for path in (out / "built").iterdir())
    collectives.barrier()
    return {"worked": worked, "found": found, "makers": len(list(out.glob("maker-*")))}
