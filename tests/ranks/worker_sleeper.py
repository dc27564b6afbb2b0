"""Hangs: for the test that nothing which hangs outlives a test."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

(Path(sys.argv[1]) / f"pid-{os.environ['RANK']}").write_text(str(os.getpid()), encoding="utf-8")
time.sleep(60)
