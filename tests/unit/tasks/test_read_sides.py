from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from task_files import refusal, write

from dist_stilts.tasks.read_sides import Side, read_known, read_sides


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two files with ids and a blank line in the first."""
    write(tmp_path, {"de": "d-1\tJa.\n\nd-2\tNein.\n", "en": "e-9\tNo.\ne-8\tYes.\n"})
    return tmp_path / "de", tmp_path / "en"


def test_sentences_without_ids_are_known_by_their_line_number_in_plain_and_packed_files(tmp_path: Path) -> None:
    write(tmp_path, {"de": "Ja.\n \nNein. \n\n", "en.gz": gzip.compress(b"Yes.\n")})
    source, target = read_sides(tmp_path / "de", tmp_path / "en")
    assert source == Side(tmp_path / "de", ("1", "3"), ("Ja.", "Nein."), 2, named=False)
    assert target.texts == read_sides(tmp_path / "en.gz", tmp_path / "de")[0].texts == ("Yes.",)


def test_lines_of_which_nothing_shows_are_passed_over_and_counted(tmp_path: Path) -> None:
    write(tmp_path, {"de": "\u200b\n\ufe0f\n\xad\nHallo\n", "en": "e-1\t\u200d\ne-2\tHello\n"})
    assert read_sides(tmp_path / "de", tmp_path / "de")[0] == Side(tmp_path / "de", ("4",), ("Hallo",), 3, named=False)
    named = read_sides(tmp_path / "en", tmp_path / "en")[0]
    assert (named.ids, named.texts, named.blank) == (("e-2",), ("Hello",), 1)


def test_ids_are_seen_where_every_line_of_both_files_has_one_or_can_be_told(files: tuple[Path, Path]) -> None:
    source, target = read_sides(*files)
    assert (source.ids, source.texts, source.blank, source.named) == (("d-1", "d-2"), ("Ja.", "Nein."), 1, True)
    assert (target.ids, target.texts) == (("e-9", "e-8"), ("No.", "Yes."))
    assert read_sides(*files, ids=False)[0].texts == ("d-1 Ja.", "d-2 Nein.")
    files[1].write_text("e-9\tNo.\twith a tab\ne-7\t \n")
    target = read_sides(*files, ids=True)[1]
    assert (target.ids, target.texts, target.blank) == (("e-9",), ("No. with a tab",), 1)


@pytest.mark.parametrize("line", ["e-9\tagain", "no tab", "e-1\tone\ttwo", "\tno id"])
def test_one_line_that_is_no_id_and_text_makes_all_lines_plain_text(files: tuple[Path, Path], line: str) -> None:
    files[1].write_text(f"e-9\tNo.\n{line}\n")
    source, target = read_sides(*files)
    assert source.ids == ("1", "3")
    assert source.texts == ("d-1 Ja.", "d-2 Nein.")
    assert target.texts[1] == line.replace("\t", " ").strip()


@pytest.mark.parametrize(
    ("content", "ids", "said"),
    [
        (b"e-9\tNo.\nYes.\n", True, "en:2: no id before 'Yes.'"),
        (b"e-9\tNo.\ne-9\tYes.\n", True, "en:2: id 'e-9' occurs twice"),
        (b"e-9\t\n\n", True, "en: no text in 2 lines"),
        (b"", True, "en: file is empty"),
        (b"No.\nY\xe9s.\n", None, "en:2: byte 2 of the line is not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_side_is_said_with_its_line(
    files: tuple[Path, Path], content: bytes, ids: bool | None, said: str
) -> None:
    files[1].write_bytes(content)
    assert said in refusal(lambda: read_sides(*files, ids=ids))


def test_known_pairs_are_read_as_rows(files: tuple[Path, Path], tmp_path: Path) -> None:
    write(tmp_path, {"gold": "d-2\te-9\nd-1\te-8\n", "numbers": "3\t1\n1\t2\n"})
    assert read_known(tmp_path / "gold", *read_sides(*files)) == [(1, 0), (0, 1)]
    assert read_known(tmp_path / "numbers", *read_sides(*files, ids=False)) == [(1, 0), (0, 1)]


@pytest.mark.parametrize(
    ("text", "ids", "said"),
    [
        ("d-1\te-8\nd-3\te-8\n", None, "gold:2: gold id 'd-3' is not in de"),
        ("d-1\te-1\n", None, "gold:1: gold id 'e-1' is not in en"),
        ("d-1\te-8\nd-1\te-8\n", None, "gold:2: gold pair 'd-1', 'e-8' occurs twice"),
        ("d-1 e-8\n", None, "gold:1: 1 columns"),
        ("", None, "gold: file is empty"),
        ("2\t1\n", False, "gold:1: gold id '2' is not in de"),  # a line without text
    ],
)
def test_what_is_wrong_with_known_pairs_is_said_with_its_line(
    files: tuple[Path, Path], tmp_path: Path, text: str, ids: bool | None, said: str
) -> None:
    write(tmp_path, {"gold": text})
    assert said in refusal(read_known, tmp_path / "gold", *read_sides(*files, ids=ids))
