"""Checksums of what is kept and read again: a bit that flips on a disk is noticed, and not computed with (law 9).

XXH3 (Collet, xxhash.com), 128 bits: it finds accidents, forges are not its business, and it is as fast as memory is
read, where SHA-256 takes five times as long. A checksum names its function; one that names none is SHA-256's, as
checkpoints of older versions have it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from dist_stilts.conventions import MIB, sha256_of_file

NAME = "xxh3_128"
KEY = "checksum"
"""Where a JSON record keeps the checksum of all else that it says."""
_SETTLED_NS = 2_000_000_000
"""A file that was written more recently may be written again without a later time: clocks of files tick slowly."""
_known: dict[tuple[Hashable, ...], Any] = {}
"""What this process has found out of files, by what it is, and by their device, number, size and last change."""

T = TypeVar("T")


class Running:
    """The checksum of bytes that come piece by piece."""

    def __init__(self) -> None:
        import xxhash

        self._hash = xxhash.xxh3_128()

    def add(self, content: Any) -> None:
        """Go on with these bytes."""
        self._hash.update(content)

    @property
    def value(self) -> str:
        """The checksum so far."""
        return f"{NAME}:{self._hash.hexdigest()}"


def of_bytes(content: Any) -> str:
    """The checksum of bytes."""
    running = Running()
    running.add(content)
    return running.value


def of_text(text: str) -> str:
    """The checksum of a text in UTF-8."""
    return of_bytes(text.encode())


def of_file(path: Path) -> str:
    """The checksum of what a file holds; OSError if it cannot be read."""

    def read() -> str:
        running = Running()
        with path.open("rb", buffering=0) as file:
            buffer = memoryview(bytearray(MIB))
            while size := file.readinto(buffer):
                running.add(buffer[:size])
        return running.value

    return once(path, NAME, read)


def once(path: Path, what: Hashable, find: Callable[[], T]) -> T:
    """What is found out of a file, found once per process while the file stays as it is."""
    state = path.stat()
    key = (what, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
    if key in _known:
        return cast("T", _known[key])
    found = find()
    if time.time_ns() - state.st_mtime_ns > _SETTLED_NS:
        _known[key] = found
    return found


def of_folder(folder: Path, pattern: str = "*") -> dict[str, str]:
    """The checksums of all files below a folder, by their names in it; links to one file are read once."""
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    places = {(state.st_dev, state.st_ino): path for path in files for state in [path.stat()]}
    read = {place: of_file(path) for place, path in places.items()}
    return {
        path.relative_to(folder).as_posix(): read[state.st_dev, state.st_ino]
        for path in files
        for state in [path.stat()]
    }


def damage(path: Path, expected: str) -> str | None:
    """What is wrong with a file that had this checksum when it was written, in a few words; None if nothing is."""
    try:
        found = of_file(path) if expected.startswith(NAME) else sha256_of_file(path)
    except OSError as error:
        return f"{path.name}: {error.strerror}"
    return None if found == expected else f"the checksum of {path.name} differs"


def damage_in(folder: Path, expected: Mapping[str, str]) -> str | None:
    """The same for the first file of a folder that has something wrong; ``expected`` as of :func:`of_folder`."""
    found = (damage(folder / name, checksum) for name, checksum in sorted(expected.items()))
    return next((what for what in found if what), None)


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON record with the checksum of itself."""
    rest = {key: value for key, value in record.items() if key != KEY}
    return {**rest, KEY: of_text(json.dumps(rest, sort_keys=True))}


def is_intact(record: Mapping[str, Any]) -> bool:
    """Whether a JSON record says what it said when it was sealed; those of older versions are not."""
    return KEY not in record or sealed(record)[KEY] == record[KEY]
