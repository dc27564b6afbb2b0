"""Law 9 for files that grow by lines: a crash tears at most the line being written, and readers survive that."""

from __future__ import annotations

import json
import logging
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dist_stilts.errors import UserError
from dist_stilts.results.jsonl import append, read


def contents(path: Path) -> list[dict[str, Any]]:
    return [content for _, content in read(path)]


def test_lines_come_back_in_the_order_written_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "run" / "results.jsonl"
    lines = [{"task": "xnli", "value": 71.5, "language": "中"}, {"task": "udpos", "value": None}, {}]
    append(path, *lines[:2])
    append(path, lines[2])
    assert read(path) == list(enumerate(lines, start=1))
    assert path.read_bytes().count(b"\n") == 3


@pytest.mark.parametrize(("value", "error"), [(float("nan"), ValueError), (object(), TypeError)])
def test_what_json_cannot_hold_leaves_the_file_alone(tmp_path: Path, value: object, error: type[Exception]) -> None:
    append(tmp_path / "r", {"value": np.float32(0.5), "count": np.int64(3), "model_id": tmp_path})
    with pytest.raises(error):
        append(tmp_path / "r", {"a": 2}, {"a": value})
    assert contents(tmp_path / "r") == [{"value": 0.5, "count": 3, "model_id": str(tmp_path)}], "plain numbers and text"


@pytest.mark.parametrize("torn", [b'{"a": 2, "b', b'{"a": "\xe4', b"7"])
def test_torn_last_line_is_skipped_with_its_number(
    tmp_path: Path, torn: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"a": 1}\n' + torn)
    with caplog.at_level(logging.WARNING):
        assert contents(path) == [{"a": 1}]
    assert "results.jsonl:2: skipped a torn last line" in caplog.text


def test_append_after_a_crash_loses_nothing_but_the_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    whole = json.dumps({"a": 1, "text": "ä"}, ensure_ascii=False).encode() + b"\n"
    for cut in range(len(whole) + 1):
        path.write_bytes(b'{"a": 0}\n' + whole[:cut])
        append(path, {"a": 2})
        survived = [{"a": 1, "text": "ä"}] if cut >= len(whole) - 1 else []
        assert contents(path) == [{"a": 0}, *survived, {"a": 2}], cut


@pytest.mark.parametrize("bad", ["{]", "[1]", '{"a": 1}{"a": 2}'])
def test_any_other_bad_line_and_a_missing_file_are_named(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "results.jsonl"
    with pytest.raises(UserError, match="no such file of results"):
        read(path)
    path.write_text(f'{{"a": 1}}\n\n{bad}\n{{"a": 2}}\n')
    with pytest.raises(UserError, match=r"results\.jsonl:3: not a JSON object"):
        read(path)


@pytest.mark.parametrize("room", [0, 1, 20, 45])
def test_lines_for_which_there_is_no_room_leave_the_file_as_it_was_and_say_so(tmp_path: Path, room: int) -> None:
    """A disk that fills up takes a part of what is written, and says so only at the next call."""
    path = tmp_path / "results.jsonl"
    append(path, {"a": 1})
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, hard))  # Python ignores the signal
    try:
        with pytest.raises(OSError, match="File too large") as told:
            append(path, {"a": 2, "text": "x" * 20}, {"a": 3})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert told.value.filename == str(path)
    assert path.read_bytes() == before
    append(path, {"a": 2})
    assert contents(path) == [{"a": 1}, {"a": 2}]
