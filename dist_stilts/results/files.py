"""Where records are kept: ``results.jsonl`` of a run, or of `evaluate`; and how those of several folders come together.

Of one file that counts which still holds: a score of texts that have changed since (another ``data_revision``) gives
way to the later one of that file, and all scores of weights that the same run has replaced since give way to its
latest, be they taken again or not. Beyond that nothing gives way: records of one identity
(:class:`dist_stilts.results.record.Identity`) with one value are one, with several an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

from dist_stilts.errors import UserError
from dist_stilts.layout import RunFolder
from dist_stilts.results import jsonl
from dist_stilts.results.lines import from_lines, to_line
from dist_stilts.results.record import Identity, ResultRecord

S = TypeVar("S")
T = TypeVar("T")
ROUNDING = 1e-6
"""So far may a value be off that claims to be the same."""


def append(path: Path, records: Iterable[ResultRecord]) -> None:
    """Add records, whole or not at all but for a crash.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot hold; the value of what has no score is None.
    """
    jsonl.append(path, *map(to_line, records))


def read(path: Path) -> list[ResultRecord]:
    """The records of a file that count, in order.

    Raises:
        UserError: no such file, a line that is no record, or one that another contradicts; with file and line.
    """
    return distinct(current(from_lines(jsonl.read(path), path)))


def current(records: Iterable[ResultRecord]) -> list[ResultRecord]:
    """Without those of one file that a later one replaces: see the head of this module."""
    known = list(records)
    weights = {record.training.run_id: record.model.id for record in known if record.training.run_id}
    latest: dict[Identity, tuple[str, str]] = {}
    replaced: set[Identity] = set()
    kept = []
    for record in reversed(known):
        slot, conditions = _slot(record), (record.data_revision, record.model.id)
        if latest.setdefault(slot, conditions) != conditions:
            replaced.add(slot)  # what came before may be of the latest texts again, but was given up as well
        if slot not in replaced and weights.get(record.training.run_id, record.model.id) == record.model.id:
            kept.append(record)
    return kept[::-1]


def _slot(record: ResultRecord) -> Identity:
    """What has one score at a time: a run has one model; a folder of `evaluate` may hold scores of many."""
    slot = record.identity._replace(data_revision="")
    return slot._replace(model="", seed=None) if record.training.run_id else slot


def distinct(
    records: Iterable[ResultRecord], of: Callable[[ResultRecord], Hashable] = attrgetter("identity")
) -> list[ResultRecord]:
    """One record of each identity, where the first stood.

    Args:
        of: what a record is of, where its identity says more than matters.

    Raises:
        UserError: two are of the same and differ.
    """
    first: dict[Hashable, ResultRecord] = {}
    for record in records:
        other = first.setdefault(of(record), record)
        if not _agree(record, other):
            raise _contradiction(record, other)
    return list(first.values())


def _agree(one: ResultRecord, other: ResultRecord) -> bool:
    if one.value is None or other.value is None or one.count != other.count:
        return (one.value, one.count) == (other.value, other.count)
    return math.isclose(one.value, other.value, rel_tol=0, abs_tol=ROUNDING)


def _contradiction(record: ResultRecord, other: ResultRecord) -> UserError:
    """Says what both are, where, and what differs in how they came to be."""
    what = f"{record.task} {record.split} {record.language}: {record.metric}"
    claims = f"{record.value} of {record.count} here, {other.value} of {other.count} at {other.place}"
    here, there = record.scoring.versions, other.scoring.versions
    versions = [f"{name} {here[name]} and {there[name]}" for name in here if there.get(name, here[name]) != here[name]]
    return UserError(
        f"two values of one score ({what}): {claims}" + (f"; {', '.join(versions)}" if versions else ""),
        where=(record.place.file, record.place.line) if record.place else None,
        fix="Name one of the folders, or delete the line that is wrong",
    )


@dataclass(frozen=True)
class LeftOut:
    """A folder whose files are damaged: one bad run stops no table."""

    folder: Path
    error: UserError

    def __str__(self) -> str:
        return f"left out: {self.error}"


def sound(items: Iterable[T], read_one: Callable[[T], S], folder: Callable[[T], Path]) -> tuple[list[S], list[LeftOut]]:
    """What is read of each, and those of which nothing can be.

    Raises:
        UserError: nothing can be read of any; that of the first.
    """
    found, damaged = [], []
    for item in items:
        try:
            found.append(read_one(item))
        except UserError as error:
            damaged.append(LeftOut(folder(item), error))
    if damaged and not found:
        raise damaged[0].error
    return found, damaged


def scored_runs(folders: Iterable[Path]) -> list[RunFolder]:
    """The folders with results among some, or one level below them.

    Raises:
        UserError: one of them has none.
    """
    found: list[RunFolder] = []
    for path in folders:
        own, below = RunFolder(path), [RunFolder(child) for child in sorted(path.glob("*/"))]
        scored = [own] if own.results.exists() else [folder for folder in below if folder.results.exists()]
        if not scored:
            raise UserError("no results here or one level below", where=path, fix="Name an evaluated run or recipe")
        found += scored
    return found


def gather(folders: Iterable[Path]) -> tuple[list[ResultRecord], list[LeftOut]]:
    """Read the results of run folders, or of recipe folders that contain run folders, as each has them.

    Returns:
        The records, and the folders whose results cannot be read.

    Raises:
        UserError: a folder holds no results, none can be read, or two records of different files contradict each other.
    """
    runs, damaged = sound(scored_runs(folders), scores_of, lambda folder: folder.path)
    found = [record for run in runs for record in run]
    distinct(found)
    return found, damaged


def scores_of(folder: RunFolder) -> list[ResultRecord]:
    """The records of a run; UserError if its file is there and holds none."""
    found = read(folder.results)
    if not found:
        fix = "Delete it; the run's recipe scores it again"
        raise UserError("the file of results holds none", where=folder.results, fix=fix)
    return found


def collect(folders: Iterable[Path]) -> tuple[list[ResultRecord], list[LeftOut]]:
    """The same, but a score that several folders have counts once; errors as for :func:`gather`."""
    found, damaged = gather(folders)
    return distinct(found), damaged
