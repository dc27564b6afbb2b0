"""Predicts a made-up file: arguments are the folder, the model and, to be stopped, after how many rows."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path

from dist_stilts.apply.job import Request, predict_files
from dist_stilts.errors import UserError
from dist_stilts.model.fine_tuned import open_model
from dist_stilts.parallel import preemption
from dist_stilts.parallel.world import started

signal.alarm(330)  # the last resort, if the tests were killed and cannot end their ranks


def main() -> None:
    out, model, stop = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    inputs = [str(out.parent / "in.csv")]

    def watch(_: str, done: int, total: int) -> None:
        if 0 < stop <= done < total:
            os.kill(os.getpid(), signal.SIGTERM)

    with started(timeout_seconds=60) as world, preemption.listening():
        for suffix in ("jsonl", "parquet"):
            request = Request(model, inputs, str(out / f"out.{suffix}"), partial(open_model, model))
            predict_files(request, world, print, watch)
        (out / f"refused-{world.rank}").write_text(refused(model, out, world), encoding="utf-8")


def refused(model: str, out: Path, world: object) -> str:
    """What every rank hears of a bad input, which rank 0 alone has read."""
    bad = out.parent / "bad.csv"
    try:
        predict_files(Request(model, [str(bad)], str(out / "bad.jsonl"), partial(open_model, model)), world, print)  # type: ignore[arg-type]
    except UserError as error:
        return str(error)
    return "nothing"


main()
