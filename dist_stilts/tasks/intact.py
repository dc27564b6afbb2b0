"""Whether files that this program wrote and tasks read are what was written: a simulated world's, and translations."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from dist_stilts import checksums
from dist_stilts.errors import UserError
from dist_stilts.layout import translation_record, world_file
from dist_stilts.once import noted
from dist_stilts.writing import COMPLETE

CONTENT = "content"
"""Where the record of a translation has the checksum of its file."""


def require_intact(files: Iterable[Path], root: Path) -> None:
    """UserError if a file is one of ours and no longer what was written; all others are as they are."""
    of_world = noted(root) if world_file(root).is_file() else {}
    for file in (*files, *([world_file(root)] if of_world else [])):
        if not file.is_file():  # in an archive
            continue
        name = file.relative_to(root).as_posix() if file.is_relative_to(root) else ""
        if name in of_world and (wrong := checksums.damage(file, of_world[name])):
            raise UserError(
                f"damaged, or changed since the world was made ({wrong})",
                where=file,
                fix=f"Delete {root} and make it again; if you changed it on purpose, empty {root / COMPLETE}",
            )
        if file.parent.name == "translated":
            require_translation(file)


def require_translation(file: Path) -> None:
    """UserError if a file of translations is no longer what was written; older ones have no checksum."""
    record = translation_record(file)
    try:
        expected = json.loads(record.read_text(encoding="utf-8"))[CONTENT]
    except (OSError, ValueError, LookupError, TypeError):
        return
    if wrong := checksums.damage(file, str(expected)):
        raise UserError(
            f"damaged, or changed since it was translated ({wrong})",
            where=file,
            fix=f'Delete it and translate again; if you changed it on purpose, take "{CONTENT}" out of {record}',
        )
