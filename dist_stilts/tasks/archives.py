"""Finds and opens files inside archives (zip, tar, and archives in archives), without unpacking them to disk.

A member has a virtual path: the archive's own path followed by the member's name, ``AmazonPhotos.zip/af.tar.gz/dev``.
Promises: listings are read once per (path, size, modification time); one member is read without holding the others in
memory (an archive inside an archive is held, itself alone); a bad archive is a UserError that names it.
"""

from __future__ import annotations

import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO

from dist_stilts.errors import UserError

PACKED = ("", ".gz", ".bz2", ".xz", ".zst")
"""What may follow the name of a single file, in order of preference."""
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")

_DAMAGED = (
    EOFError,
    LookupError,
    OverflowError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What the standard library raises when the bytes are not what the format says."""
_UNKNOWN_METHOD = (NotImplementedError, RuntimeError)
"""The same for encrypted members and for compression that this Python does not have."""


def is_archive(name: str) -> bool:
    """Whether a file of that name is an archive of several files."""
    return name.endswith(_ARCHIVES)


def is_file(path: Path) -> bool:
    """Whether there is such a file, as far as we may look; never an OSError."""
    try:
        return path.is_file()
    except OSError:
        return False


def best_match(paths: Iterable[str], name: str, apart: Collection[str] = ()) -> str | None:
    """Return the path that is or ends in ``name`` (whole folders only), packed or not: the shallowest, then the first
    in the alphabet. What lies in a hidden folder, among macOS's copies (``__MACOSX``) or in a folder of ``apart`` does
    not count, unless the name itself gives that folder."""
    endings = tuple(f"/{name}{suffix}" for suffix in PACKED)
    depth = name.count("/") + 1
    found = [path for path in paths if f"/{path}".endswith(endings) and not lies_apart(path, depth, apart)]
    return min(found, key=lambda path: (path.count("/"), path), default=None)


def lies_apart(path: str, depth: int = 1, apart: Collection[str] = ()) -> bool:
    """Whether one of the path's folders, its last ``depth`` parts aside, is hidden, a macOS copy, or in ``apart``."""
    return any(part.startswith((".", "__MACOSX")) or part in apart for part in path.split("/")[:-depth])


def find_member(archive: Path, name: str) -> Path | None:
    """Return the virtual path of the member that ends in ``name``, or None.

    A name may go through an archive in the archive: ``af.tar.gz/dev`` is ``dev`` in the member ``af.tar.gz``.

    Raises:
        UserError: the archive, or the one in it that the name goes through, is damaged.
    """
    direct = best_match(members(archive), name)
    if direct:
        return archive / direct
    for head, tail in splits_at_archives(name):
        nested = best_match(members(archive), head)
        inner = best_match(members(archive, nested), tail) if nested and is_archive(nested) else None
        if inner:
            return archive / f"{nested}/{inner}"
    return None


def splits_at_archives(name: str) -> Iterator[tuple[str, str]]:
    """Yield the ways to read ``name`` as (archive, name in it), the outermost archive first."""
    parts = name.split("/")
    for number, part in enumerate(parts[:-1], start=1):
        if is_archive(part):
            yield "/".join(parts[:number]), "/".join(parts[number:])


def split_virtual(path: Path) -> tuple[Path, str] | None:
    """Return (archive on disk, member's name) of a virtual path; None where no parent of the path is an archive."""
    archive = next((parent for parent in path.parents if is_archive(parent.name) and is_file(parent)), None)
    return (archive, path.relative_to(archive).as_posix()) if archive else None


def has_member(archive: Path, member: str) -> bool:
    """Whether the archive has a file of exactly that name, which may go through an archive in it."""
    return any(name in members(archive, outer) for outer, name in _ways_to(archive, member))


@contextmanager
def open_member(archive: Path, member: str) -> Iterator[IO[bytes]]:
    """Open a member of an archive on disk; KeyError if it is not there."""
    for outer, name in _ways_to(archive, member):
        raw = members(archive, outer).get(name)
        if raw is None:
            continue
        with ExitStack() as stack:
            source = _source(stack, archive, outer)
            yield _open_in(stack, source, outer or archive.name, raw)
        return
    raise KeyError(member)


def members(archive: Path, outer: str | None = None) -> dict[str, str]:
    """Map the name of every file in an archive, or in its member ``outer``, to how the archive itself spells it.

    Raises:
        UserError: damaged, cut off, or unreadable.
    """
    with bad_archive(archive):
        status = archive.stat()
        return _members(archive, outer, status.st_size, status.st_mtime_ns)


@contextmanager
def bad_archive(path: Path) -> Iterator[None]:
    """Turn whatever the standard library raises on bad compressed bytes into a UserError that names the file."""
    try:
        yield
    except _UNKNOWN_METHOD as error:
        raise UserError("encrypted, or compressed in a way unknown here", where=path, fix="Unpack it") from error
    except _DAMAGED as error:
        raise UserError("damaged or cut off", where=path, fix="Fetch it again") from error
    except OSError as error:
        # bz2 and gzip report bad bytes as an OSError that no system call caused.
        if error.errno is None:
            raise UserError("damaged or cut off", where=path, fix="Fetch it again") from error
        raise UserError(f"cannot be read ({error.strerror})", where=path) from error


@lru_cache(maxsize=512)
def _members(archive: Path, outer: str | None, _size: int, _modified_ns: int) -> dict[str, str]:
    with ExitStack() as stack:
        source = _source(stack, archive, outer)
        if _is_zip(outer or archive.name):
            names = [info.filename for info in _zip(stack, source).infolist() if not info.is_dir()]
        else:
            names = [info.name for info in _tar(stack, source) if info.isfile()]
    return {plain: name for name in names if ".." not in (plain := name.removeprefix("./").lstrip("/")).split("/")}


def _ways_to(archive: Path, member: str) -> Iterator[tuple[str | None, str]]:
    yield None, member
    for outer, name in splits_at_archives(member):
        if outer in members(archive):
            yield outer, name


def _source(stack: ExitStack, archive: Path, outer: str | None) -> IO[bytes]:
    """Open an archive: the one on disk, or a copy in memory of its member ``outer``."""
    on_disk = stack.enter_context(archive.open("rb"))
    if outer is None:
        return on_disk
    with ExitStack() as inner:
        return io.BytesIO(_open_in(inner, on_disk, archive.name, members(archive)[outer]).read())


def _open_in(stack: ExitStack, source: IO[bytes], called: str, name: str) -> IO[bytes]:
    if _is_zip(called):
        return stack.enter_context(_zip(stack, source).open(name))
    tar = _tar(stack, source)
    # One pass up to the member: asking for it by name would read a compressed archive to its end, then again.
    info = next(info for info in tar if info.name == name and info.isfile())
    stream = tar.extractfile(info)
    assert stream is not None
    return stack.enter_context(stream)


def _is_zip(name: str) -> bool:
    return name.endswith(".zip")


def _zip(stack: ExitStack, source: IO[bytes]) -> zipfile.ZipFile:
    return stack.enter_context(zipfile.ZipFile(source))


def _tar(stack: ExitStack, source: IO[bytes]) -> tarfile.TarFile:
    return stack.enter_context(tarfile.open(fileobj=source, mode="r:*"))
