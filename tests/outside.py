"""Settings just outside what the keys of a recipe allow, made from the ranges that their fields declare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_origin, get_type_hints

from dist_stilts.ranges import MOST, Range, allowed, changed_config
from dist_stilts.recipe_keys import dataclass_in


def outside(limits: Range, kind: Any) -> Iterator[str]:
    """Values of a key as they are typed: none is inside, and none is far from it.

    Args:
        kind: the key's type.
    """
    several = get_origin(kind) in (list, dict)
    made = [value for value in _wrong(limits, "int" in str(kind), "float" in str(kind)) if not limits.allows(value)]
    for value in made:
        yield f"[{value}]" if several else f"{value}"
    if several and limits.fewest:
        yield "[]"


def _wrong(limits: Range, whole: bool, real: bool) -> Iterator[Any]:
    if real:
        yield from (limits.least, limits.most, limits.least - 0.01, limits.most + 0.01)
        yield from (float("nan"), float("inf"), float("-inf"))
    elif whole:
        yield from (int(limits.least) - 1, int(limits.most) + 1, -MOST - 1, 10**25)
    if limits.words or limits.form:
        yield "no such word, surely"


def settings_outside(config: type, names: dict[str, str], above: str = "") -> Iterator[str]:
    """``key=value`` for every key of a config and of those in it.

    Args:
        names: section of names that users give to the name that stands there.
    """
    types = get_type_hints(config)
    for declared in fields(config):
        kind, key = types[declared.name], f"{above}{declared.name}"
        section = changed_config(declared) or dataclass_in(kind)
        if section and get_origin(kind) is dict and not changed_config(declared):
            yield from settings_outside(section, names, f"{key}.{names[declared.name]}.")
        elif section:
            yield from settings_outside(section, names, f"{key}.")
        elif get_origin(kind) is not dict:
            for value in outside(allowed(declared), kind):
                yield f"{key}={value}"


def numeric_without_range(config: type) -> Iterator[str]:
    """Keys of numbers of a config, and of those in it, that say nothing of which numbers."""
    types = get_type_hints(config)
    for declared in fields(config):
        kind, limits = types[declared.name], allowed(declared)
        section = changed_config(declared) or dataclass_in(kind)
        if section:
            yield from numeric_without_range(section)
        elif ("int" in str(kind) or "float" in str(kind)) and limits.least == -MOST and limits.most == MOST:
            yield f"{config.__name__}.{declared.name}"
