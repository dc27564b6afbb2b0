"""Trains each case that the arguments after the folder name: ``plain TASKS`` or ``CONFIG TASKS ACCUMULATION``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import plain
import tiny
from trainings import train_case

from dist_stilts.parallel.world import World, started


def trained(case: str, world: World) -> dict[str, Any]:
    config, tasks, *accumulation = case.split()
    if config == "plain":
        return plain.train(tasks.split("+"))
    return train_case(config, tasks, int(accumulation[0]), world, Path(sys.argv[1]) / "none")


if __name__ == "__main__":
    with started(timeout_seconds=180) as world:
        tiny.save_for(world.rank, {case: trained(case, world) for case in sys.argv[2:]})
