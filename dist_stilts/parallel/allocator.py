"""What the C library does with memory that a rank on a CPU has freed: keep it, for the next tensor of that size.

As it comes, glibc returns large blocks to the kernel and asks for them again in the next step, page by page. Kept, a
step takes a tenth less time, with 5 % more memory at its peak (benchmarks/train.py, ``ours:returned``).
"""

from __future__ import annotations

import ctypes
import os

from dist_stilts.conventions import MIB

USERS = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")
"""Environment variables by which users decide this themselves; then nothing is changed."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
NEVER, MOST = -1, 256 * MIB  # larger blocks could leave large holes


def keep_freed() -> bool:
    """Return no freed memory to the kernel, but for blocks of more than 256 MiB; whether that could be arranged."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
    if mallopt is None or any(name in os.environ for name in USERS):
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, NEVER) and mallopt(M_MMAP_THRESHOLD, MOST))


def return_freed() -> None:
    """Return now what is free, so that the kernel's count of free memory holds it."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
