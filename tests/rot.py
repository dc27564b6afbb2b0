"""Disks that rot: a bit of a file that is another than was written."""

from __future__ import annotations

import os
import time
from pathlib import Path


def flip_bit(path: Path, share: float = 0.5) -> None:
    """Flip one bit of a file, as far into it as ``share`` says; it is some time ago that it was written.

    The file is one of its own then: links to it keep what they have.
    """
    content = bytearray(path.read_bytes())
    content[min(int(share * len(content)), len(content) - 1)] ^= 1
    path.unlink()
    path.write_bytes(content)
    os.utime(path, (time.time() - 60, time.time() - 60))
