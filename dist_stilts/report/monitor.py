"""What a person watches while a phase trains: a progress line, TensorBoard events, ``metrics.jsonl``.

Only rank 0 makes a :class:`Monitor` that writes; the others make a silent one and call it all the same.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from types import TracebackType

from dist_stilts.errors import EXIT_AGAIN
from dist_stilts.layout import RunFolder
from dist_stilts.report.events import FAILED, FINISHED, EventFile, withdraw_verdict, write_verdict
from dist_stilts.report.progress import Progress, rate, say
from dist_stilts.results.jsonl import append

__all__ = ["Monitor", "Progress", "record_final", "say"]


class Monitor:
    """Writes one phase's metrics to all three places, and says in the end how it went.

    A phase that ends with an error has failed, unless it was asked to stop: then the next process goes on with it.

    Args:
        active: whether this rank writes.
        first_step: steps already taken; what an earlier process wrote about later ones, before it died, is void.
        ranks: how many share the work.
    """

    def __init__(self, run: RunFolder, title: str, steps: int, first_step: int, active: bool, ranks: int = 1) -> None:
        self.run, self.ranks, self.step = run, ranks, first_step
        self.progress = Progress(title, steps, first_step, silent=not active)
        self.events = self._start() if active else None

    def _start(self) -> EventFile:
        withdraw_verdict(self.run.events)
        if self.run.metrics.exists():
            append(self.run.metrics, {"event": "resumed", "step": self.step, "time": time.time()})
        events = EventFile(self.run.events)
        events.restart(self.step)
        return events

    def hyperparameters(self, values: Mapping[str, object]) -> None:
        """What the phase was told to do, for TensorBoard's HPARAMS tab; resumed, it says so again and counts once."""
        if self.events:
            self.events.hyperparameters(values)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Training metrics after ``step``.

        Args:
            values: ``learning_rate``, ``tokens_per_second`` (real ones, all ranks together), ``padding`` (share of all
                slots), and, unless every step was left out, ``loss`` and ``grad_norm``; where known ``mfu`` (share of
                the peak) and ``skipped`` (steps left out so far); anything else is written and not shown.
        """
        self.progress.update(step, note(values, self.ranks))
        self._write("train", step, values)

    def score(self, step: int, values: Mapping[str, float]) -> None:
        """Scores on English dev after ``step``, in percent."""
        self._write("dev", step, values)

    def final(self, scores: Mapping[str, float]) -> None:
        """What came out of the phase, in percent; the HPARAMS tab shows it beside the hyperparameters."""
        self._write("final", self.step, scores)

    def _write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        self.step = step
        if self.events:
            _record(self.run, self.events, kind, step, values)

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.__exit__()
        if not self.events:
            return
        self.events.__exit__()
        asked_to_stop = isinstance(error, KeyboardInterrupt) or getattr(error, "code", None) == EXIT_AGAIN
        if not asked_to_stop:
            write_verdict(self.run.events, FAILED if error else FINISHED)


def note(values: Mapping[str, float], ranks: int) -> str:
    """The metrics of :meth:`Monitor.log` in one short line; tokens per second are each rank's share."""
    parts = [
        f"loss {values['loss']:.3f}" if "loss" in values else "no loss",
        f"lr {values['learning_rate']:.1e}",
        f"|g| {values['grad_norm']:.2f}" if "grad_norm" in values else "no |g|",
        f"{rate(values['tokens_per_second'] / ranks)} tok/s/rank",
        f"pad {values['padding']:.0%}",
    ]
    if "mfu" in values:
        parts.append(f"MFU {values['mfu']:.1%}")
    if values.get("skipped"):
        parts.append(f"skipped {values['skipped']:.0f}")
    return " ".join(parts)


def record_final(run: RunFolder, step: int, scores: Mapping[str, float]) -> None:
    """:meth:`Monitor.final` for scores that come after the monitor is closed; said twice, the last word counts."""
    with EventFile(run.events) as events:
        _record(run, events, "final", step, scores)


def _record(run: RunFolder, events: EventFile, kind: str, step: int, values: Mapping[str, float]) -> None:
    """To ``metrics.jsonl``, where what is not finite is null, and to TensorBoard, which draws it as a triangle."""
    finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
    append(run.metrics, {"event": kind, "step": step, **finite, "time": time.time()})
    events.scalars(step, {f"{kind}/{name}": value for name, value in values.items()})
