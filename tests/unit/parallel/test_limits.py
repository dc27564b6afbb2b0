"""Limits of the shell that leave too little are one line; one that may be raised is."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = [sys.executable, "-m", "dist_stilts", "recipes", "list"]


def limited(options: str, *command: str) -> subprocess.CompletedProcess[str]:
    script = f'ulimit {options} || exit 99; exec "$@"'
    return subprocess.run(["bash", "-c", script, "sh", *command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("options", "said"), [("-n 20", "20 open files"), ("-v 300000", "307200000 bytes of address")])
def test_a_limit_that_is_too_narrow_is_one_line(options: str, said: str) -> None:
    done = limited(options, *PROGRAM)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: the shell allows {said}")
    assert done.stderr.count("\n") == 1


def test_a_soft_limit_is_raised() -> None:
    done = limited("-S -n 20", *PROGRAM)
    assert done.returncode == 0, done.stderr
    assert "quickstart" in done.stdout
