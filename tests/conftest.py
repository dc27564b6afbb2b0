"""Fixtures for the whole test suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the public data sets; tests that need it are skipped where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DIST_STILTS_TEST_DATA") or default)
    if not folder.is_dir():
        pytest.skip("no real data sets: set DIST_STILTS_TEST_DATA to the folder that holds them")
    return folder
