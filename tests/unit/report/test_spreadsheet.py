from __future__ import annotations

import csv
import io

import pytest

from dist_stilts.report.spreadsheet import csv_text, harmless


@pytest.mark.parametrize("cell", ["=1+1", "+x", "-x", "@SUM(A1)", "\t=1", '=HYPERLINK("a")'])
def test_no_cell_is_taken_for_a_formula(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    assert harmless(f"\r{cell}") == f"'\r{cell}"
    assert [*csv.reader(io.StringIO(csv_text([("name", "value"), (cell, 1.5)]), newline=""))][1] == [f"'{cell}", "1.5"]


@pytest.mark.parametrize("cell", ["-1", "-", "+1.5", "-1e-3", "x=1", "", None, -1, -1.5, True])
def test_numbers_and_words_stay_what_they_are(cell: object) -> None:
    assert harmless(cell) == cell
