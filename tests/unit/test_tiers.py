"""The default tier leaves slow tests out, unless one is named, and refuses new ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = """
import subprocess, sys, time, pytest

BURN = "import time\\nwhile time.process_time() < 1: pass"

@pytest.mark.slow
@pytest.mark.allowed_seconds(0.2, "it would be refused")
def test_slow(): exec(BURN)

@pytest.mark.allowed_seconds(0.2, "of a child")
def test_burns(): subprocess.run([sys.executable, "-c", BURN])

@pytest.fixture(scope="session")
def shared(): exec(BURN)

@pytest.mark.allowed_seconds(0.2, "what is shared does not count")
def test_shares(shared): pass

@pytest.mark.allowed_seconds(0.2, "sleep is not work")
def test_sleeps(): time.sleep(0.5)
"""


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., str]:
    """Run pytest in a clone with four tests; what it says."""
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    shutil.copy(ROOT / "tests/conftest.py", tmp_path / "tests")
    (tmp_path / "tests/test_made_up.py").write_text(SUITE)

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", *arguments]
        # The check is off under coverage, where everything takes longer: not in here.
        plain = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_START"}
        wide = {**plain, "COLUMNS": "300"}
        return subprocess.run(command, cwd=tmp_path, env=wide, capture_output=True, text=True, timeout=100).stdout

    return run


def test_work_beyond_what_is_allowed_is_refused_on_workers_too(suite: Callable[..., str]) -> None:
    said = suite("--numprocesses", "1")
    assert set(re.findall(r"PASSED tests/test_made_up.py::test_(\w+)", said)) == {"shares", "sleeps"}
    assert re.search(r"FAILED \S+::test_burns - Failed: this test took \d+ s of .*; 0.2 s are allowed", said)
    assert "test_slow" not in said


def test_a_slow_test_runs_when_it_is_named_or_all_are_asked_for(suite: Callable[..., str]) -> None:
    assert "1 passed" in suite("tests/test_made_up.py::test_slow")
    assert "1 failed, 3 passed" in suite("-m", "")
