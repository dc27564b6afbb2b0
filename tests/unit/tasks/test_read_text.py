from __future__ import annotations

import bz2
from itertools import islice
from pathlib import Path

import pytest
from task_files import write

from dist_stilts.errors import UserError
from dist_stilts.tasks.read_text import find_text, read_text
from dist_stilts.tasks.spec import TextRow


def test_one_line_is_one_example_and_blank_lines_keep_their_number(tmp_path: Path) -> None:
    assert find_text(tmp_path, "train", "de") == [tmp_path / "de.txt"], "where it is expected"
    write(tmp_path, {"de.txt": "Erste Zeile.\n\n  \nVierte\tZeile.\n"})
    assert list(read_text(tmp_path, "train", "de")) == [
        TextRow("train-0", "train-0", "Erste Zeile."),
        TextRow("train-3", "train-3", "Vierte\tZeile."),
    ]


def test_files_called_after_what_they_hold_are_read_one_after_another(tmp_path: Path) -> None:
    packed = bz2.compress(b"Drei.\n")
    write(tmp_path, {"wiki.de.txt.bz2": packed, "udhr.de.txt": "Eins.\n\n", "udhr.nde.txt": "Nein.\n"})
    rows = list(read_text(tmp_path, "train", "de"))
    assert [(row.id, row.text) for row in rows] == [("train-0", "Eins."), ("train-2", "Drei.")]
    write(tmp_path, {"de.txt": "Allein.\n"})
    assert [row.text for row in read_text(tmp_path, "train", "de")] == ["Allein."]


def test_text_is_streamed(tmp_path: Path) -> None:
    (tmp_path / "de.txt").write_bytes(b"Gut.\n" * 100_000 + b"\xff\n")
    rows = read_text(tmp_path, "train", "de")
    assert len(list(islice(rows, 100_000))) == 100_000
    with pytest.raises(UserError, match=r"de\.txt:100001: byte 1 of the line is not UTF-8"):
        next(rows)
