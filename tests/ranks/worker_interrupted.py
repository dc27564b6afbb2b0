"""A run with dropout in bf16, in two starts of the program (law 2).

``OUT die``: train once to the end, then again in another folder, where rank 1 raises in the middle of a step: the
process group must fall apart on its own (law 10). ``OUT go-on``: the same program again, from what is on disk.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import tiny
from trainings import Training

from dist_stilts.data.batches import Step, Stream
from dist_stilts.errors import UserError
from dist_stilts.parallel.world import World, started

DEATH = 7  # batches drawn before rank 1 dies: after the checkpoints of steps 3 and 6
DROPOUT = 0.1


class Broken(Stream):
    """Rows of which one cannot be read."""

    def step(self, turn: int, rank: int, ranks: int) -> Step:
        if turn == DEATH and rank == 1:
            (Path(sys.argv[1]) / "died").write_text(str(time.time()), encoding="utf-8")
            raise ValueError("row 170 cannot be read")
        return super().step(turn, rank, ranks)


def main() -> None:
    out = Path(sys.argv[1])
    with started(timeout_seconds=90) as world:
        if sys.argv[2] == "die":
            whole = training(world, out / "whole")
            tiny.save_for(world.rank, finished(whole))
            whole.engine.destroy()
            broken = training(world, out / "broken")
            broken.streams = [Broken(**vars(stream)) for stream in broken.streams]
            broken.finish()
        else:
            tiny.save_for(world.rank, go_on(world, out))


def training(world: World, folder: Path) -> Training:
    config = tiny.train_config("zero2_bf16", world.size, 2, save_every=3, keep=2)
    return Training(tiny.model(["xnli"], DROPOUT), ["xnli"], config, world, folder)


def finished(training: Training) -> dict[str, Any]:
    """Train to the end; everything that a later start must reproduce."""
    first = training.state.step
    state = training.finish()
    moments = training.engine.optimizer.optimizer.state_dict()["state"]  # this rank's share
    return {
        "first_step": first,
        "logged": training.logged,
        "tokens": state.tokens,
        "weights": training.weights(),
        "moments": {(group, name): value for group, state in moments.items() for name, value in state.items()},
    }


def go_on(world: World, out: Path) -> dict[str, Any]:
    """Resume the broken run; then what refusals and a damaged checkpoint lead to."""
    broken = training(world, out / "broken")
    results: dict[str, Any] = finished(broken)
    results["other rows"] = refusal(broken, "other rows")
    if world.is_main:
        damage(out / "whole" / "checkpoints" / "step-000020")
    whole = training(world, out / "whole")
    return {**results, "after damage": {"step": whole.state.step, "warnings": whole.warnings}}


def refusal(training: Training, data: str) -> str:
    try:
        state, _ = training.resumed(data)
    except UserError as error:
        return str(error)
    return f"resumed at {state.step}"


def damage(folder: Path) -> None:
    """Turn over one bit of the largest file."""
    largest = max(json.loads((folder / "COMPLETE").read_text()), key=lambda name: (folder / name).stat().st_size)
    content = bytearray((folder / largest).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / largest).write_bytes(content)


if __name__ == "__main__":
    main()
