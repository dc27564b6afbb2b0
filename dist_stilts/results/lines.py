"""Records as lines of ``results.jsonl``: flat JSON objects, their version first.

    ResultRecord <-> {"version": 2, "task": "xnli", ..., "model": "xnli@mnli", "run": ..., "layer": ..., "time": ...}

Lines without a version were written before there was one. They called collapsed scores degenerate, and said neither the
unit of a value, nor which metric is a task's own, nor the name of the model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from dist_stilts.errors import UserError
from dist_stilts.results.metrics import own_metric
from dist_stilts.results.record import (
    PERCENT,
    THRESHOLD,
    Model,
    Place,
    Reading,
    ResultRecord,
    Scoring,
    Training,
)
from dist_stilts.state_files import typed

VERSION = 2
PARTS = {"model": Model, "training": Training, "reading": Reading, "scoring": Scoring}
"""Fields of a record that are records themselves: a line has their fields beside its own."""
KEYS = {
    ("model", "id"): "model_id",
    ("model", "name"): "model",
    ("model", "path"): "model_path",
    ("model", "revision"): "model_revision",
    ("training", "collapsed"): "training_collapsed",
}
"""Names in a line, where they are not those of the fields."""
REQUIRED = ("task", "language", "metric")
DIGEST = re.compile(r"[0-9a-f]{12}")


def to_line(record: ResultRecord) -> dict[str, Any]:
    """The record as a line has it."""
    whole = asdict(replace(record, place=None))
    del whole["place"]
    parts = {part: whole.pop(part) for part in PARTS}
    inner = {KEYS.get((part, name), name): value for part, own in parts.items() for name, value in own.items()}
    return {"version": VERSION, **whole, **inner, "train_tasks": list(record.training.train_tasks)}


def from_lines(lines: Sequence[tuple[int, Mapping[str, Any]]], path: Path) -> list[ResultRecord]:
    """The records of a file's numbered lines.

    Raises:
        UserError: with file and line: a version that is not known, a field that is missing or of another kind.
    """
    old = [line for _, line in lines if "version" not in line]
    metrics: dict[object, set[str]] = {}
    for line in old:
        metrics.setdefault(line.get("task"), set()).add(str(line.get("metric")))
    own = {task: own_metric(found) for task, found in metrics.items()}
    found = []
    for number, line in lines:
        place = Place(path, number)
        now = line if "version" in line else _upgraded(line, own[line.get("task")])
        found.append(from_line(now, place))
    return found


def _upgraded(line: Mapping[str, Any], own_metric: str) -> dict[str, Any]:
    """A line of the first version in today's terms."""
    metric, model = line.get("metric"), str(line.get("model_id") or "")
    by_evaluate = "run_id" not in line  # its run was the name of the model's folder, which is `model` for all of ours
    folder = {"run": "", "model": "" if line.get("run") == "model" else line.get("run")} if by_evaluate else {}
    return {
        "version": VERSION,
        **line,
        **folder,
        "model_id": model,
        "model_path": "" if DIGEST.fullmatch(model) else model,
        "collapsed": line.get("degenerate"),
        "unit": THRESHOLD if metric == "threshold" else PERCENT,
        "main": metric == own_metric,
    }


def from_line(line: Mapping[str, Any], place: Place | None = None) -> ResultRecord:
    """The record of one line of today's version; null is as good as absent.

    Raises:
        UserError: see :func:`from_lines`.
    """
    where = (place.file, place.line) if place else None
    if line.get("version", VERSION) != VERSION:
        fix = "Read it with the dist_stilts that wrote it, or a newer one"
        raise UserError(f"a result of version {line['version']}, which is not known here", where=where, fix=fix)
    if missing := [key for key in REQUIRED if not isinstance(line.get(key), str)]:
        raise UserError(f"no result: it has no {missing[0]}", where=where, fix="Delete the line or restore the file")
    try:
        parts = {part: kind(**_values(kind, part, line)) for part, kind in PARTS.items()}
        own = {"split": "test", "value": None, **_values(ResultRecord, "", line)}
    except ValueError as error:
        raise UserError(f"no result: {error}", where=where, fix="Delete the line or restore the file") from None
    return ResultRecord(**{**own, **parts, "place": place})


def _values(kind: type, part: str, line: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``kind`` that the line has; ValueError if one is of another type."""
    found = {}
    for name, hint in _hints(kind).items():
        key = KEYS.get((part, name), name)
        if (value := line.get(key)) is None:
            continue
        found[name] = typed(hint, value, key)
    return found


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Types by name of what a line holds itself."""
    hints = get_type_hints(kind, include_extras=True)
    return {each.name: hints[each.name] for each in fields(kind) if each.name not in (*PARTS, "place")}
