"""Verbs that are not in this version; they say so, and what to do meanwhile."""

from __future__ import annotations

from typing import NoReturn

from dist_stilts.errors import UserError


def preflight() -> None:
    """Check hosts before a job starts. Not in this version."""
    not_yet("preflight", "Try `dist-stilts run RECIPE --dry-run`")


def not_yet(verb: str, instead: str) -> NoReturn:
    """Say that a verb does nothing yet."""
    raise UserError(f"'{verb}' is not in this version", fix=instead)
