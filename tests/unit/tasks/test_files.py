from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from task_files import refusal, write, zstandard

from dist_stilts.tasks.files import (
    digest,
    locate,
    read_columns,
    read_csv_rows,
    read_json_lines,
    read_lines,
    read_table,
    read_whole,
)


def packed(content: bytes) -> bytes:
    """Gzip without the time of day: a test's name must not change with it."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zstandard)],
)
def test_plain_and_packed_give_the_same_lines(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / f"x.tsv{suffix}").write_bytes(pack("één\tb\r\n\nlast without end".encode()))
    expected = [(1, "één\tb"), (2, ""), (3, "last without end")]
    assert locate(tmp_path, "x.tsv") == tmp_path / f"x.tsv{suffix}"
    assert list(read_lines(tmp_path / "x.tsv")) == expected
    assert list(read_lines(tmp_path / f"x.tsv{suffix}")) == expected
    assert read_whole(tmp_path / "x.tsv") == "één\tb\n\nlast without end"


@pytest.mark.parametrize(
    ("text", "lines"),
    [("\ufeffa\n\ufeffb\n", ["a", "\ufeffb"]), ("a\u2028b\x85c\x0cd\r\ne\n", ["a\u2028b\x85c\x0cd", "e"])],
    ids=["a byte order mark goes from the first line only", "line separators of Unicode end no line"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_line_is_what_stands_between_line_feeds(tmp_path: Path, text: str, lines: list[str], encoding: str) -> None:
    marked = text if encoding == "utf-8" else f"\ufeff{text.removeprefix(chr(0xFEFF))}"
    assert [line for _, line in read_lines(write(tmp_path, {"x.txt": marked.encode(encoding)}) / "x.txt")] == lines


def test_plain_file_wins_over_its_gzip(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("plain")
    (tmp_path / "x.gz").write_bytes(packed(b"packed"))
    assert locate(tmp_path, "missing", "x") == tmp_path / "x"
    assert locate(tmp_path, "missing", "gone") == tmp_path / "missing"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.txt", b"", "x.txt: file is empty"),
        ("x.txt.gz", packed(b""), "x.txt.gz: file is empty"),
        ("x.txt", b"ok\nb\xffd\n", "x.txt:2: byte 2 of the line is not UTF-8"),
        ("x.txt.gz", packed(b"\xc3"), "x.txt.gz:1: byte 1 of the line is not UTF-8"),
        ("x.txt.gz", packed(b"a line\n" * 5000)[:-12], "x.txt.gz: damaged or cut off"),
        ("x.txt.gz", packed(b"a")[:10] + b"\xff" * 20, "x.txt.gz: damaged or cut off"),
        ("x.txt.gz", b"not gzip at all", "x.txt.gz: damaged or cut off. Fetch it again"),
        ("x.txt.bz2", bz2.compress(b"a line\n" * 500)[:-8], "x.txt.bz2: damaged or cut off"),
        ("x.txt.bz2", b"not bzip2 at all", "x.txt.bz2: damaged or cut off"),
        ("x.txt.xz", lzma.compress(b"a line\n" * 500)[:-30], "x.txt.xz: damaged or cut off"),
        ("x.txt.xz", b"not xz at all", "x.txt.xz: damaged or cut off"),
        ("x.txt.zst", zstandard(b"a line\n" * 500)[:-8], "x.txt.zst: damaged or cut off"),
        ("x.txt.zst", b"not zstandard", "x.txt.zst: damaged or cut off"),
        ("x.txt", "ok\nä\n".encode("utf-16")[:-1], "x.txt:2: begins as UTF-16, but is not throughout"),
        ("x.txt", b"\xff\xfea\0\n\0\0\xd8\n\0b\0", "x.txt:2: begins as UTF-16, but is not throughout"),
        ("x.txt", "ok\n".encode("utf-16-le"), "x.txt:1: zero bytes are no text"),
        ("other.txt", b"a", "x.txt: no such file"),
        ("x.txt/folder", b"a", "x.txt: no such file"),
    ],
)
def test_bad_file_is_one_line_that_names_the_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    write(tmp_path, {name: content})
    assert message in refusal(read_lines, tmp_path / "x.txt")


def test_first_row_settles_whether_the_optional_column_is_there(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("a\tb\na\tb\tc\n")
    said = refusal(lambda: list(read_columns(tmp_path / "x.tsv", "one two three", optional_last=True)))
    assert "x.tsv:2: 3 columns. Expected, tab-separated: one two three" in said


@pytest.mark.parametrize("line", ["{", "[1]", "1" * 5000, "[" * 200_000, "nonsense"])
def test_line_that_is_no_json_object_names_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.jsonl").write_text("{}\n\n" + line + "\n")
    said = refusal(read_json_lines, tmp_path / "x.jsonl")
    assert "x.jsonl:3: invalid JSON" in said or "x.jsonl:3: not a JSON object" in said
    assert len(said) < 300


def test_table_gives_the_wanted_columns_by_name_quotes_mean_nothing_and_short_rows_can_be_told_apart(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.tsv"
    path.write_text('id\ta\tb\textra\n1\t"stray\tquote"\t\n2\tc\td\n')
    assert list(read_table(path, "b a")) == [
        ((path, 2), {"b": 'quote"', "a": '"stray'}),
        ((path, 3), {"b": "d", "a": "c"}),
    ]
    path.write_text("id\ta\n1\tb\n2\n\n")
    assert [cells for _, cells in read_table(path, "a", skip_short=True)] == [{"a": "b"}, {}, {}]


def test_csv_field_may_hold_commas_quotes_and_line_ends_and_be_longer_than_the_standard_library_lets_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.csv"
    long = "x" * 200_000
    path.write_bytes(f'\ufeffid,context,label\r\n1,"a, ""b""\r\nc",0\r\n\r\n2,{long},1\r\n'.encode())
    assert list(read_csv_rows(path, "label context")) == [
        ((path, 2), {"label": "0", "context": 'a, "b"\nc'}),
        ((path, 5), {"label": "1", "context": long}),
    ]


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_table, "id\tb\n1\t2\n", "x:1: no column 'c' in the header 'id b'"),
        (read_table, "id\tc\n1\n", "x:2: 1 columns, 2 in the header"),
        (read_table, "id\tc\n1\t2\t3\n", "x:2: 3 columns, 2 in the header"),
        (read_csv_rows, "a,b\n1,2\n", "x:1: no column 'c' in the header 'a b'"),
        (read_csv_rows, "a,c\n1,2\n1\n", "x:3: 1 columns, 2 in the header"),
        (read_csv_rows, 'a,c\n1,2\n"never closed,3\n4,5\n', "x:3: not CSV (unexpected end of data)"),
        (read_csv_rows, 'a,c\n1,"x"y\n', "x:2: not CSV"),
    ],
)
def test_bad_table_names_its_line(tmp_path: Path, read: Callable[..., Any], text: str, message: str) -> None:
    assert message in refusal(read, write(tmp_path, {"x": text}) / "x", "c")


def test_changed_file_has_another_digest_and_a_missing_one_none(tmp_path: Path) -> None:
    path = tmp_path / "x"
    assert "x: cannot be read (No such file or directory)" in refusal(digest, path)
    path.write_bytes(b"abc")
    assert digest(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    path.write_bytes(b"abcd")
    assert digest(path) == "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589"
