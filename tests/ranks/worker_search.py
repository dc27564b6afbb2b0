"""Searches every case of :data:`CASES` as one of the ranks: argument 1 is the folder for the results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tiny
import torch
from torch import Tensor

from dist_stilts.errors import UserError
from dist_stilts.parallel.world import World, started
from dist_stilts.search import neighbours, sharded, tiles

CELL = 32
ROWS, COLUMNS, WIDTH = 140, 75, 24  # five cells and three, the last ones not full


def main() -> None:
    folder = Path(sys.argv[1])
    tiles.CELL_ROWS["cpu"] = CELL
    with started(timeout_seconds=120) as world:
        results: dict[Any, Any] = {}
        for precision in ("fp32", "bf16"):
            for name, (source, target, k) in cases().items():
                results[name, precision] = search(source, target, k, world, precision)
            source, target, k = cases()["random"]
            mapped = (on_disk(folder / f"{side}-{world.rank}.npy", rows) for side, rows in enumerate((source, target)))
            results["mapped", precision] = search(*mapped, k, world, precision)
            if world.size == 1:
                found = neighbours.both_directions(source, target, k, precision=precision)
                results["without a world", precision] = plain(found)
        results["message"] = message(world)
        tiny.save_for(world.rank, results)


def cases() -> dict[str, tuple[Tensor, Tensor, int]]:
    """Source, target and k."""
    source, target = unit_rows(ROWS, 0), unit_rows(COLUMNS, 1)
    few = target.clone()
    few[25:50] = torch.nn.functional.normalize(target[0] + 1e-4 * unit_rows(25, 2), dim=1)
    whole = torch.randint(-1, 2, (ROWS, 3), generator=torch.Generator().manual_seed(3)).float()
    return {
        "random": (source, target, 4),
        "duplicates": (torch.cat([source, source[:40]]), torch.cat([target, source[:40]]), 4),
        "near duplicates": (torch.cat([source, few[25:30]]), few, 4),
        "true ties": (whole, whole[:COLUMNS], 5),
        "collapsed": (torch.ones(ROWS, WIDTH), torch.ones(COLUMNS, WIDTH), 3),
        "one row": (source[:1], target, 4),
        "k above the rows": (source[:30], target[:3], 5),
        "no source": (source[:0], target, 4),
        "no target": (source, target[:0], 4),
    }


def unit_rows(rows: int, seed: int) -> Tensor:
    numbers = torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(numbers, dim=1)


def on_disk(path: Path, rows: Tensor) -> np.ndarray:
    np.save(path, rows.numpy())
    return np.load(path, mmap_mode="r")


def search(source: Any, target: Any, k: int, world: World, precision: Any) -> dict[str, Any]:
    """What was found, and how many tiles this rank searched."""
    told = [0]
    found = sharded.both_directions(
        source, target, k, world, precision=precision, memory_bytes=1, progress=lambda done, total: told.append(total)
    )
    return {**plain(found), "tiles": told[-1]}


def plain(found: neighbours.Found) -> dict[str, Any]:
    forward, backward, again = found
    return {
        "forward": (forward.scores.numpy(), forward.ids.numpy()),
        "backward": (backward.scores.numpy(), backward.ids.numpy()),
        "searched again": again,
    }


def message(world: World) -> str:
    """What is said of one bad row, which is not among the source rows of every rank."""
    broken = unit_rows(ROWS, 0)
    broken[7, 0] = torch.nan
    try:
        sharded.both_directions(broken, broken[:5], 1, world)
    except UserError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main()
