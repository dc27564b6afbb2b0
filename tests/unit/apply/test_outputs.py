"""Rows as bytes in every format; a file is whole or absent; what was begun goes on, unmixed with other rows."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dist_stilts.apply.outputs import Writer, output_format
from dist_stilts.apply.parts import Kept, OutputFiles, Progress, alone, begun, finished
from dist_stilts.errors import UserError

ROWS: list[dict[str, Any]] = [
    {"text": 'a, "b"\tc\n', "n": 1, "p": {"x": 0.5, "y": None}},
    {"text": "Ω 中", "n": None, "p": {"x": 1.0, "y": 0.25}},
]
WHAT = {"model": "m", "top": None}


def writer(suffix: str) -> Writer:
    import pyarrow as pa

    probabilities = pa.struct([("x", pa.float64()), ("y", pa.float64())])
    return Writer(suffix, ("text", "n", "p"), {"text": pa.string(), "n": pa.int64(), "p": probabilities})


def written(out: Path, *chunks: list[dict[str, Any]]) -> Path:
    made = writer(out.suffix)
    with alone(OutputFiles(out)):
        kept = Kept(OutputFiles(out), WHAT, Progress(), made)
        for chunk in chunks:
            kept.append([(len(chunk), made.rows(chunk), 0)])
        kept.publish({**WHAT, **vars(kept.done)})
    return out


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_table_of_text_has_lists_and_objects_as_json(suffix: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"out{suffix}", ROWS[:1], ROWS[1:])
    with path.open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file, delimiter={".csv": ",", ".tsv": "\t"}[suffix])
    assert (first["text"], int(first["n"]), json.loads(first["p"])) == tuple(ROWS[0].values())
    assert (second["text"], second["n"], json.loads(second["p"])) == ("Ω 中", "", ROWS[1]["p"])


def test_json_lines_have_what_a_row_has(tmp_path: Path) -> None:
    rows = [*ROWS, {"text": "half \ud800", "more": [1]}]
    path = written(tmp_path / "out.jsonl", rows)
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == rows


def test_parquet_has_types_and_all_chunks(tmp_path: Path) -> None:
    path = written(tmp_path / "out.parquet", *[ROWS] * 40)
    table = pq.read_table(path)
    assert table.to_pylist() == ROWS * 40
    assert str(table.schema.field("n").type) == "int64"
    assert pq.ParquetFile(path).num_row_groups == 1


def test_the_name_says_what_is_written() -> None:
    assert output_format("-") == ".jsonl"
    with pytest.raises(UserError, match=r"out.xlsx: its name does not say what to write. End it in .jsonl, .csv"):
        output_format("out.xlsx")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_what_was_begun_goes_on_without_its_torn_end(suffix: str, tmp_path: Path) -> None:
    out, made = tmp_path / f"out{suffix}", writer(suffix)
    files = OutputFiles(out)
    with alone(files):
        Kept(files, WHAT, Progress(), made).append([(1, made.rows(ROWS[:1]), 1)])
    with files.rows.open("ab") as torn:
        torn.write(made.rows(ROWS[1:])[:-3])
    assert not out.exists()
    done = begun(files, WHAT, overwrite=False)
    assert (done.chunks, done.rows, done.cut) == (1, 1, 1)
    with alone(files):
        kept = Kept(files, WHAT, done, made)
        kept.append([(1, made.rows(ROWS[1:]), 0)])
        kept.publish({})
    assert out.read_bytes() == written(tmp_path / f"whole{suffix}", ROWS[:1], ROWS[1:]).read_bytes()
    assert not files.folder.exists()


def test_what_was_begun_with_something_else_is_refused_or_begun_anew(tmp_path: Path) -> None:
    files, made = OutputFiles(tmp_path / "out.csv"), writer(".csv")
    with alone(files):
        Kept(files, WHAT, Progress(), made).append([(1, made.rows(ROWS[:1]), 0)])
    with pytest.raises(UserError, match=r"the beginning of other predictions \(model: m -> n\)"):
        begun(files, {**WHAT, "model": "n"}, overwrite=False)
    assert begun(files, {**WHAT, "model": "n"}, overwrite=True) == Progress()


def test_a_finished_file_is_known_by_what_made_it(tmp_path: Path) -> None:
    out = written(tmp_path / "out.csv", ROWS)
    files = OutputFiles(out)
    record = finished(files, WHAT, overwrite=False)
    assert record is not None
    assert record["rows"] == 2
    with pytest.raises(UserError, match=r"holds other predictions \(top: None -> 1\)"):
        finished(files, {**WHAT, "top": 1}, overwrite=False)
    assert finished(files, {**WHAT, "top": 1}, overwrite=True) is None
    out.write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"out.csv: there is a file already"):
        finished(files, WHAT, overwrite=False)


def test_one_program_writes_a_file(tmp_path: Path) -> None:
    files = OutputFiles(tmp_path / "out.csv")
    with alone(files), pytest.raises(UserError, match="another program is writing this"), alone(files):
        pass
