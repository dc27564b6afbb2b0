"""Limits that the shell sets a process: too narrow ones would end torch in the middle, without a word of ours."""

from __future__ import annotations

import resource

from dist_stilts.conventions import GIB
from dist_stilts.errors import EXIT_FAILED, UserError

LEAST = (
    (resource.RLIMIT_NOFILE, 64, "open files", "-n"),
    (resource.RLIMIT_AS, GIB, "bytes of address space", "-v"),
)
"""What loading torch and meeting another rank takes; a real model takes more."""


def check_limits() -> None:
    """Raise a limit that this user may raise; UserError for one that leaves too little even then."""
    for limit, least, what, option in LEAST:
        soft, hard = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY and soft < least:
            if hard != resource.RLIM_INFINITY and hard < least:
                what = f"the shell allows {soft} {what}, and torch needs {least} to load"
                raise UserError(what, fix=f"Raise it: ulimit {option}", code=EXIT_FAILED)
            resource.setrlimit(limit, (least, hard))
