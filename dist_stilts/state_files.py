"""Files of ours that say how things stand, read back as the typed records that they were written from.

Nothing in such a file is trusted: copies break off, disks fail, people edit. A field that is missing or of another type
is found here and not where it is used; one that is not known, of a newer version, is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from dist_stilts import checksums
from dist_stilts.errors import UserError

T = TypeVar("T")
LARGEST = 2**63
"""No number of ours is as large: one that is would be an error wherever it is added to another."""


@dataclass(frozen=True)
class Least:
    """The lowest value that a number may have."""

    value: float


Count = Annotated[int, Least(0)]
"""A number of things, or of one of them."""
Amount = Annotated[float, Least(0)]
"""Seconds, bytes, and the like."""


class Damaged(UserError):
    """A file of ours does not say what it should."""


def read_state(kind: type[T], path: Path, what: str, fix: str, *, exact: bool = False) -> T | None:
    """The record that a JSON or (``.yaml``) YAML file holds; None if there is no such file.

    Args:
        what: what the file is, for people: ``the status of a run``; fix: what to do where it is not.
        exact: whether a field that is not known is an error too: one that may change what the others mean.

    Raises:
        Damaged: it cannot be read, is empty, cut off or no UTF-8, or a field is missing or of another type; or its
            checksum, where it has one, differs.
    """
    try:
        value = _parse(path.read_text(encoding="utf-8"), is_yaml=path.suffix == ".yaml")
        if isinstance(value, dict) and not checksums.is_intact(value):
            raise ValueError("it is no longer what was written")
        record: T = typed(kind, value)
        if exact and (unknown := sorted(value.keys() - get_type_hints(kind).keys())):
            raise ValueError(f"'{unknown[0]}' is not known here")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Damaged(f"{what} cannot be read ({error.strerror})", where=path, fix=fix) from None
    except (ValueError, RecursionError) as error:
        raise Damaged(f"not {what} ({_short(error)})", where=path, fix=fix) from None
    return record


def _parse(text: str, is_yaml: bool) -> Any:
    if not text.strip():
        raise ValueError("it is empty")
    if not is_yaml:
        return parse_json(text)
    import yaml

    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def parse_json(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is no JSON, which has no NaN and no infinity.
    """
    return json.loads(text, parse_constant=_no_number)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}")


def _short(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is no UTF-8"
    return " ".join(str(error).split())[:120] if isinstance(error, ValueError) else "it is nested too deeply"


def typed(kind: Any, value: Any, name: str = "") -> Any:
    """A value of JSON or YAML as the type that it stands for: dataclasses, typed dictionaries, collections, plain ones.

    Args:
        name: of the value, for the error.

    Raises:
        ValueError: it is of another type, out of range, not finite, or lacks a field.
    """
    plain = get_origin(kind) or kind
    if plain is Annotated:
        return _at_least(typed(kind.__origin__, value, name), kind.__metadata__, name)
    if kind is Any:
        return value
    if plain in (UnionType, Union):
        return _any_of(get_args(kind), value, name)
    if is_dataclass(plain) or is_typeddict(plain):
        return _record(plain, value, name)
    if issubclass(plain, StrEnum):
        return plain(value) if value in list(plain) else _wrong(value, name)
    if plain in (tuple, list, Sequence):
        return _sequence(kind, value, name)
    if plain in (dict, Mapping):
        return _mapping(get_args(kind), value, name)
    return _plain(plain, value, name)


def _at_least(value: Any, ranges: Sequence[Least], name: str) -> Any:
    return value if all(value >= each.value for each in ranges) else _wrong(value, name)


def _any_of(kinds: Sequence[Any], value: Any, name: str) -> Any:
    if value is None and NoneType in kinds:
        return None
    *others, last = (kind for kind in kinds if kind is not NoneType)
    for kind in others:
        try:
            return typed(kind, value, name)
        except ValueError:
            continue
    return typed(last, value, name)


def _record(kind: Any, value: Any, name: str) -> Any:
    given = value if isinstance(value, dict) else _wrong(value, name)
    hints, needed = _shape(kind)
    if missing := sorted(needed - given.keys()):
        raise ValueError(f"it has no '{_inside(name, missing[0])}'")
    found = {key: typed(hint, given[key], _inside(name, key)) for key, hint in hints.items() if key in given}
    return {**given, **found} if is_typeddict(kind) else kind(**found)


@cache
def _shape(kind: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """Types by name of a record's fields, and the names of those that it cannot be without."""
    hints = get_type_hints(kind, include_extras=True)
    if is_typeddict(kind):
        return hints, frozenset(kind.__required_keys__)
    free = {each.name for each in fields(kind) if each.default is not MISSING or each.default_factory is not MISSING}
    return hints, frozenset(hints.keys() - free)


def _sequence(kind: Any, value: Any, name: str) -> Any:
    given = value if isinstance(value, list | tuple) else _wrong(value, name)
    kinds, into = get_args(kind), list if (get_origin(kind) or kind) is list else tuple
    if into is tuple and len(kinds) > 0 and kinds[-1] is not Ellipsis and get_origin(kind) is tuple:
        if len(given) != len(kinds):
            _wrong(value, name)
        return tuple(typed(each, part, name) for each, part in zip(kinds, given, strict=True))
    return into(typed(kinds[0] if kinds else Any, part, name) for part in given)


def _mapping(kinds: Sequence[Any], value: Any, name: str) -> dict[Any, Any]:
    given = value if isinstance(value, dict) else _wrong(value, name)
    of_key, of_value = kinds or (Any, Any)
    return {typed(of_key, key, name): typed(of_value, each, _inside(name, key)) for key, each in given.items()}


def _plain(kind: type, value: Any, name: str) -> Any:
    if type(value) in (int, float) and not -LARGEST < value < LARGEST:
        _wrong(value, name)  # NaN, too
    fits = type(value) in (int, float) if kind is float else type(value) is kind
    return value if fits else _wrong(value, name)


def _inside(name: str, key: object) -> str:
    return f"{name}.{key}" if name else str(key)


def _wrong(value: Any, name: str) -> NoReturn:
    said = json.dumps(value, ensure_ascii=False, default=str)
    raise ValueError(f"{repr(name) if name else 'it'} is {said[:40]}")
