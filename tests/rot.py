"""Disks that rot: a bit of a file that is another than was written."""

from __future__ import annotations

import os
from pathlib import Path


def flip_bit(path: Path, share: float = 0.5) -> None:
    """Flip one bit of a file, as far into it as ``share`` says; its size and time stay as they were, as on a disk.

    The file is one of its own then: links to it keep what they have.
    """
    content, state = bytearray(path.read_bytes()), path.stat()
    content[min(int(share * len(content)), len(content) - 1)] ^= 1
    path.unlink()
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
