from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from dist_stilts.errors import UserError
from dist_stilts.tasks.files import locate, read_columns, read_json_lines, read_lines, sha256


def test_plain_and_gzip_give_the_same_lines(tmp_path: Path) -> None:
    text = "één\tb\r\n\nlast without end".encode()
    (tmp_path / "plain.tsv").write_bytes(text)
    (tmp_path / "packed.tsv.gz").write_bytes(gzip.compress(text))
    expected = [(1, "één\tb"), (2, ""), (3, "last without end")]
    assert list(read_lines(tmp_path / "plain.tsv")) == expected
    assert list(read_lines(tmp_path / "packed.tsv")) == expected


def test_byte_order_mark_is_stripped_from_the_first_line_only(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n")
    assert [line for _, line in read_lines(tmp_path / "x.txt")] == ["a", "\ufeffb"]


def test_unicode_line_separators_do_not_end_a_line(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("a\u2028b\x85c\x0cd\ne\n", encoding="utf-8")
    assert [line for _, line in read_lines(tmp_path / "x.txt")] == ["a\u2028b\x85c\x0cd", "e"]


def test_plain_file_wins_over_its_gzip(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("plain")
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"packed"))
    assert locate(tmp_path, "missing", "x") == tmp_path / "x"
    assert locate(tmp_path, "missing", "gone") == tmp_path / "missing"


def _damaged(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)[:-12]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.txt", b"", "x.txt: file is empty"),
        ("x.txt.gz", gzip.compress(b""), "x.txt.gz: file is empty"),
        ("x.txt", b"ok\nb\xffd\n", "x.txt:2: byte 2 of the line is not UTF-8"),
        ("x.txt.gz", gzip.compress(b"\xc3"), "x.txt.gz:1: byte 1 of the line is not UTF-8"),
        ("x.txt.gz", _damaged(b"a line\n" * 5000), "x.txt.gz: gzip file is damaged or cut off"),
        ("x.txt.gz", gzip.compress(b"a", mtime=0)[:10] + b"\xff" * 20, "x.txt.gz: gzip file is damaged or cut off"),
        ("x.txt.gz", b"not gzip at all", "x.txt.gz: gzip file is damaged or cut off"),
        ("other.txt", b"a", "x.txt: no such file"),
    ],
)
def test_bad_file_is_one_line_that_names_the_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        list(read_lines(tmp_path / "x.txt"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_in_place_of_a_file_is_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "x.txt").mkdir()
    with pytest.raises(UserError, match="no such file"):
        list(read_lines(tmp_path / "x.txt"))


def test_first_row_settles_whether_the_optional_column_is_there(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("a\tb\na\tb\tc\n")
    with pytest.raises(UserError, match=r"x\.tsv:2: 3 columns\. Expected, tab-separated: one two three"):
        list(read_columns(tmp_path / "x.tsv", "one two three", optional_last=True))


@pytest.mark.parametrize("line", ["{", "[1]", "1" * 5000, "[" * 200_000, "nonsense"])
def test_line_that_is_no_json_object_names_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.jsonl").write_text("{}\n\n" + line + "\n")
    with pytest.raises(UserError, match=r"x\.jsonl:3: (invalid JSON|not a JSON object)") as caught:
        list(read_json_lines(tmp_path / "x.jsonl"))
    assert len(str(caught.value)) < 300


def test_changed_file_has_another_digest(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    path.write_bytes(b"abcd")
    assert sha256(path) == "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589"
