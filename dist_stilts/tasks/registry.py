"""The table of all tasks; no two share a name or alias."""

from __future__ import annotations

from collections.abc import Iterable

from dist_stilts.errors import UserError, near, nearest
from dist_stilts.tasks import specs_choice, specs_pairs, specs_qa, specs_tagging, specs_text
from dist_stilts.tasks.spec import TaskSpec

_SPECS: tuple[TaskSpec, ...] = (
    *specs_pairs.SPECS,
    *specs_choice.SPECS,
    *specs_qa.SPECS,
    *specs_tagging.SPECS,
    *specs_text.SPECS,
)


MULTI = "multi"
"""In a recipe: all of the intermediate tasks at once."""
INTERMEDIATE = (
    "anli_plus",
    "mnli",
    "qqp",
    "squad_v1",
    "squad_v2",
    "hellaswag",
    "ccg",
    "cosmosqa",
    "commonsenseqa",
)
"""The nine intermediate tasks of Phang et al. 2020, in its order."""


def index_by_name(specs: Iterable[TaskSpec]) -> dict[str, TaskSpec]:
    """Map every name and alias to its task; raises ValueError if two tasks claim one."""
    index: dict[str, TaskSpec] = {}
    for spec in specs:
        for name in (spec.name, *spec.aliases):
            if name in index:
                raise ValueError(f"two tasks are called '{name}': {index[name].name} and {spec.name}")
            index[name] = spec
    return index


_BY_NAME = index_by_name(_SPECS)


def get_task(name: str) -> TaskSpec:
    """Return the task of that name or alias; raises UserError naming the nearest one."""
    if name not in _BY_NAME:
        known = near(name, _BY_NAME) or [spec.name for spec in _BY_NAME.values()]  # aliases are understood, not listed
        raise UserError(f"unknown task '{name}'", fix=nearest(name, known))
    return _BY_NAME[name]


def find_task(name: str) -> TaskSpec | None:
    """Return the task of that name or alias, if there is one."""
    return _BY_NAME.get(name)


def register(spec: TaskSpec) -> None:
    """Add a task of the user's own; raises UserError if one of ours has its name."""
    if spec.name == MULTI or any(spec.name in (known.name, *known.aliases) for known in _SPECS):
        raise UserError(f"'{spec.name}' is the name of a built-in task", fix="Give your own task another name")
    _BY_NAME[spec.name] = spec


def all_tasks() -> tuple[TaskSpec, ...]:
    """Return every task, in the table's order."""
    return _SPECS
