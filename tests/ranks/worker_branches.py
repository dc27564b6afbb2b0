"""One training at a constant rate in two parts, the second of which goes on with the first one's state.

``OUT begin``: in bf16 and in fp32 the whole training and its first part; in bf16 the second part with a new optimiser,
and the second part as it should be, until one rank gets SIGTERM. ``OUT go-on``: the second part from there.
``OUT elsewhere``: the second part in fp32 at another stage of ZeRO.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import tiny
import torch
from trainings import Training, in_precision, signal_in

from dist_stilts.data.batches import Step, Stream
from dist_stilts.errors import UserError
from dist_stilts.layout import RunFolder
from dist_stilts.parallel import preemption
from dist_stilts.parallel.world import World, started
from dist_stilts.train.checkpoint import TrainState, finished, resume
from dist_stilts.train.owned_state import owned_state
from dist_stilts.train.plan import TrainConfig

OUT = Path(sys.argv[1])
CUT = 8  # optimiser steps in the first part, of 20
STOP = 7  # the step of the second part in which the signal comes; checkpoints are taken after every fifth


class Later(Stream):
    """The batches that come after those of the first part."""

    def step(self, turn: int, rank: int, ranks: int) -> Step:
        return super().step(turn + CUT, rank, ranks)


class SecondPart(Training):
    """Goes on from its own newest checkpoint, else from the end of the first part."""

    def __init__(self, config: TrainConfig, world: World, before: RunFolder, out: Path) -> None:
        self.before = finished(before)[0]
        super().__init__(tiny.model(["xnli"]), ["xnli"], config, world, out)
        self.streams = [Later(**vars(stream)) for stream in self.streams]

    def resumed(self, data: str) -> tuple[TrainState, list[torch.Tensor]]:
        """Load what it goes on from."""
        return resume(self.run, self.engine, data, self.world, self.warnings.append, self.before)


class Cold(SecondPart):
    """Goes on with the weights alone."""

    def resumed(self, data: str) -> tuple[TrainState, list[torch.Tensor]]:
        """Load everything, and forget the optimiser's part of it."""
        found = super().resumed(data)
        owned = owned_state(self.engine)
        for flat in (*owned.partitions["exp_avg"], *owned.partitions["exp_avg_sq"], *owned.steps):
            flat.zero_()
        return found


def main() -> None:
    with started(timeout_seconds=180) as world, preemption.listening():
        tiny.save_for(world.rank, {"begin": begin, "go-on": go_on, "elsewhere": elsewhere}[sys.argv[2]](world))
        gc.collect()  # engines hold the process group, which must not outlive this block


def begin(world: World) -> dict[str, Any]:
    found = {}
    for precision in ("bf16", "fp32"):
        for name, steps in (("whole", tiny.STEPS), ("first", CUT)):
            folder = OUT / precision / name
            part = Training(tiny.model(["xnli"]), ["xnli"], config(f"zero2_{precision}", steps, world), world, folder)
            found[f"{name} {precision}"] = told(part)
    found["cold"] = told(second(Cold, "zero2_bf16", world, "cold"))
    signal_in(STOP)
    return {**found, "stopped": go_on(world)}


def go_on(world: World) -> dict[str, Any]:
    return told(second(SecondPart, "zero2_bf16", world, "second"))


def elsewhere(world: World) -> dict[str, Any]:
    return told(second(SecondPart, "zero3_fp32", world, "second"))


def second(kind: type[SecondPart], name: str, world: World, folder: str) -> SecondPart:
    place = OUT / name[-4:]
    return kind(config(name, tiny.STEPS - CUT, world), world, RunFolder(place / "first"), place / folder)


def config(name: str, steps: int, world: World) -> TrainConfig:
    changes: dict[str, Any] = {"steps": steps, "schedule": "constant", "warmup": 0.0, "save_every": 5}
    return tiny.train_config(in_precision(name, OUT / "config", world), world.size, 2, **changes)


def told(part: Training) -> dict[str, Any]:
    """Train to the end, or to the signal; what there is to say of it."""
    first, code = part.state.step, 0
    try:
        part.finish()
    except UserError as error:
        code = error.code
    count = [int(count) for count in owned_state(part.engine).steps]
    found = {"first": first, "code": code, "count": count, "logged": part.logged, "weights": part.weights()}
    part.engine.destroy()
    return found


if __name__ == "__main__":
    main()
