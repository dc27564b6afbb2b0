"""Recipes as text: YAML, and ``key=value``, read as values of the types that their keys have; each with its line.

What a scalar is follows from the key, not from how it looks: `no`, `010` and `a: b` are texts where the key is one.
Elsewhere YAML decides, as its version 1.2 reads numbers: 010 is ten, 1e-5 is one hundred-thousandth, 1:30 is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

import yaml

from dist_stilts.errors import UserError
from dist_stilts.ranges import changed_config, shown

MOST_VALUES, MOST_DEPTH = 100_000, 40
"""Values of a recipe, each alias counted as what it stands for, and mappings in mappings: more is a mistake."""
UNSET = "???"
"""A value that the library which merges recipes takes for none."""
NUMBERS = {"tag:yaml.org,2002:int": r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+", "tag:yaml.org,2002:float": (
    r"[-+]?([0-9][0-9_]*\.?|[0-9]*\.[0-9]+|[0-9][0-9_]*\.[0-9_]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)}  # fmt: skip
"""YAML 1.2, section 10.3.2, with the underscores of 1.1."""
DATES = "tag:yaml.org,2002:timestamp"
SCALARS = (str, int, float, bool, NoneType)
WORDS = {int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}
MAPPING, LIST, VALUE = "keys and values", "a list", "a single value"


class _Loader(yaml.SafeLoader):
    """In Python, which ends where texts nest too deep; the one in C does not end well."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in (*NUMBERS, DATES)]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in NUMBERS.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), list("-+0123456789."))


def _whole(_: Any, node: yaml.ScalarNode) -> int:
    digits = node.value.replace("_", "")
    return int(digits, 0 if digits[1:2] in ("o", "x") else 10)


_Loader.add_constructor("tag:yaml.org,2002:int", _whole)


class Reader:
    """Values of one text; ``lines``: the line of each, by its dotted key."""

    def __init__(self, text: str, where: str | Path) -> None:
        self.where, self.lines, self._count = where, dict[str, int](), 0
        self._flattened: set[int] = set()
        self._loader = _Loader("")
        self._node = self._composed(text)

    def read(self, kind: Any, key: str = "") -> Any:
        """The value of a key; None if there is nothing but comments. UserError: it is not YAML, or not of this type."""
        return None if self._node is None else self._value(self._node, kind, key, 0)

    def line_of(self, key: str) -> int:
        """The line on which a key stands, or what it is in; 1 if neither does."""
        while key and key not in self.lines:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return self.lines.get(key, 1)

    def _composed(self, text: str) -> yaml.Node | None:
        try:
            self._loader = _Loader(text)
            node: yaml.Node | None = self._loader.get_single_node()
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise UserError(f"not valid YAML: {error.reason}", where=self._at(line)) from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            problem = str(getattr(error, "problem", error))
            said = f"{getattr(error, 'context', '')}, {problem}" if problem.startswith("but ") else problem
            raise UserError(f"not valid YAML: {said}", where=self._at(line)) from None
        except RecursionError:
            self._refuse("nested too deeply", self._loader.line + 1)
        return node

    def _value(self, node: yaml.Node, kind: Any, key: str, depth: int) -> Any:
        self._count += 1
        line = node.start_mark.line + 1
        if depth > MOST_DEPTH:
            self._refuse(f"nested more than {MOST_DEPTH} deep", line)
        if self._count > MOST_VALUES:
            self._refuse(f"more than {MOST_VALUES:,} values: do aliases stand for each other?", line)
        if key and isinstance(node, yaml.ScalarNode) and node.value.startswith("${"):
            return node.value  # it stands for a value of any form
        if key and _is_null(node) and NoneType in _options(kind):
            return None
        if (found := _form_of_node(node)) not in (wanted := _forms(kind)):
            where, what = (f"wrong value for '{key}'", " or ".join(wanted)) if key else ("a recipe", MAPPING)
            fix = "Write {} for all its defaults" if _is_null(node) and wanted == [MAPPING] else ""
            self._refuse(f"{where}: {'nothing' if fix else found}, not {what}", line, fix)
        if isinstance(node, yaml.MappingNode):
            return dict(self._items(node, kind, key, depth))
        if isinstance(node, yaml.SequenceNode):
            return [self._item(each, kind, f"{key}[{n}]", depth) for n, each in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, kind, key)

    def _items(self, node: yaml.MappingNode, kind: Any, key: str, depth: int) -> Iterator[tuple[Any, Any]]:
        self._flatten(node)
        for name_node, node_below in node.value:
            name = self._name(name_node, kind)
            below = f"{key}.{name}" if key else f"{name}"
            self.lines[below] = name_node.start_mark.line + 1
            yield name, self._value(node_below, kind_below(kind, name), below, depth + 1)

    def _item(self, node: yaml.Node, kind: Any, key: str, depth: int) -> Any:
        self.lines[key] = node.start_mark.line + 1
        return self._value(node, kind_below(kind, 0), key, depth + 1)

    def _flatten(self, node: yaml.MappingNode) -> None:
        """Put what ``<<`` stands for in its place, once; of two keys of one name the second is refused."""
        if id(node) in self._flattened:
            return
        self._flattened.add(id(node))
        seen = set()
        for name, _ in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value in seen:
                self._refuse(f"not valid YAML: duplicate key {shown(name.value)}", name.start_mark.line + 1)
            seen.add(name.value if isinstance(name, yaml.ScalarNode) else id(name))
        try:
            self._loader.flatten_mapping(node)
        except yaml.YAMLError as error:
            self._refuse(f"not valid YAML: {getattr(error, 'problem', error)}", node.start_mark.line + 1)
        except RecursionError:
            self._refuse("a mapping that holds itself", node.start_mark.line + 1)

    def _name(self, node: yaml.Node, kind: Any) -> Any:
        if not isinstance(node, yaml.ScalarNode) or _is_null(node):
            fix = "Quote it if it is a name" if isinstance(node, yaml.ScalarNode) and node.value else ""
            self._refuse("a key is no text", node.start_mark.line + 1, fix)
        return self._constructed(node) if kind is Any else node.value

    def _scalar(self, node: yaml.ScalarNode, kind: Any, key: str) -> Any:
        if node.value == UNSET:
            self._refuse(f"'{key}' has no value", node.start_mark.line + 1, "Give it one, or leave the key out")
        kinds = scalars_of(kind)
        if _is_null(node) and (NoneType in kinds or not kinds):
            return None
        if not node.value and node.style is None:
            self._refuse(f"'{key}' has no value", node.start_mark.line + 1, "Give it one, or leave the key out")
        if str in kinds and not (node.tag.endswith(":int") and int in kinds):
            return node.value
        made = self._constructed(node)
        if kinds and (made is None or isinstance(made, bool) != (bool in kinds)):  # a number is not true
            fix = f"Allowed: {' or '.join(WORDS[each] for each in WORDS if each in kinds)}"
            self._refuse(f"wrong value for '{key}': {shown(node.value)}", node.start_mark.line + 1, fix)
        return _as_float(made) if float in kinds and isinstance(made, int) else made

    def _constructed(self, node: yaml.ScalarNode) -> Any:
        try:
            return self._loader.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError):  # a tag that does not fit
            self._refuse(f"not a value: {shown(node.value)}", node.start_mark.line + 1)

    def _at(self, line: int) -> Any:
        return (self.where, line) if isinstance(self.where, Path) else self.where

    def _refuse(self, what: str, line: int, fix: str = "") -> NoReturn:
        raise UserError(what, where=self._at(line), fix=fix) from None


