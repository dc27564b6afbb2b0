"""The frame that all analysis starts from: one row per main score of a run on one target in one language.

    result records -> main metric, test split, no controls -> frame

Nothing is averaged, and a degenerate score keeps its row: who computes with it decides, and counts it (law 11). Two
scores of one target that were taken in different settings (split, layer, dtype, ...) never share the target's name, and
no run has two scores on one target in one language.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from dist_stilts.errors import UserError
from dist_stilts.results.files import distinct
from dist_stilts.results.record import Identity, ResultRecord
from dist_stilts.results.settings import OF_TARGET, tell_apart
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


class Scored(NamedTuple):
    """A record, and the target and the run that it counts for, by the names that a frame has."""

    record: ResultRecord
    target: str
    run: str


def frame(records: Iterable[ResultRecord]) -> pd.DataFrame:
    """Arrange result records as one row per score.

    Controls (:func:`controls`) and scores without a value (:func:`without_value`) are left out. A run is read on its
    test splits; on others only for a task that it scored on no test split.

    Returns:
        intermediate: name of the intermediate phase, "" where there is none; tasks: its tasks, joined by ",".
        size: intermediate examples trained on, 0 where there is no such phase.
        seed: the one that the run was planned with, whatever it was restarted with; below 0, and no other run's, where
            it is not known; subset_seed: of the choice of rows.
        trained: False where nothing was trained since pretraining, so that no seed has a part in the score.
        target: task, with its settings where it was scored in several; metric: its main one; language.
        value: percent; count: test rows.
        degenerate: whether the run is stuck where others are not, so that its score is that of no model.
        at_chance: whether it is stuck as is every run of its size and of all smaller ones: that is what the size
            brings, and without it the foot of the curve would be missing. reason: why, for both.
        run: name of the run, with its identity where several have that name.
        dev: percent on the target's English dev, nan where the target has or had none.

    Raises:
        UserError: see :func:`scored`.
    """
    return _mark_chance(_frame(scored(records)))


def scored(records: Iterable[ResultRecord]) -> list[Scored]:
    """What every row of :func:`frame` is of, in its order.

    Raises:
        UserError: two values of one score; scores on one target that stand on texts that differ; two of one run.
    """
    found = _named([record for record in _scores(records) if not record.controls and record.value is not None])
    _check(found)
    return found


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
    found = _once([record for record in records if record.main])
    tested = {_unit(record) for record in found if record.is_test}
    return [record for record in found if record.is_test or _unit(record) not in tested]


def _unit(record: ResultRecord) -> tuple[object, ...]:
    return record.training.run, record.training.run_id, record.training.seed, record.model.id, record.task


def _once(records: list[ResultRecord]) -> list[ResultRecord]:
    """One record of each observation.

    A model that nothing was trained on may be the start of many runs, and `evaluate` may score the model of a run as
    well, of whose seed it knows nothing: it is the run's record that is kept.
    """
    of_run: dict[Identity, Identity] = {}
    for record in records:
        if record.training.run_id:
            of_run.setdefault(record.identity.in_any_run(), record.identity)

    def observed(record: ResultRecord) -> Identity:
        model = record.identity.in_any_run()
        if not record.training.is_trained and record.model.id:
            return model
        return record.identity if record.training.run_id else of_run.get(model, record.identity)

    return distinct(sorted(records, key=lambda record: not record.training.run_id), observed)


def _frame(found: Sequence[Scored]) -> pd.DataFrame:
    without_seed = dict.fromkeys(one.run for one in found if _seed(one.record) is None)
    unknown = {run: -1 - place for place, run in enumerate(without_seed)}
    rows = [_row(one, unknown) for one in found]
    return pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)


def _mark_chance(scores: pd.DataFrame) -> pd.DataFrame:
    """Tell runs that are stuck from sizes at which all are, per intermediate phase, target and language."""
    scores = scores.copy()
    for _, curve in scores.groupby(["intermediate", "target", "language"], sort=False):
        for _, cell in curve.groupby("size"):  # ascending
            if not cell["degenerate"].all():
                break
            scores.loc[cell.index, ["degenerate", "at_chance"]] = False, True
    return scores


def _row(one: Scored, unknown: Mapping[str, int]) -> dict[str, object]:
    """``unknown``: by run what stands for a seed that is not known, so that it pairs with no other run."""
    record, training = one.record, one.record.training
    seed = _seed(record)
    return {
        "intermediate": training.after,
        "tasks": training.intermediate if training.intermediate_size else "",
        "size": training.intermediate_size,
        "seed": unknown[one.run] if seed is None else seed,
        "subset_seed": training.subset_seed or 0,
        "trained": training.is_trained,
        "target": one.target,
        "metric": record.metric,
        "language": record.language,
        "value": record.value,
        "count": record.count,
        "degenerate": bool(record.collapsed),
        "at_chance": False,
        "reason": record.collapsed or "",
        "run": one.run,
        "dev": _dev(record),
    }


def _dev(record: ResultRecord) -> float:
    """The run's dev score, where its training was for the target: an intermediate phase's dev is of another task."""
    task, dev = find_task(record.task), record.training.dev
    if dev is None or (task and task.family in RETRIEVAL) or not record.training.is_for_target:
        return math.nan
    return float(dev)


def _seed(record: ResultRecord) -> int | None:
    training = record.training
    return training.seed if training.planned_seed is None else training.planned_seed


def _named(records: Sequence[ResultRecord]) -> list[Scored]:
    """Each record with its target, its task and the settings that tell it from others of the task; and with its run."""
    targets = tell_apart([record.task for record in records], records, OF_TARGET, separator=" ")
    runs = tell_apart([record.training.run for record in records], records, ("run_id", "digest"), separator=" ")
    return list(map(Scored, records, targets, runs))


def _check(found: Iterable[Scored]) -> None:
    """Raise if what is to be compared is not: see :func:`scored`."""
    texts: dict[tuple[str, str], ResultRecord] = {}
    runs: dict[tuple[str, str, str], ResultRecord] = {}
    for record, target, run in found:
        if record.data_revision:  # else it is not known
            other = texts.setdefault((target, record.language), record)
            if other.data_revision != record.data_revision:
                fix = "Score all runs on the same texts, or name only such runs"
                raise _clash(f"{target} {record.language}: scores of texts that differ", record, other, fix)
        other = runs.setdefault((run, target, record.language), record)
        if other is not record:
            what = f"two scores of run {run} on {target} {record.language}"
            raise _clash(what, record, other, "Name one of the folders, or delete the line that is wrong")


def _clash(what: str, record: ResultRecord, other: ResultRecord, fix: str) -> UserError:
    where = (record.place.file, record.place.line) if record.place else None
    return UserError(f"{what}: here and at {other.place}", where=where, fix=fix)
