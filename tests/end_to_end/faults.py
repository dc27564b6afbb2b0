"""Hurt a training at a chosen moment, start it again, and compare where it ends with where it would have ended.

A *job* is one phase of a recipe in a run folder. ``reference`` runs it undisturbed; ``torment`` kills it time after
time and lets it finish. What a kill met (a save, an evaluation) is seen, not guessed: a save is going on while its
``.partial`` folder exists, and an evaluation while some rank's stack is in ``dist_stilts/evaluate``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from warm_ranks import Before, Ranks

from dist_stilts.layout import RunFolder
from dist_stilts.writing import COMPLETE, is_complete

KINDS = {
    "SIGKILL all": (signal.SIGKILL, None),
    "SIGKILL one": (signal.SIGKILL, 1),
    "SIGTERM all": (signal.SIGTERM, None),
    "SIGUSR1 one": (signal.SIGUSR1, 1),
}
"""Name to signal and number of ranks that get it."""
RECIPE = Path(__file__).with_name("faults.yaml")
PHASES = ("best", "average", "mixture")
WEIGHTS = "model/**/*.safetensors"
SECONDS_TO_END = 60.0
"""Within which all ranks end when they should."""
SECONDS_TO_FINISH = 120.0
SECONDS_BETWEEN_LOOKS = 0.002


@dataclass(frozen=True)
class Job:
    """One phase of a recipe in an output folder whose data are prepared."""

    recipe: Path
    phase: str
    out: Path
    overrides: tuple[str, ...] = ()

    @cached_property
    def run(self) -> RunFolder:
        """Where the run is."""
        return RunFolder(self.out / self.recipe.stem / self.phase)

    @property
    def arguments(self) -> list[str]:
        """Those of ``dist-stilts`` in each rank."""
        return ["train", str(self.recipe), "--phase", self.phase, f"out={self.out}", *self.overrides]

    def prepare(self) -> None:
        """Make the world and tokenise it for all phases."""
        ranks = Ranks(["prepare", str(self.recipe), f"out={self.out}"], self.out / "logs" / "prepare", size=1)
        try:
            assert ranks.wait(SECONDS_TO_FINISH) == [0], ranks.stderr()
        finally:
            ranks.kill()

    def start(self, before: Before | None = None) -> Ranks:
        """Start the ranks; the caller sees to their end."""
        return Ranks(self.arguments, self.out / "logs" / self.phase, before=before)

    def finish(self, before: Before | None = None, seconds: float = SECONDS_TO_FINISH) -> Ranks:
        """Start the ranks and wait for their end, whatever it is."""
        ranks = self.start(before)
        try:
            ranks.wait(seconds)
        finally:
            ranks.kill()
        return ranks

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Lines of metrics.jsonl of one kind; a torn last line is left out."""
        if not self.run.metrics.exists():
            return []
        lines = self.run.metrics.read_text().splitlines()
        return [event for line in lines if (event := _parsed(line)).get("event") == kind]

    def woke(self, since: float) -> bool:
        """Whether anything was logged."""
        return any(event["time"] >= since for kind in ("resumed", "train", "dev") for event in self.events(kind))

    def resumptions(self, since: float = 0.0) -> list[int]:
        """Steps from which starts went on."""
        return [event["step"] for event in self.events("resumed") if event["time"] >= since]

    def checkpoints(self) -> list[int]:
        """Steps of the finished checkpoints, oldest first."""
        return sorted(int(path.parent.name[5:]) for path in self.run.checkpoints.glob(f"step-*/{COMPLETE}"))

    def saving(self) -> bool:
        """Whether an unfinished checkpoint is there."""
        return any(self.run.checkpoints.glob(".*.partial"))

    def status(self) -> dict[str, Any]:
        """status.json, or nothing."""
        return json.loads(self.run.status.read_text()) if self.run.status.exists() else {}

    def clear(self) -> None:
        """Delete the run, not the data."""
        shutil.rmtree(self.run.path, ignore_errors=True)