def read_text(path: Path) -> str:
    """A file's text; UserError with the line that is not UTF-8, and if it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=path) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError("is not UTF-8", where=(path, line), fix="Save it as UTF-8") from None


def read_override(override: str, schema: type, place: str, names: Any) -> tuple[list[str], Any]:
    """Key and value of ``key=value``: a text is taken as it stands, anything else is YAML; ``null`` stands for none.

    Args:
        place: what messages call it; names: the config so far, for names of the user's that have a dot in them.

    Raises:
        UserError: it is not of that form, or has no value.
    """
    key, sign, text = override.partition("=")
    if not sign or not key:
        raise UserError(
            f"{shown(override)} is not an override", fix="Write key=value, for example train.learning_rate=1e-5"
        )
    path, kind = _split(key, schema, names)
    kinds = scalars_of(kind)
    if text.strip() == UNSET or (not text.strip() and str not in kinds):
        raise UserError(f"'{key}' has no value", where=place, fix="Write null for none")
    if kind is None or str in kinds:
        return path, _literal(text, kinds)
    return path, Reader(text, place).read(kind, key)


def _literal(text: str, kinds: set[type]) -> Any:
    if text == "null" and NoneType in kinds:
        return None
    return int(text) if int in kinds and re.fullmatch(r"[-+]?[0-9]{1,400}", text) else text


def _split(key: str, schema: Any, names: Any) -> tuple[list[str], Any]:
    """The parts of a dotted key and the type of what it names, None if there is no such key."""
    path, kind, rest = list[str](), schema, key
    while rest:
        known = [name for name in names if rest.startswith(f"{name}.")] if get_origin(kind) is dict else []
        part = max(known, key=len) if known else rest.partition(".")[0]
        rest = rest[len(part) + 1 :]
        kind, names = kind_below(kind, part), _below(names, part)
        path.append(part)
    return path, kind


def _below(names: Any, part: str) -> Any:
    return names.get(part, {}) if isinstance(names, dict) else {}


def kind_below(kind: Any, name: str | int) -> Any:
    """The type of what has a name in a section or mapping, or a place in a list; None where there is no such key."""
    if kind is None or kind is Any:
        return kind
    for option in _options(kind):
        if is_dataclass(option) and isinstance(option, type):
            return _kinds(option).get(str(name))
        if get_origin(option) in (dict, list):
            return get_args(option)[-1]
    return None


def _forms(kind: Any) -> list[str]:
    """Forms in which YAML writes values of a type."""
    if kind is None or kind is Any:
        return [MAPPING, LIST, VALUE]
    return list(dict.fromkeys(_form(option) for option in _options(kind) if option is not NoneType))


def _form(option: Any) -> str:
    if get_origin(option) in (list, tuple):
        return LIST
    return MAPPING if get_origin(option) is dict or is_dataclass(option) else VALUE


def _form_of_node(node: yaml.Node) -> str:
    return MAPPING if isinstance(node, yaml.MappingNode) else LIST if isinstance(node, yaml.SequenceNode) else VALUE


def scalars_of(kind: Any) -> set[Any]:
    """The types of scalars among what a type may be; none where it may be anything."""
    return {option for option in _options(kind) if option in SCALARS}


def _options(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if _is_union(kind) else (kind,)


@cache
def _kinds(config: type) -> dict[str, Any]:
    """The types of a config's fields; of one that is laid over another config, that config."""
    hints = get_type_hints(config)
    return {declared.name: changed_config(declared) or hints[declared.name] for declared in fields(config)}


def _is_union(kind: Any) -> bool:
    return bool(get_args(kind)) and get_origin(kind) not in (dict, list, tuple)


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _as_float(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")
