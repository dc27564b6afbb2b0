"""``status.json`` of a run: the one place that says whether it is done; a launcher's exit code is not."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from dist_stilts.config import plain
from dist_stilts.conventions import fingerprint, installed_version
from dist_stilts.evaluate.suite import EvaluationConfig
from dist_stilts.experiment.plan import Run, folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.layout import RunFolder
from dist_stilts.report.closing import Figures
from dist_stilts.state_files import Amount, Count, read_state
from dist_stilts.writing import write_text

PACKAGES = ("dist-stilts", "torch", "transformers", "deepspeed", "datasets", "numpy")


class State(StrEnum):
    """How far a run is. A run that was killed says ``running`` for ever: whether it does, its lock tells."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Attempt:
    """A training that has learned nothing and was begun again: its seed, and why it counts as such."""

    seed: int
    degenerate: str


@dataclass(frozen=True)
class RunStatus:
    """What is known of a run; one that was never started has the defaults.

    Attributes:
        reason, code: why it is not done, and the exit code of the program that ended there.
        heartbeat: when this was written, in seconds since 1970.
        run_id: the identity of the run; evaluated: that of what was scored after it, once it is done.
        starts: how often it was started since it was last done or asked to stop.
        place: ``host:process`` of rank 0.
        heads: names of the heads that the start brought, that are fresh, and that were dropped.
        step, steps, tokens, skipped, train_seconds: how far training is.
        seed, degenerate, dev, exported: of the training that counts: its seed, why it has learned nothing if so, its
            score on English dev in percent, and which weights were kept.
        restarted: trainings before it that have learned nothing, oldest first.
        closing: the closing report's figures.
        digest: of the exported encoder.
        seconds: that all programs together have worked at it, of each up to the last that it wrote here.
    """

    state: State = State.QUEUED
    reason: str | None = None
    code: int | None = None
    heartbeat: Amount = 0.0
    run_id: str | None = None
    evaluated: str | None = None
    starts: Count = 0
    world_size: Count | None = None
    place: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    heads: dict[str, list[str]] | None = None
    step: Count = 0
    steps: Count | None = None
    tokens: Count = 0
    skipped: Count = 0
    train_seconds: Amount = 0.0
    seed: int | None = None
    degenerate: str | None = None
    dev: float | None = None
    exported: str | None = None
    restarted: tuple[Attempt, ...] = ()
    closing: Figures | None = None
    digest: str | None = None
    seconds: Amount = 0.0


def read_status(folder: RunFolder) -> RunStatus:
    """The run's status; what an older version wrote lacks some fields, a newer one's may have more.

    Raises:
        Damaged: the file is no such thing.
    """
    fix = (
        "Delete this file; the same command then looks what is there, and does what is left. Records to come then lack "
        "its score on English dev and, if it was trained again with another seed, its seed"
    )
    return read_state(RunStatus, folder.status, "the status of a run", fix) or RunStatus()


def write_status(folder: RunFolder, status: RunStatus) -> None:
    """Put the status into the run's folder, and when that was."""
    write_text(folder.status, json.dumps({**asdict(status), "heartbeat": time.time()}, indent=2))


def set_state(folder: RunFolder, state: State, reason: str | None = None, **changes: Any) -> None:
    """Say how far a run is that nobody works at; what else is known of it stays."""
    write_status(folder, replace(read_status(folder), **{"state": state, "reason": reason, "code": None, **changes}))


def statuses(runs: Sequence[Run], recipe: Recipe) -> dict[str, RunStatus]:
    """The statuses of runs, by name."""
    return {run.name: read_status(folder_of(recipe).run(run.name)) for run in runs}


def is_done(run: Run, folder: RunFolder, scoring: EvaluationConfig) -> bool:
    """Whether the run, as it and its scoring are now described, was trained and scored to the end."""
    status = read_status(folder)
    known = (status.state, status.run_id, status.evaluated)
    return known == (State.DONE, run.id, evaluation_id(run, scoring))


def evaluation_id(run: Run, scoring: EvaluationConfig) -> str:
    """Identity of what is scored after the run, and how; the user's own files are named in it."""
    own = [run.scored] if run.scored else []
    return fingerprint([{name: plain(task) for name, task in run.evaluate.items()}, plain(scoring), *own])


def versions() -> dict[str, str]:
    """Versions of everything that could explain a difference."""
    return {package: installed_version(package) for package in PACKAGES}
