"""Metrics by name: which of a task's is recorded last, and which is its own score.

A task says so itself (:class:`dist_stilts.tasks.spec.TaskSpec`), and its records keep it (``main``); here is what holds
for records that are older than that.
"""

from __future__ import annotations

from collections.abc import Iterable

from dist_stilts.tasks.spec import TaskSpec

READ_FIRST = ("em_and_f1", "acc_and_f1", "f1", "accuracy")
"""What people read: of several that a task has, the first is its own score, and the others stand beside it."""
LAST = {"tatoeba": "accuracy_from_foreign", "bucc": "threshold"}


def last_metric(spec: TaskSpec) -> str:
    """The metric of a task that is recorded last: if it is there, all are."""
    return LAST.get(spec.family, spec.metric)


def own_metric(metrics: Iterable[str]) -> str:
    """The metric that is a task's score, by the metrics that its records have; "" if none is known."""
    found = set(metrics)
    return next((name for name in READ_FIRST if name in found), "")
