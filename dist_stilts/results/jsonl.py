"""Files of JSON objects, one per line, only ever appended, readable at any moment.

One process writes a file (rank 0 of a run). What belongs together goes out in a single write and is on the disk when
:func:`append` returns, so a crash can tear only the line that was being written; readers skip that one.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from dist_stilts.errors import UserError
from dist_stilts.state_files import parse_json
from dist_stilts.writing import append_bytes

log = logging.getLogger(__name__)


def append(path: Path, *objects: Mapping[str, Any]) -> None:
    """Add lines. NumPy scalars and paths become plain values.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot hold; write ``None`` where there is no score.
        OSError: no room for all of it; then none of it is there.
    """
    lines = [json.dumps(each, ensure_ascii=False, allow_nan=False, default=_plain) + "\n" for each in objects]
    path.parent.mkdir(parents=True, exist_ok=True)
    _mend_last_line(path)
    append_bytes(path, "".join(lines).encode())


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a record cannot hold a {type(value).__name__}")


def _mend_last_line(path: Path) -> None:
    """Make the file end with a newline: drop what a crash left of the last line, unless it is all there."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        if _ends_well(file):
            return
        content = file.read()
        tail = content[content.rfind(b"\n") + 1 :]
        if _parse(tail) is None:
            file.truncate(len(content) - len(tail))
            log.warning("%s: dropped a torn last line", path)
        else:
            file.write(b"\n")


def _ends_well(file: BinaryIO) -> bool:
    """Whether the last byte is a newline: all that is looked at in a long file, line after line."""
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    last = file.read(1)
    file.seek(0)
    return last == b"\n"


def read(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Return the objects of a file with the numbers of their lines. A torn last line is skipped with a warning.

    Raises:
        UserError: no such file, or (with file and line) any other line that is not a JSON object.
    """
    try:
        *lines, tail = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        fix = "Run `dist-stilts evaluate` or `run` first"
        raise UserError("no such file of results", where=path, fix=fix) from None
    except OSError as error:
        raise UserError(f"the results cannot be read ({error.strerror})", where=path, fix="Restore the file") from None
    found = []
    for number, line in enumerate(lines, start=1):
        content = _parse(line)
        if content is not None:
            found.append((number, content))
        elif line.strip():
            raise UserError("not a JSON object", where=(path, number), fix="Delete the line or restore the file")
    last = _parse(tail)
    if last is not None:
        found.append((len(lines) + 1, last))
    elif tail.strip():
        log.warning("%s:%d: skipped a torn last line", path, len(lines) + 1)
    return found


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        content = parse_json(line)
    except (ValueError, RecursionError):  # also what bytes that are not UTF-8 raise
        return None
    return content if isinstance(content, dict) else None
