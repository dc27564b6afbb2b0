"""What users may call recipes, phases and tasks of their own: their folders are called so too, and so nothing but a
name will do."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dist_stilts.errors import UserError

NAME = re.compile(r"\w[\w.+@-]*")
"""Not a path, no option of a command, not hidden, and nothing that a shell would read otherwise."""
MOST_BYTES = 100
"""Folders' names may have 255, and a run's has those of two phases and a size."""


def check_name(name: str, where: str, taken: Mapping[str, str] | None = None) -> str:
    """Return ``name`` if it is one.

    Args:
        where: what bears it: ``phases``.
        taken: names that stand for something else: name to what that is.

    Raises:
        UserError: it could be a path or an option, or is taken.
    """
    if not NAME.fullmatch(name):
        fix = "Use letters, digits and ._-+@, first a letter or a digit"
        raise UserError(f"{where}: '{shown(name)}' is no name", fix=fix)
    if len(name.encode()) > MOST_BYTES:
        raise UserError(f"{where}: '{shown(name)}' has over {MOST_BYTES} bytes", fix="Shorten it")
    if taken and name in taken:
        raise UserError(f"{where}: '{name}' is {taken[name]}", fix="Choose another name")
    return name


def shown(name: str, most: int = 60) -> str:
    """The name as one line can show it."""
    text = name if name.isprintable() else name.encode("unicode_escape").decode("ascii")
    return text if len(text) <= most else f"{text[:most]}…"
