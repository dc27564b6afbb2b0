"""``world.json`` of a simulated world, read back: which languages it has, and how far each is from English."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from dist_stilts.state_files import Amount, read_state


class Described(TypedDict):
    """What is read of a language."""

    code: str
    script: str
    distance: Amount


class _World(TypedDict):
    languages: list[Described]


class Manifest(_World, total=False):
    """What is read of a world; it has more."""

    seed: int
    placebo: bool


def read_manifest(file: Path) -> Manifest | None:
    """What a file says of its world; None if it is not there.

    Raises:
        Damaged: it describes no simulated languages.
    """
    fix = "Name the world.json that `dist-stilts simulate` wrote; a recipe's own world is made again if it is deleted"
    return read_state(Manifest, file, "the description of a simulated world", fix)
