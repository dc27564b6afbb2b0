"""What a key of a recipe may be, beside its type: declared with its field, checked before anything starts.

    batch_size: int = key(32, at_least(1))

One declaration serves the check of recipes and overrides, the reference of all keys and the options of verbs. Numbers
are finite whatever else is declared, and texts are not empty unless it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy, deepcopy
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from dist_stilts.errors import UserError, near, nearest

T = TypeVar("T")
MOST = 10**9
"""No number of rows, steps or tokens is larger."""
MOST_SEED = 2**32 - 1
"""What every generator of random numbers takes."""
SHOWN = 60
"""Characters of a wrong value that a message repeats."""
_ALLOWED, _CHANGES = "allowed", "changes"


@dataclass(frozen=True)
class Range:
    """What is allowed; of a list, for each of its items.

    Attributes:
        least, most: of a number; above, below: whether these two are themselves outside.
        words: the texts there are; beside numbers, for what may be either.
        fewest, many: items of a list.
        form: raises UserError or ValueError for a text of another form; says: that form in words.
        empty: whether a text may be; null: whether the key may have none.
        path: whether it is the path of a file or folder, in which ``~`` is the user's own.
    """

    least: float = -MOST
    most: float = MOST
    above: bool = False
    below: bool = False
    words: tuple[str, ...] = ()
    fewest: int = 0
    many: int = MOST
    form: Callable[[str], object] | None = None
    says: str = ""
    empty: bool = False
    null: bool = False
    path: bool = False

    def allows(self, value: Any) -> bool:
        """Whether a value of the key's type is inside; None and what has no range always are."""
        if isinstance(value, list | tuple):
            return self.fewest <= len(value) <= self.many and all(map(self.allows, value))
        if isinstance(value, str):
            return self._allows_text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._allows_number(value)
        return True

    def _allows_number(self, value: float) -> bool:
        low = value > self.least if self.above else value >= self.least
        high = value < self.most if self.below else value <= self.most
        return low and high  # NaN is neither

    def _allows_text(self, value: str) -> bool:
        if self.words:
            return value in self.words
        if not value or not _is_unicode(value):
            return self.empty and not value
        try:
            if self.form:
                self.form(value)
        except (UserError, ValueError):
            return False
        return True

    def __str__(self) -> str:
        """In words, for messages and the reference; empty if there is nothing to say."""
        numbers = self._numbers()
        known = _listed(self.words)
        each = f"{numbers}, or {known}" if numbers and known else numbers or known or self.says
        if self.fewest == self.many:
            return f"{self.fewest} of them, each {each}"
        return ", ".join(filter(None, ("one or more" if self.fewest else "", each)))

    def _numbers(self) -> str:
        if self.least == -MOST:
            return "" if self.most == MOST else f"{'below' if self.below else 'at most'} {self.most:,}"
        if self.most == MOST:
            return f"above {self.least:,}" if self.above else f"{self.least:,} or more"
        if not self.above and not self.below:
            return f"{self.least:,} to {self.most:,}"
        low = f"above {self.least:,}" if self.above else f"{self.least:,} or more"
        return f"{low}, {'below' if self.below else 'at most'} {self.most:,}"


def at_least(least: float, *words: str, **more: Any) -> Range:
    """``least`` or more, or one of some words."""
    return Range(least, words=words, **more)


def above(least: float, **more: Any) -> Range:
    """More than ``least``."""
    return Range(least, above=True, **more)


def between(least: float, most: float, **more: Any) -> Range:
    """From ``least`` to ``most``."""
    return Range(least, most, **more)


def one_of(*words: str, **more: Any) -> Range:
    """One of some words."""
    return Range(words=words, **more)


def text(form: Callable[[str], object] | None = None, says: str = "", **more: Any) -> Range:
    """Any text, or one of a form."""
    return Range(form=form, says=says, **more)


SEED = between(0, MOST_SEED)
SCALE = between(0.01, 100)
"""Of a simulated world: what it is smaller or larger than the default one."""
A_PATH = text(path=True)
ANYTHING = Range()


def key(default: T, allowed: Range) -> T:
    """A field of a config dataclass with its default and what else is allowed."""
    made: Any = field(**_default(default), metadata={_ALLOWED: allowed})
    return made


def needed(allowed: Range) -> Any:
    """A field without a default."""
    return field(metadata={_ALLOWED: allowed})


