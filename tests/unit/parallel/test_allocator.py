"""Freed memory is kept on a CPU, unless the user has decided otherwise."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import ctypes, resource
from dist_stilts.parallel import allocator

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def use():
    block = libc.malloc(100_000_000)
    libc.memset(block, 1, 100_000_000)
    libc.free(block)

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

done = allocator.keep_freed()
for _ in range(4):
    use()
before = faults()
for _ in range(4):
    use()
again = faults() - before
allocator.return_freed()
before = faults()
use()
print(done, again, faults() - before)
"""
PAGES_OF_ONE = 100_000_000 // 4096


def found(**environment: str) -> tuple[bool, int, int]:
    """Whether memory is kept; page faults of four large blocks after some more, and of one after all was returned."""
    answer = subprocess.run(
        [sys.executable, "-c", FAULTS], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    done, again, after = answer.stdout.split()
    return done == "True", int(again), int(after)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator of glibc")
def test_freed_memory_is_kept_until_it_is_returned_on_purpose() -> None:
    kept, again, after = found()
    assert kept
    assert again < PAGES_OF_ONE / 10
    assert after > PAGES_OF_ONE / 2


def test_a_user_who_has_decided_is_left_alone() -> None:
    kept, again, _ = found(MALLOC_TRIM_THRESHOLD_="131072", MALLOC_MMAP_THRESHOLD_="131072")
    assert not kept
    assert again > 2 * PAGES_OF_ONE
