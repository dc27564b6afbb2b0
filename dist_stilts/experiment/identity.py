"""What of a run's content is its identity where users' own files have a part in it, and how folders of older versions
are known again.

Files that are only scored, and languages that are only scored, shape no weight. Versions before took them for a part of
the run: a run that such a folder holds keeps the identity that it has there, and with it its records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

from dist_stilts.conventions import ENGLISH, fingerprint
from dist_stilts.layout import RecipeFolder, RunFolder
from dist_stilts.state_files import Damaged, read_state
from dist_stilts.tasks.own_files import source_language
from dist_stilts.tasks.sources import parse_split

if TYPE_CHECKING:
    from dist_stilts.experiment.plan import Run

_LATER = {"separator": ""}
"""Keys of an entry that are younger than the first runs, and their defaults, at which they are left out."""


def stated(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of ``own_tasks`` without what is younger than the first runs and at its default."""
    return {key: value for key, value in entry.items() if key not in _LATER or value != _LATER[key]}


def trained_entry(own: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry of ``own_tasks`` says of training.

    Args:
        own: the entry; task: what the phase says of the task (split, languages, dev), both as plain dictionaries.
    """
    splits = {parse_split(split).name for split in (task["split"], task["dev"]) if split}
    splits |= set() if own["labels"] else {"train"}  # has the labels
    kept = {**own, "files": {split: file for split, file in own["files"].items() if split in splits}}
    if task["languages"] != ["all"]:
        source = source_language(own["files"], own["languages"])
        kept["languages"] = [] if source == ENGLISH else [source]
    return kept


def trained_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """A run's content, of this version or an older one, less what is only scored."""
    own, tasks = content["data"]["own_tasks"], content.get("tasks", {})
    kept = {name: trained_entry(entry, tasks[name]) for name, entry in own.items() if name in tasks}
    return {**content, "data": {**content["data"], "own_tasks": kept}}


class _Own(TypedDict):
    files: dict[str, Any]
    labels: list[str]
    languages: list[str]


class _Data(TypedDict):
    own_tasks: dict[str, _Own]


class _TrainedTask(TypedDict):
    split: str
    dev: str | None
    languages: list[str]


class _Content(TypedDict):
    data: _Data


class Content(_Content, total=False):
    """What a run's content has that its identity is worked out from; the rest is passed along."""

    tasks: dict[str, _TrainedTask]


@dataclass(frozen=True)
class RunFile:
    """``config.yaml`` of a run: what it is, and with which versions of what it was begun."""

    run_id: str
    run: Content | None = None


def read_config(folder: RunFolder) -> RunFile | None:
    """What a folder says which run it holds; None if it holds none yet.

    Raises:
        Damaged: nothing of the kind.
    """
    fix = "Delete this file if the folder is this recipe's: it is written again; else choose another name=… or out=…"
    return read_state(RunFile, folder.config, "the config of a run", fix)


def recognised(runs: Sequence[Run], folder: RecipeFolder) -> list[Run]:
    """The runs, parents before children, with the identities that they have in their folders if these are older."""
    found: dict[str, Run] = {}
    for planned in runs:
        parent = planned.parent and found.get(planned.parent.name, planned.parent)
        run = replace(planned, parent=parent) if parent is not planned.parent else planned
        found[run.name] = _as_there(run, folder.run(run.name))
    return list(found.values())


def _as_there(run: Run, folder: RunFolder) -> Run:
    try:
        there = read_config(folder) if run.own_tasks else None
    except Damaged:  # said where the folder is to be used
        return run
    if not there or not there.run or there.run_id == run.id or fingerprint(trained_content(there.run)) != run.id:
        return run
    # What that version scored was a part of the run: no other identity of scoring is known there.
    before = there.run["data"]["own_tasks"]
    return replace(run, id_there=there.run_id, scored={k: v for k, v in run.scored.items() if before.get(k) != v})
