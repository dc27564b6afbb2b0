"""The frame that all analysis starts from: one row per main score of a run on one target in one language.

    result records -> main metric, test split, no controls -> frame

Nothing is averaged, and a degenerate score keeps its row: who computes with it decides, and counts it (law 11). Two
scores of one target that were taken in different settings (split, layer, ...) never share the target's name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from dist_stilts.results.files import distinct
from dist_stilts.results.record import Identity, ResultRecord
from dist_stilts.results.settings import tell_apart
from dist_stilts.tasks.registry import find_task
from dist_stilts.tasks.spec import RETRIEVAL

TYPES = {
    "intermediate": str,
    "tasks": str,
    "size": int,
    "seed": int,
    "subset_seed": int,
    "trained": bool,
    "target": str,
    "metric": str,
    "language": str,
    "value": float,
    "count": int,
    "degenerate": bool,
    "at_chance": bool,
    "reason": str,
    "run": str,
    "dev": float,
}
"""The columns of a frame. See :func:`frame`."""
SETTINGS = ("split", "layer", "pooling", "mining", "after", "rows")
"""What tells two scores of one task apart, in the order in which it is added to the target's name."""


def frame(records: Iterable[ResultRecord]) -> pd.DataFrame:
    """Arrange result records as one row per score.

    Controls (:func:`controls`) and scores without a value (:func:`without_value`) are left out. A run is read on its
    test splits; on others only for a task that it scored on no test split.

    Returns:
        intermediate: name of the intermediate phase, "" where there is none; tasks: its tasks, joined by ",".
        size: intermediate examples trained on, 0 where there is no such phase.
        seed: the one that the run was planned with, whatever it was restarted with; subset_seed: of the choice of rows.
        trained: False where nothing was trained since pretraining, so that no seed has a part in the score.
        target: task, with its settings where it was scored in several; metric: its main one; language.
        value: percent; count: test rows.
        degenerate: whether the run is stuck where others are not, so that its score is that of no model.
        at_chance: whether it is stuck as is every run of its size and of all smaller ones: that is what the size
            brings, and without it the foot of the curve would be missing. reason: why, for both.
        run: name of the run, with its identity where several have that name.
        dev: percent on the target's English dev, nan where the target has or had none.
    """
    return _settled(_frame(targets(records)))


def targets(records: Iterable[ResultRecord]) -> list[tuple[ResultRecord, str]]:
    """The record and the target of every row of :func:`frame`, in its order."""
    return _named([record for record in _scores(records) if not record.controls and record.value is not None])


def baseline(scores: pd.DataFrame, intermediate: str) -> pd.DataFrame:
    """The rows of one intermediate phase and those of size 0, which all intermediate phases share."""
    return scores[(scores["intermediate"] == intermediate) | (scores["size"] == 0)]


def controls(records: Iterable[ResultRecord]) -> pd.DataFrame:
    """What :func:`frame` leaves out: encoders that never saw text, inputs without the premise.

    Returns:
        The columns of a frame, and ``control``: ``random encoder`` or ``hypothesis only``.
    """
    kept = [record for record in _scores(records) if record.controls and record.value is not None]
    return _frame(_named(kept)).assign(control=[record.controls[0] for record in kept])


def without_value(records: Iterable[ResultRecord]) -> int:
    """How many main scores have no value (no test row has a label); no frame holds them."""
    return sum(record.value is None for record in _scores(records))


def _scores(records: Iterable[ResultRecord]) -> list[ResultRecord]:
    """Every main score once, test splits before others."""
    found = [record for record in distinct(records) if record.main]
    tested = {_unit(record) for record in found if record.is_test}
    return _once([record for record in found if record.is_test or _unit(record) not in tested])


def _unit(record: ResultRecord) -> tuple[object, ...]:
    return record.training.run, record.training.run_id, record.training.seed, record.model.id, record.task


def _once(records: list[ResultRecord]) -> list[ResultRecord]:
    """One record of each score of a model that nothing was trained on: it may be the start of many runs."""
    seen: set[Identity] = set()
    kept = []
    for record in records:
        of_model = record.identity.in_any_run()
        if record.training.is_trained or not record.model.id or of_model not in seen:
            kept.append(record)
            seen.add(of_model)
    return kept


def _frame(found: Iterable[tuple[ResultRecord, str]]) -> pd.DataFrame:
    known = list(found)
    records = [record for record, _ in known]
    runs = tell_apart([record.training.run for record in records], records, ("run_id", "digest"), separator=" ")
    rows = [_row(record, target) | {"run": run} for (record, target), run in zip(known, runs, strict=True)]
    return pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)


def _settled(scores: pd.DataFrame) -> pd.DataFrame:
    """Tell runs that are stuck from sizes at which all are, per intermediate phase, target and language."""
    scores = scores.copy()
    for _, curve in scores.groupby(["intermediate", "target", "language"], sort=False):
        for _, cell in curve.groupby("size"):  # ascending
            if not cell["degenerate"].all():
                break
            scores.loc[cell.index, ["degenerate", "at_chance"]] = False, True
    return scores


def _row(record: ResultRecord, target: str) -> dict[str, object]:
    training = record.training
    return {
        "intermediate": training.after,
        "tasks": training.intermediate if training.intermediate_size else "",
        "size": training.intermediate_size,
        "seed": (training.seed or 0) if training.planned_seed is None else training.planned_seed,
        "subset_seed": training.subset_seed or 0,
        "trained": training.is_trained,
        "target": target,
        "metric": record.metric,
        "language": record.language,
        "value": record.value,
        "count": record.count,
        "degenerate": bool(record.collapsed),
        "at_chance": False,
        "reason": record.collapsed or "",
        "dev": _dev(record),
    }


def _dev(record: ResultRecord) -> float:
    """The run's dev score, where its training was for the target: an intermediate phase's dev is of another task."""
    task, dev = find_task(record.task), record.training.dev
    if dev is None or (task and task.family in RETRIEVAL) or not record.training.is_for_target:
        return math.nan
    return float(dev)


def _named(records: Sequence[ResultRecord]) -> list[tuple[ResultRecord, str]]:
    """Each record with its target: its task, followed by the settings that tell it from others of the task."""
    names = tell_apart([record.task for record in records], records, SETTINGS, separator=" ")
    return list(zip(records, names, strict=True))