def changes_of(config: type) -> Any:
    """A field of keys and values that are laid over a config of another place, and so are its keys and values."""
    return field(default_factory=dict, metadata={_CHANGES: config})


def _default(default: Any) -> dict[str, Any]:
    if isinstance(default, list | dict) or is_dataclass(default):
        return {"default_factory": lambda: deepcopy(default)}
    return {"default": default}


def changed_config(declared: Field[Any]) -> type | None:
    """The config whose keys a field's are, see :func:`changes_of`."""
    found: type | None = declared.metadata.get(_CHANGES)
    return found


def allowed(declared: Field[Any]) -> Range:
    """What a field allows: finite numbers and texts that are not empty, unless it says otherwise."""
    found: Range = declared.metadata.get(_ALLOWED, ANYTHING)
    return replace(found, empty=found.empty or declared.default == "", null="None" in str(declared.type))


def violations(config: Any, above: str = "") -> Iterator[tuple[str, UserError]]:
    """What is outside its range in a config and those in it, with its key; then what keys do not allow each other.

    A config says the latter in a method ``check``, which raises UserError.
    """
    start = f"{above}." if above else ""
    found = False
    for declared in fields(config):
        value, name = getattr(config, declared.name), f"{start}{declared.name}"
        for place, error in _outside(value, name, allowed(declared)):
            found = True
            yield place, error
    if not found and hasattr(config, "check"):
        try:
            config.check()
        except UserError as error:
            name = error.place or ""
            yield f"{start}{name}", UserError(f"{start}{name}: {error.what}", fix=error.fix)


def _outside(value: Any, name: str, limits: Range) -> Iterator[tuple[str, UserError]]:
    if is_dataclass(value):
        yield from violations(value, name)
    elif isinstance(value, dict):
        for below, item in value.items():
            yield from _outside(item, f"{name}.{below}", limits)
    elif not limits.allows(value):
        yield name, refusal(name, value, limits)


def refusal(name: str, value: Any, limits: Range) -> UserError:
    """That a value is outside its range, and what is inside."""
    what = f"wrong value for '{name}': {shown(value)}"
    if isinstance(value, str) and not value:
        known = f"Allowed: {limits}" if str(limits) else "Give it a value"
        return UserError(f"'{name}' is empty", fix=f"{known}{', or null for none' if limits.null else ''}")
    if isinstance(value, str) and limits.words and (limits.least == -MOST or near(value, limits.words)):
        return UserError(what, fix=nearest(value, limits.words))
    if isinstance(value, str) and not _is_unicode(value):
        return UserError(what, fix="It is not UTF-8")
    if isinstance(value, int | float) and value > limits.most == MOST:
        return UserError(what, fix=f"Allowed: at most {MOST:,}")
    return UserError(what, fix=f"Allowed: {limits}" if str(limits) else "Allowed: a finite number")


def check(config: Any, name: Callable[[str], str] = str) -> None:
    """UserError for the first that is outside its range; ``name``: what a key is called where the config comes from."""
    for place, error in violations(config):
        raise UserError(error.what.replace(place, name(place), 1), fix=error.fix)


def at_home(config: T) -> T:
    """A copy of a config in which ``~`` at the beginning of paths is the user's home."""
    made: Any = copy(config)
    for declared in fields(made):
        value = getattr(config, declared.name)
        setattr(made, declared.name, _at_home(value, allowed(declared).path))
    found: T = made
    return found


def _at_home(value: Any, path: bool) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return at_home(value)
    if isinstance(value, dict):
        return {key: _at_home(item, path) for key, item in value.items()}
    if isinstance(value, list):
        return [_at_home(item, path) for item in value]
    return _expanded(value) if path and isinstance(value, str) and value.startswith("~") else value


def _expanded(path: str) -> str:
    try:
        return str(Path(path).expanduser())
    except RuntimeError:  # nobody is called so: a file may be
        return path


def shown(value: Any) -> str:
    """A value as a message repeats it: on one line, and not longer than that."""
    said = f"'{value}'" if isinstance(value, str) else f"{value}"
    said = said if said.isprintable() else said.encode("unicode_escape").decode("ascii")
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}…"


def _listed(words: tuple[str, ...]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _is_unicode(value: str) -> bool:
    return all(not 0xD800 <= ord(letter) < 0xE000 for letter in value)
