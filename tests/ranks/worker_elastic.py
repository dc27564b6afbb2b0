"""One training that is asked to stop and goes on at other numbers of ranks and ZeRO stages (law 2).

``OUT CONFIG STEP``: train from what is on disk; one rank gets SIGTERM in the middle of step STEP (0 = none does).
"""

from __future__ import annotations

import sys
import zlib
from itertools import chain
from pathlib import Path
from typing import Any

import tiny
from trainings import Training, in_precision, signal_in

from dist_stilts.errors import UserError
from dist_stilts.parallel import preemption
from dist_stilts.parallel.collectives import gather_values
from dist_stilts.parallel.world import World, started
from dist_stilts.train import loop
from dist_stilts.train.ahead import Make
from dist_stilts.train.checkpoint import TrainState
from dist_stilts.train.loop import Meter, Work

SEEN: list[list[int]] = []  # checksums of the rows that this rank took, step by step
signal_in(int(sys.argv[3]))
signalled = loop.take_step


def watched(engine: Any, work: Work, batches: Make, rate: float, state: TrainState, meter: Meter, world: World) -> bool:
    """A step of the loop; notes which rows the rank takes."""
    micro_batches = batches(state.step).micro_batches
    rows = [ids for batch in micro_batches for ids in batch["input_ids"].split(batch["lengths"].tolist())]
    SEEN.append([zlib.crc32(ids.numpy().tobytes()) for ids in rows])
    return signalled(engine, work, batches, rate, state, meter, world)


def main() -> None:
    out = Path(sys.argv[1])
    with started(timeout_seconds=180) as world, preemption.listening():
        training = training_in(out, sys.argv[2], world)
        first, code = training.state.step, 0
        try:
            training.finish()
        except UserError as error:
            code = error.code
        results: dict[str, Any] = {"first": first, "step": training.state.step, "code": code}
        results |= {"logged": training.logged, "weights": training.weights(), "chosen": len(training.selection.chosen)}
        results["rows"] = [sorted(chain(*rows)) for rows in zip(*gather_values(SEEN), strict=True)]
        tiny.save_for(world.rank, results)


def training_in(out: Path, config: str, world: World) -> Training:
    file = in_precision(config, out / "config", world)
    settings = tiny.train_config(file, world.size, 1, save_every=6, max_micro_tokens=60, select="average", averaged=5)
    loop.take_step = watched
    return Training(tiny.model(["xnli"]), ["xnli"], settings, world, out)


if __name__ == "__main__":
    main()
