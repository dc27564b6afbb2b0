from __future__ import annotations

from pathlib import Path

from dist_stilts.tasks.read_text import read_text
from dist_stilts.tasks.spec import TextRow


def test_one_line_is_one_example_and_blank_lines_keep_their_number(tmp_path: Path) -> None:
    (tmp_path / "de.txt").write_text("Erste Zeile.\n\n  \nVierte\tZeile.\n", encoding="utf-8")
    assert list(read_text(tmp_path, "train", "de")) == [
        TextRow("train-0", "train-0", "Erste Zeile."),
        TextRow("train-3", "train-3", "Vierte\tZeile."),
    ]
