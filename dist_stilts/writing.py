"""How files and folders are written: whole or not at all, through links, and refused before the work if they cannot be.

What exists and is neither file nor folder is never replaced: a device, a pipe, a socket. A name that is a link stays
one, and what it points to is written.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from dist_stilts.errors import UserError

COMPLETE = "COMPLETE"
"""Name of the marker file that is written last: a folder without it is unfinished."""
STDOUT = "-"
STREAM = re.compile(r"/dev/fd/(\d+)|/proc/self/fd/(\d+)")
OF_RUST = re.compile(r"\(os error (\d+)\)")
LONGEST_KEPT = 40
"""Characters of a name that a temporary one keeps: names may be no longer than 255 bytes."""
KINDS = (
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


class Layout(Protocol):
    """Files and folders that belong together."""

    @property
    def path(self) -> Path:
        """The folder that they are in."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """Those that are folders."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Those that are files."""


def stream_of(name: str | Path) -> int | None:
    """The open file that a name stands for, by its number: ``-`` and ``/dev/stdout`` are 1; None for a path."""
    known = {STDOUT: 1, "/dev/stdout": 1, "/dev/stderr": 2}
    if str(name) in known:
        return known[str(name)]
    found = STREAM.fullmatch(str(name))
    return int(found[1] or found[2]) if found else None


def require_stream(number: int) -> None:
    """UserError if no file that can be written to is open under a number."""
    try:
        can_write = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    except OSError:
        can_write = False
    if not can_write:
        raise UserError(f"no file that can be written to is open as number {number}", fix="Name a file with --out")


def require_file(file: Path) -> None:
    """Make the folder of a file that is to be written in the end; UserError if there can be no such file."""
    if stream_of(file) is None:
        require_folder(real(file).parent)
    check_file(file)


def require_folder(folder: Path) -> None:
    """Make a folder that is to be written to; UserError if that is not possible."""
    from tempfile import TemporaryFile

    try:
        real(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot be made a folder ({error.strerror})", where=folder, fix="Name another") from error
    try:  # permissions do not bind everybody, and do not tell what a file system takes
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _cannot(folder, error, "Name another folder") from error


def check_folder(folder: Path) -> None:
    """UserError if a folder that is to be written to can be seen not to be one; nothing is made."""
    try:
        there = next(place for place in (real(folder), *real(folder).parents) if place.exists())
    except OSError as error:
        raise _cannot(folder, error, "Name another folder") from error
    if real(folder).is_symlink():
        raise UserError("is a link that leads nowhere", where=folder, fix="Name another folder")
    if not there.is_dir():
        raise UserError("is no folder", where=there, fix="Move it away, or name another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError("cannot be written to", where=there, fix="Name another folder")


def require_room(layout: Layout) -> None:
    """Make the folder of files and folders that are to be written; UserError if that, or one of them, cannot be."""
    require_folder(layout.path)
    check_room(layout)


def check_room(layout: Layout) -> None:
    """UserError if files and folders that are to be written can be seen not to have room; nothing is made."""
    for folder in (layout.path, *layout.folders):
        check_folder(folder)
    for file in layout.files:
        check_file(file)


def check_file(file: Path) -> None:
    """UserError if a file that is to be written can be seen not to be one; nothing is made."""
    if stream_of(file) is not None:
        raise UserError("is a stream and no file", where=file, fix="Name a file")
    try:
        mode = file.stat().st_mode
        if stat.S_ISREG(mode):
            file.open("ab").close()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot(file, error, "Name another file") from error
    if stat.S_ISDIR(mode):
        raise UserError("is a folder", where=file, fix="Name a file")
    for is_kind, name in KINDS:
        if is_kind(mode):
            raise UserError(f"is {name} and no file", where=file, fix="Name a file")


def _cannot(path: Path, error: OSError, fix: str) -> UserError:
    return UserError(f"cannot be written to ({error.strerror})", where=path, fix=fix)


def real(path: Path) -> Path:
    """What a name stands for, where it is a link or lies below one."""
    return Path(os.path.realpath(path))


def beside(path: Path, ending: str) -> Path:
    """A hidden name in the same folder, of what is not finished."""
    return path.with_name(f".{path.name[:LONGEST_KEPT]}.{ending}")


@contextmanager
def naming(path: Path, hidden: Path | None = None) -> Iterator[None]:
    """Have an error of the system name the file that could not be written, which that of a full disk does not; one that
    a library wraps (those in Rust do) comes out as what it is.

    Args:
        hidden: a temporary name, which tells nobody anything.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None or (hidden and str(error.filename) == str(hidden)):
            error.filename, error.filename2 = str(path), None
        raise
    except Exception as error:
        if found := OF_RUST.search(str(error)):
            raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from error
        raise


def write_text(path: Path, text: str) -> None:
    """The same as :func:`write_bytes`, in UTF-8."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old one or the new one, never a part (law 9)."""
    target = real(path)
    temporary = beside(target, f"{os.getpid()}.tmp")
    with naming(path, temporary):
        target.parent.mkdir(parents=True, exist_ok=True)
        check_file(target)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def append_bytes(path: Path, content: bytes) -> None:
    """Add to the end of a file, which is made if need be; it is on the disk when the call returns.

    Raises:
        OSError: there is no room for all of it; then the file is as it was.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    with naming(path), os.fdopen(descriptor, "wb", buffering=0) as file:
        before = os.fstat(descriptor).st_size
        try:
            left = memoryview(content)
            while left:  # a disk that fills up takes a part, and says so only at the next call
                left = left[file.write(left) :]
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                file.truncate(before)
            raise


@contextmanager
def whole_folder(path: Path, note: Callable[[Path], str] = lambda _: "") -> Iterator[Path]:
    """Yield a temporary folder that becomes ``path``, with the marker inside, if the block ends well (law 9).

    Args:
        note: what the marker says of the finished folder.

    Raises:
        UserError: there is something else than a folder.
    """
    path = real(path)
    check_folder(path)
    temporary = path.with_name(f".{path.name}.partial")
    with naming(path):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        publish(temporary, path, note(temporary))


def publish(temporary: Path, path: Path, note: str = "") -> None:
    """Make a finished folder visible under its name; ``note`` is the marker's content. Replaces an unfinished one.

    Its files get the permissions that a new file has: libraries write some of them for their user alone.
    """
    files = [file for file in temporary.rglob("*") if file.is_file()]
    for file in files:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    write_text(temporary / COMPLETE, note)
    mode = stat.S_IMODE((temporary / COMPLETE).stat().st_mode)
    for file in files:
        file.chmod(mode)
    if path.exists():
        shutil.rmtree(path)
    temporary.replace(path)


def is_complete(path: Path) -> bool:
    """Whether a folder was written to its end."""
    return (path / COMPLETE).is_file()
