"""What the machine has run out of is one line, whichever library met it."""

from __future__ import annotations

import errno

import pytest
import torch

from dist_stilts.errors import EXIT_FAILED, UserError, exhausted, naming_what_ran_out, refused


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (MemoryError(), "out of memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out of memory"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
            "out of memory",
        ),
        (ImportError("libtorch.so: failed to map segment from shared object"), "out of memory"),
        (OSError(errno.EMFILE, "Too many open files", "x"), "out of open files"),
        (RuntimeError("can't start new thread"), "out of processes or threads"),
    ],
)
def test_what_ran_out_is_named_with_the_librarys_words(error: Exception, what: str) -> None:
    with pytest.raises(UserError, match=what) as short, naming_what_ran_out():
        raise error
    assert short.value.code == EXIT_FAILED
    assert type(error).__name__ in short.value.what
    assert str(refused("cannot load the model", "folder", error)) == str(short.value)


@pytest.mark.parametrize("error", [ValueError("out of memory"), RuntimeError("shapes do not match"), OSError(2, "No")])
def test_another_error_stays_what_it_is(error: Exception) -> None:
    assert exhausted(error) is None
    with pytest.raises(type(error)), naming_what_ran_out():
        raise error
