"""The user's own tables as pandas, Excel and datasets write them: read right, or refused with file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from task_files import refusal, write

from dist_stilts.tasks.read_own import OwnTask, own_spec
from dist_stilts.tasks.records import read_records
from dist_stilts.tasks.spec import PairRow, SpanRow

TSV = "text\tlabel\n"


def records(path: Path) -> list[Any]:
    return [record for _, record in read_records(path)]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.tsv", f'{TSV}"He said ""hi"""\tx\n"one\ntwo"\ty\n', ['He said "hi"', "one\ntwo"]),
        ("a.tsv", '"text"\t"label"\n"a\tb"\t"x"\nb\t"y"\n', ["a\tb", "b"]),
        ("a.tsv", f'{TSV}he said "x\ta\n"unbalanced\ty\n"Hi"\tx\n', ['he said "x', '"unbalanced', '"Hi"']),
        ("a.tsv", f'{TSV}"unbalanced\ta\nb\ty\nc"\tx\n', ['"unbalanced', "b", 'c"']),
        ("a.tsv", 'text\n"Hello,\nhe said.\nMy"\n', ['"Hello,', "he said.", 'My"']),
        ("a.CSV", "text;label\r\na, b;x\r\n", ["a, b"]),
        ("a.csv", "text\tlabel\na, b\tx\n", ["a, b"]),
        ("a.csv", "\ufeff text ,label \na,x\n", ["a"]),
        ("a.tsv", f"{TSV}ä\tx\n".replace("\n", "\r\n").encode("utf-16"), ["ä"]),
        ("a.json", '[\n {"text": "a"},\n {"text":\n "b"}\n]', ["a", "b"]),
        ("a.jsonl", '\ufeff\n[{"text": "a"}, {"text": "b"}]', ["a", "b"]),
        ("a.json", '{"data": [{"text": "a"}]}', ["a"]),
        ("a.json", '{\n "text": "a"\n}\n', ["a"]),
        ("a.ndjson", '{"text": "a", "data": [1]}\n{"text": "b"}\n', ["a", "b"]),
    ],
)  # fmt: skip
def test_tables_are_read_as_their_programs_wrote_them(tmp_path: Path, name: str, content: Any, expected: Any) -> None:
    assert [record["text"] for record in records(write(tmp_path, {name: content}) / name)] == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", f'{TSV}a\tx\n"He said ""hi"""\tx\nb "x\ty\n', "a.tsv:4: a quote inside a cell, or one that is never"),
        ("a.tsv", f'{TSV}"a\tx\nb\ty\nc"\tx\n"He said ""hi"""\tx\n', "a.tsv:2: a quoted cell that holds whole lines"),
        ("a.tsv", f'{TSV}"He said ""hi"""\tx\nb\n', "a.tsv:3: 1 columns, 2 in the header"),
        ("a.tsv", f'{TSV}"Hi"\tx\n\n', "a.tsv:3: 1 columns, 2 in the header"),
        ("a.tsv", f'{TSV}"one\ntwo\tx\n', "a.tsv:2: 1 columns, 2 in the header"),
        ("a.csv", "text, text\na,b\n", "a.csv:1: two columns are called alike"),
        ("a.csv", "text,label\ra,x\r", "a.csv:1: not CSV (new-line"),
        ("a.csv", f'text\n"a"\n"{"b" * (1 << 24)}c"\n', "A quote that is opened here is never closed"),
        ("a.csv", "text\na\nä\n".encode("latin1"), "a.csv:3: byte 1 of the line is not UTF-8. Convert"),
        ("a.csv", b"", "a.csv: file is empty. It has 0 bytes: fetch or write it again"),
        ("a.json", '[\n{"text": "a"},\n3]', "a.json:3: not a JSON object"),
        ("a.json", '[\n{"text": "a"},\n{"text" 3}]', "a.json:3: invalid JSON (Expecting ':' delimiter). Give an"),
        ("a.json", '{"data": [{"paragraphs":\n[{"qas": []}]}]}', "a.json:2: no text under the key 'context'"),
        ("a.arrow", b"ARROW1", "a.arrow: no Arrow file, or a damaged one"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_table_is_named_with_its_line(tmp_path: Path, name: str, content: Any, message: str) -> None:
    assert message in refusal(records, write(tmp_path, {name: content}) / name)


def test_questions_in_squads_form_are_an_own_task(tmp_path: Path) -> None:
    asked = [
        {"id": "1", "question": "who?", "answers": [{"text": "cat", "answer_start": 4}]},
        {"id": "2", "question": "?"},
    ]
    write(tmp_path, {"a.json": {"data": [{"paragraphs": [{"context": "the cat", "qas": asked}]}]}})
    spec = own_spec("mine", OwnTask("span", {"train": "a.json"}))
    assert spec.read
    assert "a.json:1: no column 'answers'" in refusal(spec.read, tmp_path, "train", "en")
    indented = json.dumps({"data": [{"paragraphs": [{"context": "the cat", "qas": asked[:1] * 2}]}]}, indent=1)
    write(tmp_path, {"a.json": indented})
    assert "id '1' occurs twice" in (said := refusal(spec.read, tmp_path, "train", "en"))
    assert f"a.json:{indented[: indented.rindex('{', 0, indented.rindex('id'))].count(chr(10)) + 1}:" in said
    write(tmp_path, {"a.json": {"data": [{"paragraphs": [{"context": "the cat", "qas": asked[:1]}]}]}})
    (row,) = spec.read(tmp_path, "train", "en")
    assert isinstance(row, SpanRow)
    assert row.answers is not None
    assert (row.id, row.answers[0].start) == ("1", 4)


def test_a_split_may_be_several_files_or_a_folder_of_datasets(tmp_path: Path) -> None:
    import datasets

    names = datasets.Features({"text_a": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    rows = datasets.Dataset.from_dict({"text_a": ["a", "b", "c"], "label": [0, 1, -1]}, features=names)
    rows.save_to_disk(tmp_path / "saved.de", num_shards=2)
    datasets.DatasetDict(test=rows).save_to_disk(tmp_path / "several")
    for shard, text in enumerate("abc"):
        write(tmp_path, {f"test-{shard}-of-3.csv": f"text_a,label\n{text},{['no', 'yes', ''][shard]}\n"})
    expected = [
        PairRow(f"test-{number}", f"test-{number}", text, "", label)
        for number, (text, label) in enumerate([("a", "no"), ("b", "yes"), ("c", None)])
    ]
    write(tmp_path, {"test-0-of-3.en.csv": "text_a,label\nof another language,no\n"})
    listed = [f"test-{shard}-of-3.csv" for shard in range(3)]
    for files in ("test-*.csv", listed, str(tmp_path / "test-?-of-3.csv"), f"{tmp_path}/saved.de/", "saved.{lang}/"):
        spec = own_spec("mine", OwnTask("sequence", {"test": files}, languages=["de"]))
        assert spec.read
        assert list(spec.read(tmp_path, "test", "de")) == expected
    for files, message in (
        ("test-*.tsv", "test-*.tsv: no such file"),
        ("several", "several: several splits in one folder. Name one of them: several/train"),
        ("", "a folder without a data set in it"),
    ):
        spec = own_spec("mine", OwnTask("sequence", {"test": files}, languages=["de"]))
        assert spec.read
        assert message in refusal(spec.read, tmp_path, "test", "de")
