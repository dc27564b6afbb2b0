"""Build something on disk exactly once, whichever and however many processes want it at the same time.

Look; lock; look again; build under a temporary name; marker last, with the checksums of all files. What is half made,
or no longer what was made, is made again. No collective is involved, so ranks that wait run into no time-out, and
different jobs may share the folder.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from dist_stilts import checksums
from dist_stilts.state_files import Damaged, read_state
from dist_stilts.writing import COMPLETE, is_complete, whole_folder

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that a program waits for another one before it says so."""


def is_whole(path: Path) -> bool:
    """Whether a folder was built to its end and holds what was built; read once per process."""
    return is_complete(path) and damage(path) is None


def damage(path: Path) -> str | None:
    """What is wrong with a finished folder; None if nothing is, or an older version noted no checksums."""
    try:
        return checksums.damage_in(path, _read_marker(path))
    except Damaged:
        return f"{COMPLETE} cannot be read"


def noted(path: Path) -> dict[str, str]:
    """The checksums that a folder's marker has, by name of file; none if it is unfinished, damaged or old."""
    try:
        return _read_marker(path)
    except (OSError, Damaged):
        return {}


def _read_marker(path: Path) -> dict[str, str]:
    if not (path / COMPLETE).stat().st_size:  # of an older version
        return {}
    return read_state(dict[str, str], path / COMPLETE, "the list of a folder's files", "") or {}


def build(
    path: Path, make: Callable[[Path], None], whole: Callable[[Path], bool] = is_whole, *, keep: bool = False
) -> bool:
    """Make the folder ``path`` by calling ``make(temporary)`` unless it is already whole.

    Args:
        keep: give what lies there and is not whole another name, instead of deleting it.

    Returns:
        Whether this process did the work.
    """
    if whole(path):
        return False
    with alone_in(path):
        if whole(path):
            return False
        aside = _aside(path) if _is_in_use(path) and (keep or not path.is_dir()) else None
        if _is_in_use(path):
            wrong = (damage(path) if is_complete(path) else None) or "not all of it is there"
            kept = f"; what was there is kept in {aside}" if aside else ""
            log.warning("%s is damaged (%s) and made again%s", path, wrong, kept)
        with whole_folder(path, lambda folder: json.dumps(checksums.of_folder(folder))) as temporary:
            make(temporary)
            if aside:
                path.rename(aside)
    return True


@contextmanager
def alone_in(path: Path) -> Iterator[None]:
    """Be the only program that makes this file or folder; waits for another, and says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=PATIENCE)
    try:
        lock.acquire()
    except Timeout:
        log.warning("waiting for another program, which is making %s", path)
        lock.acquire(timeout=-1)
    try:
        yield
    finally:
        lock.release()


def _is_in_use(path: Path) -> bool:
    return path.exists() and (not path.is_dir() or any(path.iterdir()))


def _aside(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.damaged-{number}") for number in count(1))
    return next(name for name in names if not name.exists())


def hold(lock: Path) -> FileLock | None:
    """Take a lock file, or None if another program has it. It is free again when its holder ends, however that ends."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock, timeout=0)
    try:
        held.acquire()
    except Timeout:
        return None
    return held


def is_held(lock: Path) -> bool:
    """Whether a living program has the lock file."""
    held = hold(lock)
    if held:
        held.release()
    return held is None
