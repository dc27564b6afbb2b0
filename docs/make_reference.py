#!/usr/bin/env python3
"""Writes docs/recipe.md, the reference of every recipe key, from the dataclasses that read recipes.

Usage: python docs/make_reference.py

A key's text is the string below its field in the code, so that there is one place to mend. A test keeps the page up to
date.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from dist_stilts.experiment.run_config import Recipe

PAGE = Path(__file__).with_name("recipe.md")
NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}
"""Types in YAML's words."""
HEADER = """\
# Every key of a recipe

Made from the code by `python docs/make_reference.py`: change the text there, not here.

A recipe is a YAML file; on the command line `key=value` after it changes any of these (`train.learning_rate=1e-5`).
Later wins over earlier: defaults, then the file, then the command line. `NAME` stands for a name of your own. A wrong
key or type is refused, with its line and the nearest right key.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEADER, *sections(Recipe, "")])


def sections(config: type, path: str) -> Iterator[str]:
    """One table for a dataclass, and those of the dataclasses in it."""
    types, texts = get_type_hints(config), field_texts(config)
    yield f"## {f'`{path}`' if path else 'At the top'}\n"
    yield one_line(inspect.getdoc(config) or "") + "\n"
    yield "| key | type | default | |\n|---|---|---|---|"
    inside = []
    for field in fields(config):
        key = f"{path}.{field.name}" if path else field.name
        nested = dataclass_in(types[field.name])
        if nested:
            inside.append((nested, f"{key}.NAME" if is_mapping(types[field.name]) else key))
        kind = cell(type_name(types[field.name]))
        yield f"| `{key}` | {kind} | {default(field, nested)} | {texts.get(field.name, see(inside[-1:], nested))} |"
    yield ""
    for nested, key in inside:
        yield from sections(nested, key)


def see(inside: list[tuple[type, str]], nested: type | None) -> str:
    """Where a key without a text of its own is explained."""
    return f"see `{inside[0][1]}` below" if nested else ""


def field_texts(config: type) -> dict[str, str]:
    """The string below each field, on one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(config))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[ast.unparse(field.target)] = cell(one_line(str(text.value.value)))
    return found


def dataclass_in(kind: Any) -> type | None:
    """The dataclass that a type is, may be, or holds."""
    if isinstance(kind, type) and is_dataclass(kind):
        return kind
    return next((found for part in get_args(kind) if (found := dataclass_in(part))), None)


def is_mapping(kind: Any) -> bool:
    """Whether a type is a dictionary."""
    return get_origin(kind) is dict


def type_name(kind: Any) -> str:
    """A type in YAML's words."""
    nested = dataclass_in(kind)
    if nested:
        return "NAME: section" if is_mapping(kind) else "section" + (" or null" if type(None) in get_args(kind) else "")
    if is_mapping(kind):
        return "keys and values"
    args = get_args(kind)
    if get_origin(kind) in (list, tuple):
        return f"list of {type_name(args[0])}"
    return " or ".join(map(type_name, args)) if args else NAMES[kind]


def default(field: Field[Any], nested: type | None) -> str:
    """A field's default as YAML would have it."""
    made = field.default_factory() if field.default_factory is not MISSING else field.default
    if made is MISSING:
        return "*needed*"
    if nested and made is not None:
        return ""
    return f"`{yaml_value(made)}`"


def yaml_value(value: Any) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(yaml_value, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {yaml_value(item)}" for key, item in value.items()) + "}"
    words = {"": '""', "None": "null", "True": "true", "False": "false"}
    return words.get(str(value), str(value))


def one_line(text: str) -> str:
    """A text without line breaks."""
    return " ".join(text.split())


def cell(text: str) -> str:
    """A text in a cell of a table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
