"""Trains what cannot be trained, each case that the arguments after the folder name: ``WHAT CONFIG``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tiny
from trainings import FiniteLossNanGradient, NanOnce, failure, with_nan_weight

from dist_stilts.parallel.world import World, started

MODELS = {
    "loss": with_nan_weight,
    "weights": with_nan_weight,
    "always": FiniteLossNanGradient,
    "gradient": FiniteLossNanGradient,
    "once": lambda: NanOnce(4, rank=1),
}
ALLOWED = {"always": 3, "once": 3, "weights": 3}


def failed(case: str, world: World) -> dict[str, Any]:
    what, config = case.split()
    return failure(MODELS[what](), config, world, Path(sys.argv[1]) / f"{what}-{config}", ALLOWED.get(what, 0))


if __name__ == "__main__":
    with started(timeout_seconds=180) as world:
        tiny.save_for(world.rank, {case: failed(case, world) for case in sys.argv[2:]})
