"""Files of every format as records, and what is wrong in them as one line with file and line."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from task_files import zstandard

from dist_stilts.apply.inputs import Input, check_names, chunks, format_by_name, open_inputs
from dist_stilts.apply.survey import survey
from dist_stilts.errors import UserError

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard,
}
CONLL = "-DOCSTART- O\n\n# id 7 of a corpus\nAngela B-PER\nMerkel I-PER\n\n# O\nliest O\n"
CONLLU = "# text = im Haus\n1-2\tim\t_\t_\n1\tin\tin\tADP\n2\tdem\tder\tDET\n3\tHaus\tHaus\tNOUN\n3.1\t_\t_\tX\n"
FILES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "a.csv": ('text,n\n"a, ""b""\nc",1\n', [{"text": 'a, "b"\nc', "n": "1"}]),
    "b.csv": ("text;n\na, b;1\n", [{"text": "a, b", "n": "1"}]),
    "a.tsv": ("text\tn\na\t1\n", [{"text": "a", "n": "1"}]),
    "b.tsv": ('text\tn\n"a ""b""\nc"\t1\n', [{"text": 'a "b"\nc', "n": "1"}]),
    "a.json": ('[\n{"text": "a"},\n{"text": ""}]\n', [{"text": "a"}, {"text": ""}]),
    "a.jsonl": ('{"text": "a", "n": 1}\n\n{"text": ""}\n', [{"text": "a", "n": 1}, {"text": ""}]),
    "a.txt": ("a\n\nb, c\n", [{"text": "a"}, {"text": ""}, {"text": "b, c"}]),
    "a.conll": (
        CONLL,
        [{"words": ["Angela", "Merkel"], "tags": ["B-PER", "I-PER"]}, {"words": ["#", "liest"], "tags": ["O", "O"]}],
    ),
    "a.iob2": ("Rom\n", [{"words": ["Rom"]}]),
    "a.conllu": (CONLLU, [{"words": ["in", "dem", "Haus"], "tags": ["ADP", "DET", "NOUN"]}]),
}


def read(path: Path, wanted: str | None = None) -> list[dict[str, Any]]:
    (one,) = open_inputs([str(path)], wanted, path.parent)
    return [record for _, record in one.records()]


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("name", FILES)
def test_files_are_read_as_their_names_say_packed_or_not(name: str, packed: str, tmp_path: Path) -> None:
    text, expected = FILES[name]
    path = tmp_path / f"{name}{packed}"
    path.write_bytes(PACKERS[packed](text.encode()))
    assert read(path) == expected


def test_parquet_is_read_with_its_types(tmp_path: Path) -> None:
    import pandas as pd

    rows = [{"text": "a", "words": ["x", "y"], "n": 1}]
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == rows


def test_the_user_may_say_what_a_name_does_not(tmp_path: Path) -> None:
    path = tmp_path / "test"
    path.write_text("text\na\n", encoding="utf-8")
    assert read(path, "csv") == [{"text": "a"}]
    assert read(path, "text") == [{"text": "text"}, {"text": "a"}]
    with pytest.raises(UserError, match=r"test: its name does not say how to read it. Give --format: jsonl, csv"):
        format_by_name(str(path), None)
    with pytest.raises(UserError, match=r"unknown format 'cvs'. did you mean 'csv'"):
        format_by_name(str(path), "cvs")


@pytest.mark.parametrize(
    ("names", "said"),
    [([], "no input"), (["-", "-"], "standard input can be read once"), (["gone.csv"], "gone.csv: no such file")],
)
def test_what_is_not_there_is_refused_before_anything_is_read(names: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_names(names, None)


def test_chunks_end_at_rows_or_characters_and_at_nothing_else() -> None:
    where = (Path("x"), 1)
    records = [(where, {"text": "a" * size}) for size in (1, 1, 1, 50, 1, 1)]
    assert [len(chunk) for chunk in chunks(iter(records), rows=2, characters=40)] == [2, 2, 2]
    assert [len(chunk) for chunk in chunks(iter(records), rows=10, characters=40)] == [4, 2]
    assert list(chunks(iter([]))) == []


def surveyed(tmp_path: Path, files: dict[str, bytes], family: str = "sequence", table: bool = False) -> Any:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    inputs = [Input(tmp_path / name, name, format_by_name(name, None)) for name in files]
    return survey(inputs, family, (), table, table)


def test_a_survey_counts_the_rows_of_all_files_and_those_without_text(tmp_path: Path) -> None:
    found = surveyed(tmp_path, {"a.csv": b"text,n\na,1\n,2\n", "b.csv": b"n,text\n3, \n"})
    assert (found.rows, found.blank, found.names) == (3, 2, ("text", "n"))
    assert len(set(found.digests)) == 2


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.csv": b"text,n\na,1\nb\n"}, "a.csv:3: 1 columns, 2 in the header"),
        ({"a.csv": b'text\n"a\n'}, "a.csv:2: not CSV"),
        ({"a.txt": b"a\nb\xffc\n"}, "a.txt:2: byte 2 of the line is not UTF-8"),
        ({"a.jsonl": b'{"text": "a"}\n[1]\n'}, "a.jsonl:2: not a JSON object"),
        ({"a.jsonl": b'{"text": "a"}\n{"txt": "a"}\n'}, "a.jsonl:2: no column 'text'"),
        ({"a.jsonl": b""}, "a.jsonl: file is empty"),
        ({"a.csv": b"text,n\n"}, "a.csv: no rows"),
        (
            {"a.csv": b"text,n\na,1\n", "b.csv": b"text,m\na,1\n"},
            "other columns than a.csv: it lacks 'n' and has 'm' more",
        ),
        ({"a.parquet": b"PAR1"}, "a.parquet: no Parquet file, or a damaged one"),
        ({"a.conllu": b"1 a b\n"}, "a.conllu:1: 1 columns. Expected CoNLL-U"),
    ],
)
def test_what_is_wrong_anywhere_is_found_before_anything_is_predicted(
    files: dict[str, bytes], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=said):
        surveyed(tmp_path, files, "token" if "a.conllu" in files else "sequence")


def test_rows_of_json_lines_may_differ_unless_a_table_is_made_of_them(tmp_path: Path) -> None:
    files = {"a.jsonl": b'{"text": "a"}\n{"text": "a", "new": 1}\n'}
    assert surveyed(tmp_path, files).rows == 2
    with pytest.raises(UserError, match=r"a.jsonl:2: column 'new' is not in the first row"):
        surveyed(tmp_path, files, table=True)


def test_columns_of_a_table_have_one_type_or_are_written_as_json(tmp_path: Path) -> None:
    lines = (
        b'{"text": "a", "n": 1, "m": 1, "l": [1], "z": null}\n{"text": "b", "n": 2.5, "m": "x", "l": [], "z": null}\n'
    )
    types = {name: str(kind) for name, kind in surveyed(tmp_path, {"a.jsonl": lines}, table=True).types.items()}
    assert types == {"text": "string", "n": "double", "m": "", "l": "list<item: int64>", "z": "null"}
