from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
import xxhash
from rot import flip_bit

from dist_stilts import checksums


def test_a_checksum_is_xxh3s_by_name_however_the_bytes_come(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    (tmp_path / "file").write_bytes(content)
    running = checksums.Running()
    for start in range(0, len(content), 12_345):
        running.add(content[start : start + 12_345])
    expected = f"xxh3_128:{xxhash.xxh3_128(content).hexdigest()}"
    assert [running.value, checksums.of_bytes(content), checksums.of_file(tmp_path / "file")] == [expected] * 3


def test_damage_is_named_and_older_checksums_are_sha256(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("a", "below/b"):
        (tmp_path / name).write_text(name)
    known = checksums.of_folder(tmp_path)
    assert sorted(known) == ["a", "below/b"]
    old = {name: hashlib.sha256(name.encode()).hexdigest() for name in known}
    for noted in (known, old):
        assert checksums.damage_in(tmp_path, noted) is None
    flip_bit(tmp_path / "below" / "b")
    for noted in (known, old):
        assert checksums.damage_in(tmp_path, noted) == "the checksum of b differs"
    (tmp_path / "a").unlink()
    assert checksums.damage_in(tmp_path, known) == "a: No such file or directory"


def test_a_file_is_read_once_per_process_unless_it_changes(tmp_path: Path) -> None:
    file, looks = tmp_path / "file", list[int]()
    file.write_text("a")
    os.utime(file, (time.time() - 60, time.time() - 60))

    def look() -> str:
        looks.append(1)
        return file.read_text()

    assert [checksums.once(file, "text", look) for _ in range(3)] == ["a"] * 3
    assert len(looks) == 1
    file.write_text("b")  # of the same size; a moment later it may be another without another time, so it is not kept
    assert [checksums.once(file, "text", look) for _ in range(2)] == ["b"] * 2
    assert len(looks) == 3


@pytest.mark.parametrize("key", ["name", "values", checksums.KEY])
def test_a_record_that_was_changed_is_not_intact_and_one_without_checksum_is(key: str) -> None:
    record = {"name": "ñ", "values": [1, 0.1, None], "more": {"a": True}}
    sealed = checksums.sealed(record)
    assert checksums.is_intact(sealed)
    assert checksums.is_intact(dict(reversed(sealed.items())))
    assert checksums.is_intact(record)
    assert not checksums.is_intact({**sealed, key: "other"})
