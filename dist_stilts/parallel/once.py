"""Build something on disk exactly once, whichever and however many processes want it at the same time.

Look; lock; look again; build under a temporary name; marker last. No collective is involved, so ranks that wait run
into no time-out, and different jobs may share the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from dist_stilts.errors import UserError
from dist_stilts.layout import is_complete, whole_folder


def build(path: Path, make: Callable[[Path], None]) -> bool:
    """Make the folder ``path`` by calling ``make(temporary)`` unless it is already complete.

    Returns:
        Whether this process did the work.
    """
    if is_complete(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if is_complete(path):
            return False
        with whole_folder(path) as temporary:
            make(temporary)
    return True


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold a lock file; it is free again when this process ends, however it ends.

    Raises:
        UserError: another program holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock, timeout=0)
    try:
        held.acquire()
    except Timeout:
        raise UserError(
            "another program is running this recipe", where=lock.parent, fix="Wait for it, or choose another name=…"
        ) from None
    try:
        yield
    finally:
        held.release()
