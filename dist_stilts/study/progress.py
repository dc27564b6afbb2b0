"""How far each run of a study is: done, running, ready, waiting for a parent, failed; and how long the rest will take.

All of it is read from the runs' own folders, so any number of workers on any number of hosts may share a study, and
whoever looks sees the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dist_stilts.errors import UserError
from dist_stilts.experiment.identity import read_config
from dist_stilts.experiment.plan import Run, folder_of
from dist_stilts.experiment.run_config import TRUNK, Recipe
from dist_stilts.experiment.status import RunStatus, State, is_done, read_status, set_state
from dist_stilts.layout import RunFolder
from dist_stilts.once import is_held
from dist_stilts.writing import check_room

DONE, RUNNING, READY, WAITING, FAILED, BLOCKED = "done", "running", "ready", "waiting", "failed", "blocked"
STATES = (DONE, RUNNING, READY, WAITING, FAILED, BLOCKED)
MOST_STARTS = 3
"""A run that was started so often and never came to an end, good or bad, ends its workers: it counts as failed."""


@dataclass(frozen=True)
class Standing:
    """Where a run stands.

    Attributes:
        state: one of :data:`STATES`; ``waiting`` for its parent, ``blocked`` by a failed ancestor.
        reason: why it failed or is blocked; empty otherwise.
        status: what its ``status.json`` says.
        damaged: whether its folder cannot be read or written: only people can mend that.
    """

    state: str
    reason: str
    status: RunStatus
    damaged: bool = False

    @property
    def degenerate(self) -> str | None:
        """Why the run has learned nothing, if so."""
        return self.status.degenerate


def look(runs: Sequence[Run], recipe: Recipe, earlier: Mapping[str, Standing] | None = None) -> dict[str, Standing]:
    """Where every run stands, by name.

    Args:
        runs: parents before children.
        earlier: what the look before found: what was done is done, and is not read again.
    """
    found: dict[str, Standing] = {}
    for run in runs:
        known = (earlier or {}).get(run.name)
        found[run.name] = known if known and known.state == DONE else _standing(run, recipe, found)
    return found


def _standing(run: Run, recipe: Recipe, before: Mapping[str, Standing]) -> Standing:
    folder = folder_of(recipe).run(run.name)
    try:
        return _read_standing(run, folder, recipe, before)
    except UserError as error:
        return Standing(FAILED, str(error), RunStatus(), damaged=True)


def _read_standing(run: Run, folder: RunFolder, recipe: Recipe, before: Mapping[str, Standing]) -> Standing:
    status = read_status(folder)
    if is_done(run, folder, recipe.evaluation):
        return Standing(DONE, "", status)
    parent = before[run.parent.name] if run.parent else None
    if parent and parent.state in (FAILED, BLOCKED):
        return Standing(BLOCKED, f"{run.start} failed" if parent.state == FAILED else parent.reason, status)
    if parent and parent.state != DONE:
        return Standing(WAITING, "", status)
    if status.state == State.RUNNING and is_held(folder.lock):
        return Standing(RUNNING, "", status)
    if status.state == State.FAILED:
        return Standing(FAILED, status.reason or "no reason given", status)
    if status.starts >= MOST_STARTS:
        return Standing(FAILED, f"started {MOST_STARTS} times and ended without a word each time", status)
    check_room(folder)
    read_config(folder)
    return Standing(READY, "", status)


def requeue(runs: Sequence[Run], recipe: Recipe) -> list[str]:
    """Let what has failed be tried again; returns the names."""
    standings = look(runs, recipe)
    failed = [name for name, found in standings.items() if found.state == FAILED and not found.damaged]
    for name in failed:
        set_state(folder_of(recipe).run(name), State.QUEUED, starts=0)
    return failed


def counts(standings: Mapping[str, Standing]) -> dict[str, int]:
    """Runs per state, in the order of :data:`STATES`; states without runs are left out."""
    found = Counter(standing.state for standing in standings.values())
    return {state: found[state] for state in STATES if found[state]}


def seconds_left(runs: Sequence[Run], standings: Mapping[str, Standing], workers: int) -> float | None:
    """Wall seconds until all runs that still can be done are done, at the pace of those that are; None without any.

    A run takes as long as the mean of the done ones of its phase and size, or of its phase, or of all, less what it has
    trained already.
    """
    pace: dict[tuple[Any, ...], list[float]] = {}
    for run in runs:
        standing = standings[run.name]
        if standing.state == DONE and standing.status.seconds:
            for key in ((run.phase, run.size), (run.phase,), ()):
                pace.setdefault(key, []).append(standing.status.seconds)
    if not pace:
        return None
    total = 0.0
    for run in runs:
        if standings[run.name].state in (RUNNING, READY, WAITING):
            known = next(pace[key] for key in ((run.phase, run.size), (run.phase,), ()) if key in pace)
            spent = standings[run.name].status.train_seconds
            total += max(0.0, sum(known) / len(known) - spent)
    return total / max(1, workers)


def measured_rates(standings: Mapping[str, Standing], ranks: int) -> float | None:
    """Training tokens per second and rank of the runs that are done; None before there is one."""
    closings = (standing.status.closing for standing in standings.values() if standing.state == DONE)
    figures = [closing for closing in closings if closing]
    seconds = sum(figure.training_seconds for figure in figures)
    return sum(figure.tokens for figure in figures) / seconds / ranks if seconds else None


def line(runs: Sequence[Run], standings: Mapping[str, Standing]) -> str:
    """All of it in one line: ``12 of 43 done, 2 running, 1 failed, 1 degenerate``."""
    found = counts(standings)
    parts = [f"{found.get(DONE, 0)} of {len(runs)} done"]
    parts += [f"{number} {state}" for state, number in found.items() if state not in (DONE, READY, WAITING)]
    if stuck := degenerate(runs, standings):
        parts.append(f"{len(stuck)} degenerate")
    return ", ".join(parts)


def degenerate(runs: Sequence[Run], standings: Mapping[str, Standing]) -> dict[str, str]:
    """Names of runs that have learned nothing, and why; a trunk on its way to a size is no result."""
    results = [run.name for run in runs if run.role != TRUNK]
    return {name: why for name in results if (why := standings[name].degenerate)}