@dataclass(frozen=True)
class Outcome:
    """All that must not depend on how often a run was interrupted.

    Attributes:
        weights: bytes of the exported files; curves: (event, step) to losses and scores; results: the final scores.
        seconds: from the first logged step to the end.
    """

    weights: dict[str, bytes]
    curves: dict[tuple[str, int], dict[str, float]]
    results: list[tuple[Any, ...]]
    seconds: float = field(compare=False)

    def differences(self, other: Outcome) -> list[str]:
        """In words, what is not bit-identical."""
        files = sorted(self.weights.keys() | other.weights.keys())
        found = [name for name in files if self.weights.get(name) != other.weights.get(name)]
        keys = self.curves.keys() | other.curves.keys()
        found += [f"{key[0]} {key[1]}" for key in sorted(keys) if self.curves.get(key) != other.curves.get(key)]
        return found + ["results.jsonl"] * (self.results != other.results)


@dataclass
class Kill:
    """One kill and what came of it.

    Attributes:
        during: what it met: ``start``, ``training``, ``save``, ``evaluation``, ``scoring``.
        codes: exit code per rank; seconds: until all had ended.
        logged: the last step in metrics.jsonl; kept: the newest finished checkpoint, 0 if there is none.
        resumed: step from which the next start went on; None if it had nothing left to train.
        said: stderr of the ranks, and of the next start.
    """

    kind: str
    aim: str
    during: str
    codes: list[int | None]
    seconds: float
    status: dict[str, Any]
    logged: int
    kept: int
    exported: bool
    said: str
    resumed: int | None = None
    said_next: str = ""


def outcome(job: Job) -> Outcome:
    """Read what a finished run left.

    Raises:
        AssertionError: a step was logged twice with different numbers.
    """
    curves: dict[tuple[str, int], dict[str, float]] = {}
    for kind in ("train", "dev"):
        for event in job.events(kind):
            values = {name: value for name, value in event.items() if name not in _OF_THE_CLOCK}
            there = curves.setdefault((kind, event["step"]), values)
            assert there == values, f"{kind} {event['step']} differs between starts: {there} and {values}"
    records = [json.loads(line) for line in job.run.results.read_text().splitlines()]
    fields = ("task", "split", "language", "metric", "value", "count")
    times = [event["time"] for event in job.events("train")]
    return Outcome(
        weights(job),
        curves,
        sorted(tuple(record[name] for name in fields) for record in records),
        time.time() - min(times, default=time.time()),
    )


def weights(job: Job) -> dict[str, bytes]:
    """The exported files' content by name, encoder and heads."""
    return {str(file.relative_to(job.run.path)): file.read_bytes() for file in sorted(job.run.path.glob(WEIGHTS))}


_OF_THE_CLOCK = ("time", "tokens_per_second", "seconds", "mfu", "seconds_left")


def reference(job: Job) -> Outcome:
    """Run a job undisturbed; its folder is deleted."""
    ranks = job.finish()
    assert ranks.codes == [0, 0], ranks.stderr()
    found = outcome(job)
    job.clear()
    return found


def torment(job: Job, kills: list[tuple[str, str]], whole: Outcome, seed: int) -> Iterator[Kill | list[str]]:
    """Kill a job once per (kind, aim), in order, each time after starting it again, and let it finish.

    A run that finishes before its kill's moment is begun afresh.

    Yields:
        Each kill once its consequences are known; and for each finished run, how it differs from the undisturbed one.

    Raises:
        AssertionError: a start that was left alone did not finish, or a kill never met what it was aimed at.
    """
    random, waiting, idle = Random(seed), list(kills), 0
    open_: list[
        Kill
    ] = []  # kills whose consequences are not known yet: the start after them was killed before its work
    while waiting or open_:
        ranks = job.start()
        try:
            kill = strike(job, ranks, *waiting[0], random, whole.seconds) if waiting else None
            ranks.wait(SECONDS_TO_FINISH)
        finally:
            ranks.kill()
        if not kill or job.woke(ranks.started):
            for before in open_:
                before.resumed, before.said_next = resumed_at(job, ranks, before), ranks.stderr()
                yield before
            open_ = []
        if kill:
            waiting.pop(0)
            open_.append(kill)
            continue
        assert ranks.codes == [0, 0], f"left alone, the ranks ended with {ranks.codes}:\n{ranks.stderr()}"
        yield outcome(job).differences(whole)
        job.clear()
        idle += 1
        assert idle <= len(kills) + 3, f"no {waiting[0]} was possible in {idle} runs"


