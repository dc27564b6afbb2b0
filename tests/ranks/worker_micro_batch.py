"""The `auto` micro-batch on ranks with unequal room: argument 1 is the folder for the results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tiny
import torch

from dist_stilts.errors import UserError
from dist_stilts.model.heads import head_name
from dist_stilts.parallel.world import World, started
from dist_stilts.tasks.registry import get_task
from dist_stilts.train import micro_batch
from dist_stilts.train.memory import free_bytes


def main() -> None:
    file = Path(sys.argv[1]) / "micro_tokens.json"
    with started(timeout_seconds=180) as world:
        found: dict[str, Any] = {"free": free_bytes(world), "whole": probe(world, 0)}
        micro_batch.counter = lambda *_: lambda tokens: tokens <= 20 * (9 - 3 * world.rank)  # type: ignore[assignment]
        found["least"] = probe(world, 0)
        found["kept"] = [micro_batch.remembered(file, world, lambda tokens=tokens: tokens) for tokens in (7, 8)]
        micro_batch.counter = lambda *_: lambda tokens: world.rank == 0  # type: ignore[assignment]
        try:
            probe(world, 0)
        except UserError as error:
            found["error"] = str(error)
        tiny.save_for(world.rank, found)


def probe(world: World, reserve: int) -> int:
    model = tiny.model(["xnli"])
    works = [(head_name(get_task("xnli")), tiny.stream("xnli"))]
    return micro_batch.probe(model, works, 12, reserve, torch.float32, world)


if __name__ == "__main__":
    main()
