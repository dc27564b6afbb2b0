"""Build something on disk exactly once, whichever and however many processes want it at the same time.

Look; lock; look again; build under a temporary name; marker last. No collective is involved, so ranks that wait run
into no time-out, and different jobs may share the folder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from dist_stilts.writing import is_complete, whole_folder


def build(path: Path, make: Callable[[Path], None], is_whole: Callable[[Path], bool] = is_complete) -> bool:
    """Make the folder ``path`` by calling ``make(temporary)`` unless it is already whole.

    Returns:
        Whether this process did the work.
    """
    if is_whole(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if is_whole(path):
            return False
        with whole_folder(path) as temporary:
            make(temporary)
    return True


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
