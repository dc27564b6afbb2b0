"""One training that is asked to stop and goes on at other numbers of ranks and ZeRO stages (law 2).

``OUT CONFIG STEP``: train from what is on disk; one rank gets SIGTERM in the middle of step STEP (0 = none does).
"""

from __future__ import annotations

import os
import signal
import sys
import zlib
from itertools import chain
from pathlib import Path
from typing import Any

import tiny
from trainings import Training, in_precision

from dist_stilts.data.batches import Step, Stream
from dist_stilts.errors import UserError
from dist_stilts.parallel import preemption
from dist_stilts.parallel.collectives import gather_values
from dist_stilts.parallel.world import World, started

SEEN: list[list[int]] = []  # checksums of the rows that this rank took, step by step
STOP_AT = int(sys.argv[3])


class Watched(Stream):
    """Notes which rows a rank takes, and sends the signal."""

    def step(self, turn: int, rank: int, ranks: int) -> Step:
        step = super().step(turn, rank, ranks)
        rows = [ids for batch in step.micro_batches for ids in batch["input_ids"].split(batch["lengths"].tolist())]
        SEEN.append([zlib.crc32(ids.numpy().tobytes()) for ids in rows])
        if turn == STOP_AT - 1 and rank == ranks - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step


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
    training = Training(tiny.model(["xnli"]), ["xnli"], settings, world, out)
    training.streams = [Watched(**vars(stream)) for stream in training.streams]
    return training


if __name__ == "__main__":
    main()
