"""What the keys of a recipe are: key, type, default, range, meaning, read from the dataclasses that read recipes.

A key's meaning is the string below its field in the code, or what the dataclass says of itself if the key is a section:
so there is one place to mend. The reference (``docs/recipe-keys.md``), ``dist-stilts recipes keys`` and the messages
about unknown keys have it from here. Sources are parsed when this is asked for, and not before.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from dist_stilts.ranges import allowed

NAME = "NAME"
"""What stands in a key where users choose a name."""
_TYPES = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}
"""Types in YAML's words."""


@dataclass(frozen=True)
class Key:
    """One key of a recipe.

    Attributes:
        path: with dots, ``phases.NAME.role``.
        kind: its type in YAML's words; default: as YAML would have it, empty for a section, None if it has none.
        allowed: what else it may be, in words; empty if any value of its type will do.
        section: the dataclass below it, if it is a section.
    """

    path: str
    kind: str
    default: str | None
    allowed: str
    meaning: str
    section: type | None


def keys_of(config: type, path: str = "") -> list[Key]:
    """The keys of one dataclass, in the order of its fields; those of the sections in it are not among them."""
    types, texts = get_type_hints(config), meanings(config)
    return [
        _key(field, types[field.name], f"{path}.{field.name}" if path else field.name, texts)
        for field in fields(config)
    ]


def sections(config: type, path: str = "") -> Iterator[tuple[str, type, list[Key]]]:
    """Path, dataclass and keys of a section, then of those in it."""
    keys = keys_of(config, path)
    yield path, config, keys
    for key in keys:
        if key.section:
            yield from sections(key.section, key.path + (f".{NAME}" if _is_named(config, key) else ""))


@cache
def meanings(config: type) -> dict[str, str]:
    """The meaning of each field of a dataclass, on one line; one that nobody has written is not there."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(config))).body[0]
    except OSError:  # defined where there is no file
        return {}
    assert isinstance(body, ast.ClassDef)
    found = {name: said for name, kind in get_type_hints(config).items() if (said := _of_section(kind))}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[ast.unparse(field.target)] = one_line(str(text.value.value))
    return found


def one_line(text: str) -> str:
    """A text without line breaks."""
    return " ".join(text.split())


def dataclass_in(kind: Any) -> type | None:
    """The dataclass that a type is, may be, or holds."""
    if isinstance(kind, type) and is_dataclass(kind):
        return kind
    return next((found for part in get_args(kind) if (found := dataclass_in(part))), None)


def _key(field: Field[Any], kind: Any, path: str, texts: dict[str, str]) -> Key:
    section = dataclass_in(kind)
    limits = str(allowed(field))
    return Key(path, _type_name(kind), _default(field, section), limits, texts.get(field.name, ""), section)


def _of_section(kind: Any) -> str:
    section = dataclass_in(kind)
    return one_line((inspect.getdoc(section) or "").partition("\n\n")[0]) if section else ""


def _is_named(config: type, key: Key) -> bool:
    return get_origin(get_type_hints(config)[key.path.rpartition(".")[2]]) is dict


def _type_name(kind: Any) -> str:
    """A type in YAML's words."""
    if dataclass_in(kind):
        if get_origin(kind) is dict:
            return f"{NAME}: section"
        return "section or null" if type(None) in get_args(kind) else "section"
    if get_origin(kind) is dict:
        return "keys and values"
    args = get_args(kind)
    if get_origin(kind) in (list, tuple):
        return f"list of {_type_name(args[0])}"
    return " or ".join(map(_type_name, args)) if args else "anything" if kind is Any else _TYPES[kind]


def _default(field: Field[Any], section: type | None) -> str | None:
    """A field's default as YAML would have it."""
    made = field.default_factory() if field.default_factory is not MISSING else field.default
    if made is MISSING:
        return None
    return "" if section and made is not None else _yaml(made)


def _yaml(value: Any) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    words = {"": '""', "None": "null", "True": "true", "False": "false"}
    return words.get(str(value), str(value))
