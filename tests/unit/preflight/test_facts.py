from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import psutil
import pytest

from dist_stilts.preflight.facts import PACKAGES, code_digest, collect


def test_facts_are_plain_values_of_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "py311_cpu" / "operator" / "lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    os.utime(lock, (0, 0))
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    found = json.loads(json.dumps(collect(tmp_path / "not" / "there")))
    assert found["python"] == platform.python_version()
    assert set(found["packages"]) == set(PACKAGES)
    assert found["torch_error"] is None
    assert "127.0.0.1" in found["addresses"]["lo"]
    assert found["disk_free"] == pytest.approx(psutil.disk_usage(str(tmp_path)).free, rel=0.1)
    assert found["compiler"] is None
    assert [entry["path"] for entry in found["locks"]] == [str(lock)]
    assert found["locks"][0]["age"] > 3600


def test_the_codes_digest_differs_with_any_file_and_not_with_caches(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "a.py").write_text("x = 1\n", encoding="utf-8")
    before = code_digest(tmp_path)
    (tmp_path / "room" / "__pycache__").mkdir()
    (tmp_path / "room" / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert code_digest(tmp_path) == before
    (tmp_path / "room" / "a.py").write_text("x = 2\n", encoding="utf-8")
    changed = code_digest(tmp_path)
    (tmp_path / "room" / "a.py").rename(tmp_path / "room" / "b.py")
    assert len({before, changed, code_digest(tmp_path)}) == 3


@pytest.mark.parametrize(
    ("script", "driver"),
    [
        ("echo 570.1; echo 570.1", {"version": "570.1", "gpus": 2}),
        ("echo 570.1; exit 1", None),
        ("exec /bin/sleep 10", None),
        (None, None),
    ],
    ids=["answers", "fails", "hangs", "is not there"],
)
def test_the_driver_is_what_its_program_says_if_it_answers(
    script: str | None, driver: dict[str, Any] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dist_stilts.preflight.facts.TOOL_SECONDS", 0.5 if driver is None else 20)
    monkeypatch.setenv("PATH", str(tmp_path))
    if script:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    assert collect(tmp_path)["driver"] == driver
