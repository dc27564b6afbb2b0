"""The frame that all analysis starts from: one row per main score of a run on one target in one language.

    result records -> main metric, test split, no controls -> frame

Nothing is averaged, and a degenerate score keeps its row: who computes with it decides, and counts it (law 11). Two
scores of one target that were taken in different settings (split, layer, ...) never share the target's name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from dist_stilts.report.records import Record, latest, main_metric
from dist_stilts.report.table import IDENTITY
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


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """Arrange result records as one row per score; of repeated scores the last counts.

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
        run: name of the run; dev: percent on the target's English dev, nan where the target has or had none.
    """
    return _settled(_frame(targets(records)))


def targets(records: Iterable[Record]) -> list[tuple[Record, str]]:
    """The record and the target of every row of :func:`frame`, in its order."""
    return _named([record for record in _scores(records) if not _control(record) and record["value"] is not None])


def baseline(scores: pd.DataFrame, intermediate: str) -> pd.DataFrame:
    """The rows of one intermediate phase and those of size 0, which all intermediate phases share."""
    return scores[(scores["intermediate"] == intermediate) | (scores["size"] == 0)]


def controls(records: Iterable[Record]) -> pd.DataFrame:
    """What :func:`frame` leaves out: encoders that never saw text, inputs without the premise.

    Returns:
        The columns of a frame, and ``control``: ``random encoder`` or ``hypothesis only``.
    """
    kept = [record for record in _scores(records) if _control(record) and record["value"] is not None]
    return _frame(_named(kept)).assign(control=[_control(record) for record in kept])


def without_value(records: Iterable[Record]) -> int:
    """How many main scores have no value (no test row has a label); no frame holds them."""
    return sum(record["value"] is None for record in _scores(records))


def _scores(records: Iterable[Record]) -> list[Record]:
    """The last record of every main score, test splits before others."""
    known = latest(records, IDENTITY)
    metrics = main_metric(known)
    found = [record for record in known if record["metric"] == metrics[record["task"]]]
    tested = {_unit(record) for record in found if _is_test(record)}
    return _once([record for record in found if _is_test(record) or _unit(record) not in tested])


def _unit(record: Record) -> tuple[object, ...]:
    return tuple(record.get(key) for key in ("run", "run_id", "seed", "task"))


def _is_test(record: Record) -> bool:
    return str(record.get("split", "test")).startswith("test")


def _once(records: list[Record]) -> list[Record]:
    """One record of each score of a model that nothing was trained on: it may be the start of many runs."""
    keys = ("model_id", "inputs", "task", "split", "metric", "language", "layer", "pooling", "mining")
    untrained = [record for record in records if not _trained(record) and record.get("model_id")]
    kept = {id(record) for record in latest(untrained, keys)}
    return [record for record in records if id(record) in kept or _trained(record) or not record.get("model_id")]


def _trained(record: Record) -> bool:
    """Pretraining is the start of everything and does not count."""
    return bool(record.get("intermediate_size") or (record.get("train_tasks") and record.get("role") != "pretrain"))


def _control(record: Record) -> str:
    if record.get("origin") == "random":
        return "random encoder"
    return "hypothesis only" if record.get("inputs") == "hypothesis" else ""


def _frame(found: Iterable[tuple[Record, str]]) -> pd.DataFrame:
    return pd.DataFrame([_row(*each) for each in found], columns=list(TYPES)).astype(TYPES)


def _settled(scores: pd.DataFrame) -> pd.DataFrame:
    """Tell runs that are stuck from sizes at which all are, per intermediate phase, target and language."""
    scores = scores.copy()
    for _, curve in scores.groupby(["intermediate", "target", "language"], sort=False):
        for _, cell in curve.groupby("size"):  # ascending
            if not cell["degenerate"].all():
                break
            scores.loc[cell.index, ["degenerate", "at_chance"]] = False, True
    return scores


def _row(record: Record, target: str) -> dict[str, object]:
    size = record.get("intermediate_size") or 0
    tasks = str(record.get("intermediate") or "") if size else ""
    seed = record.get("seed") or 0
    return {
        "intermediate": (record.get("intermediate_phase") or tasks.replace(",", "+")) if size else "",
        "tasks": tasks,
        "size": size,
        "seed": record.get("planned_seed", seed),
        "subset_seed": record.get("subset_seed") or 0,
        "trained": _trained(record),
        "target": target,
        "metric": record["metric"],
        "language": record["language"],
        "value": record["value"],
        "count": record.get("count") or 0,
        "degenerate": bool(record.get("degenerate")),
        "at_chance": False,
        "reason": str(record.get("degenerate") or ""),
        "run": str(record.get("run", "")),
        "dev": _dev(record),
    }


def _dev(record: Record) -> float:
    """The run's dev score, where its training was for the target: an intermediate phase's dev is of another task."""
    task, dev = find_task(record["task"]), record.get("dev")
    if dev is None or (task and task.family in RETRIEVAL) or not _trained_for_target(record):
        return math.nan
    return float(dev)


def _trained_for_target(record: Record) -> bool:
    return bool(record.get("train_tasks")) and record.get("role") not in ("pretrain", "intermediate")


def _named(records: Sequence[Record]) -> list[tuple[Record, str]]:
    """Each record with its target: its task, followed by those of its settings that differ within the task."""
    told = [_settings(record) for record in records]
    values: dict[str, set[tuple[int, str]]] = {}
    for record, settings in zip(records, told, strict=True):
        values.setdefault(record["task"], set()).update(enumerate(settings))
    named = []
    for record, settings in zip(records, told, strict=True):
        seen = [place for place, _ in values[record["task"]]]
        differing = [setting for place, setting in enumerate(settings) if setting and seen.count(place) > 1]
        named.append((record, " ".join([record["task"], *differing])))
    return named


def _settings(record: Record) -> tuple[str, ...]:
    """How the score was taken, in the order of :data:`SETTINGS`; "" where a setting does not apply."""
    layer, rows = record.get("layer"), record.get("train_size")
    own = _trained_for_target(record)
    return (
        str(record.get("split", "test")),
        "" if layer is None else f"layer {layer}",
        record.get("pooling") or "",
        record.get("mining") or "",
        "after " + "+".join(record["train_tasks"]) if own else "",
        f"n={rows}" if own and rows else "",
    )