def strike(job: Job, ranks: Ranks, kind: str, aim: str, random: Random, span: float) -> Kill | None:
    """Kill ranks at a moment of the wanted kind and wait for the end of all; None if they finished before it came.

    Args:
        span: seconds from the first logged step to the end of an undisturbed run.
    """
    during = await_moment(job, ranks, aim, random, span)
    if during is None:
        return None
    number, count = KINDS[kind]
    at = time.monotonic()
    ranks.send(number, random.sample(range(len(ranks.processes)), count) if count else None)
    codes = ranks.wait(SECONDS_TO_END)
    if not any(codes):  # too late: they had nothing left to do
        return None
    if number == signal.SIGKILL and during == "training" and job.saving():
        during = "save"
    logged = [event["step"] for event in job.events("train")]
    return Kill(
        kind,
        aim,
        during,
        codes,
        time.monotonic() - at,
        job.status(),
        max(logged, default=0),
        max(job.checkpoints(), default=0),
        is_complete(job.run.model),
        ranks.stderr(),
    )


def await_moment(job: Job, ranks: Ranks, aim: str, random: Random, span: float) -> str | None:
    """Wait for a moment of the wanted kind; returns what is going on then, or None if the ranks ended first."""
    if aim == "start":
        deadline = time.monotonic() + random.uniform(0.05, 0.6)  # a start takes longer, also on an idle machine
        while time.monotonic() < deadline and not _stepped(job, ranks):
            if not _sleep(ranks, SECONDS_BETWEEN_LOOKS):
                return None
        return doing(job, ranks) if _stepped(job, ranks) else "start"
    while not _stepped(job, ranks):
        if not _sleep(ranks, SECONDS_BETWEEN_LOOKS):
            return None
    if not _sleep(ranks, random.uniform(0, span / 4)):  # several kills share one run: each takes its first part
        return None
    while ranks.running:
        if aim in ("any", "evaluation") or (job.saving() if aim == "save" else is_complete(job.run.model)):
            now = doing(job, ranks)
            if aim in ("any", now):
                return now
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return None


def doing(job: Job, ranks: Ranks) -> str:
    """What the ranks are doing at this moment."""
    if any(f"dist_stilts{os.sep}evaluate{os.sep}" in stack for stack in ranks.stacks()):
        return "scoring" if is_complete(job.run.model) else "evaluation"
    return "save" if job.saving() else "training"


def resumed_at(job: Job, ranks: Ranks, kill: Kill) -> int | None:
    """The step from which this start went on after a kill; None if it had nothing to train or did not come that far."""
    if kill.exported:
        return None
    return max(job.resumptions(ranks.started), default=0)


def _stepped(job: Job, ranks: Ranks) -> bool:
    """Whether this start has logged a step, or is at work on a run whose training is over."""
    if is_complete(job.run.model):
        return bool(job.status().get("heartbeat", 0.0) >= ranks.started)
    trained = job.events("train")
    return bool(trained) and trained[-1]["time"] >= ranks.started


def _sleep(ranks: Ranks, seconds: float) -> bool:
    """Sleep; whether all ranks still run at the end."""
    deadline = time.monotonic() + seconds
    while ranks.running and time.monotonic() < deadline:
        time.sleep(min(SECONDS_BETWEEN_LOOKS, seconds))
    return ranks.running


def _parsed(line: str) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError:
        return {}
