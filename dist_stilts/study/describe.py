"""The plan of a study, and how far it is, as tables for a terminal or as plain values for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dist_stilts.experiment.forecast import Cost, hours
from dist_stilts.experiment.plan import Run, folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.report.columns import aligned
from dist_stilts.report.numbers import ABSENT, short_size
from dist_stilts.report.progress import duration
from dist_stilts.study.progress import (
    BLOCKED,
    DONE,
    FAILED,
    RUNNING,
    Standing,
    degenerate,
    line,
    measured_rates,
    seconds_left,
)


def plan_rows(
    runs: Sequence[Run], standings: Mapping[str, Standing], costs: Mapping[str, Cost]
) -> list[dict[str, Any]]:
    """One dictionary per run: what it is, where it starts, where it stands, what it takes."""
    return [
        {
            "run": run.name,
            "state": standings[run.name].state,
            "start": run.start,
            "tasks": "+".join(run.tasks) or ABSENT,
            "rows": costs[run.name].rows,
            "tokens": costs[run.name].training,
            "scores": ", ".join(run.evaluate) or ABSENT,
            "scored_tokens": costs[run.name].scoring,
            "reason": standings[run.name].reason or standings[run.name].degenerate or "",
        }
        for run in runs
    ]


def plan_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    """The same as aligned text."""
    head = ("run", "starts from", "state", "trains on", "rows", "tokens", "scores")
    body = [
        (
            row["run"],
            row["start"],
            row["state"],
            row["tasks"],
            _size(row["rows"]),
            _size(row["tokens"]),
            row["scores"],
        )
        for row in rows
    ]
    return aligned([list(map(str, cells)) for cells in (head, *body)], right=(4, 5))


def _size(number: float | None) -> str:
    return "?" if number is None else short_size(number)


def totals(
    recipe: Recipe,
    runs: Sequence[Run],
    standings: Mapping[str, Standing],
    costs: Mapping[str, Cost],
    ranks: int,
    workers: int,
) -> list[str]:
    """The study in a few lines: runs, tokens, hours, each with where it comes from."""
    left = {run.name: costs[run.name] for run in runs if standings[run.name].state != DONE}
    known = [cost.training for cost in costs.values() if cost.training is not None]
    unknown = len(runs) - len(known)
    parents = len({run.parent.name for run in runs if run.parent})
    lines = [
        f"{len(runs)} runs in {folder_of(recipe).path}: {line(runs, standings)}; {parents} are starts of others",
        f"{_size(sum(known))} tokens to train on"
        + (f" and those of {unknown} runs whose rows are not known here" if unknown else "")
        + f", {_size(sum(cost.scoring for cost in costs.values()))} to score (rows times a typical length per task)",
    ]
    seconds = seconds_left(runs, standings, workers)
    if not left:
        return [*lines, "nothing is left to do"]
    if seconds is not None:
        rate = measured_rates(standings, ranks)
        pace = f", {rate:,.0f} training tokens/s and rank" if rate else ""
        return [*lines, f"left: about {duration(seconds)} on {workers} workers, by the runs that are done{pace}"]
    needed = None if recipe.data.simulate else hours(left, recipe)
    if needed is None:
        why = "a simulated world" if recipe.data.simulate else "encoder.config does not give the architecture"
        return [*lines, f"hours: not known before a first run is done ({why})"]
    device = f"{recipe.study.gpu} at {recipe.study.mfu:.0%} of its peak"
    together = ranks * workers
    return [
        *lines,
        f"left: about {needed:,.1f} GPU-hours on {device} (assumed: study.gpu, study.mfu; measured once a run is "
        f"done), {needed / together:,.1f} h on {together} of them",
    ]


def status_lines(runs: Sequence[Run], standings: Mapping[str, Standing], workers: int) -> str:
    """Progress, what runs where and how far it is, failures with reasons, time left."""
    lines = [line(runs, standings)]
    for state in (RUNNING, FAILED, BLOCKED):
        for name, standing in standings.items():
            if standing.state == state:
                lines.append(f"  {state}  {name}{_detail(standing)}")
    lines += [f"  degenerate  {name}: {why}" for name, why in degenerate(runs, standings).items()]
    seconds = seconds_left(runs, standings, workers)
    if seconds:
        lines.append(f"about {duration(seconds)} left on {workers} workers")
    return "\n".join(lines)


def _detail(standing: Standing) -> str:
    if standing.state != RUNNING:
        return f": {standing.reason}"
    status = standing.status
    at = f" step {status.step}/{status.steps}" if status.steps else ""
    return f"{at} on {status.place or '?'}"
