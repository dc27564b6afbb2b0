from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_files import PAWSX_HEADER, QQP_HEADER, write

from dist_stilts.tasks.read_pairs import PARAPHRASE_LABELS, find_pawsx, read_pawsx, read_plain, read_qqp
from dist_stilts.tasks.spec import PairRow, Quirk

NOT_TRANSLATED = Quirk("sentence not translated ('NS'), row kept")
BAD_LABEL = Quirk("no label 0 or 1, row left out")
SENTENCE = st.text(st.sampled_from('ab" ,é\u2028'), max_size=8)


@given(pairs=st.lists(st.tuples(SENTENCE, SENTENCE, st.sampled_from("01")), min_size=1))
def test_plain_file_gives_back_what_csv_writer_wrote(tmp_path: Path, pairs: list[tuple[str, str, str]]) -> None:
    stream = io.StringIO()
    csv.writer(stream, delimiter="\t").writerows(pairs)
    path = write(tmp_path, {"dev-de.tsv": stream.getvalue()}) / "dev-de.tsv"
    rows = read_plain([path], PARAPHRASE_LABELS, may_lack_gold=False)
    assert [tuple(row[1:]) for row in rows] == pairs


@pytest.mark.parametrize("text", ['"', '"a" and "b"', 'a "b"', '"a'])
def test_quotes_that_csv_writer_did_not_write_stay(tmp_path: Path, text: str) -> None:
    write(tmp_path, {"dev-de.tsv": f"{text}\tx\t0\n"})
    assert next(read_pawsx(tmp_path, "dev", "de")) == PairRow("dev-0", "dev-0", text, "x", "0")


def test_original_and_plain_pawsx_give_the_same_rows(tmp_path: Path) -> None:
    write(tmp_path, {"a/x-final/de/dev_2k.tsv": PAWSX_HEADER + '4\t"T" ist\tb\t0\n6\tc\tNS\t0\n7\te\tf\t1\n'})
    write(tmp_path, {"b/dev-de.tsv": '"""T"" ist"\tb\t0\r\nc\tNS\t0\r\ne\tf\t1\r\n'})
    rows = list(read_pawsx(tmp_path / "a", "dev", "de"))
    assert rows == list(read_pawsx(tmp_path / "b", "dev", "de"))
    assert rows == [
        PairRow("dev-0", "dev-0", '"T" ist', "b", "0"),
        NOT_TRANSLATED,
        PairRow("dev-1", "dev-1", "c", "NS", "0"),
        PairRow("dev-2", "dev-2", "e", "f", "1"),
    ]
    write(tmp_path, {"x-final/ja/test_2k.tsv": f"{PAWSX_HEADER}1\t\tb\t0\n"})
    empty = Quirk("empty sentence, row kept")
    assert list(read_pawsx(tmp_path, "test", "ja")) == [empty, PairRow("test-0", "test-0", "", "b", "0")]


def test_training_rows_are_parallel_even_past_rows_that_are_left_out(tmp_path: Path) -> None:
    french = 'a\tb\tG\t"H ""h"""\t0\nc\td\tI\tJ\te\nwrong\ne\tf\tK\tL\t0\n'
    files = {
        "x-final/en/train.tsv": PAWSX_HEADER + "1\ta\tb\t0\n2\tc\td\t1\n3\te\tf\t0\n",
        "x-final/de/translated_train.tsv": PAWSX_HEADER + "1\tA\tB\t0\n2\tC\n3\tE\tF\t0\n",
        "translate-train/en-fr-translated.tsv": french,
    }
    write(tmp_path, files)
    english = {row.id: row.label for row in read_pawsx(tmp_path, "train", "en")}
    assert english == {"train-0": "0", "train-1": "1", "train-2": "0"}
    assert list(read_pawsx(tmp_path, "train", "de")) == [
        PairRow("train-0", "train-0", "A", "B", "0"),
        BAD_LABEL,
        PairRow("train-2", "train-2", "E", "F", "0"),
    ]
    assert list(read_pawsx(tmp_path, "train", "fr")) == [
        PairRow("train-0", "train-0", "G", 'H "h"', "0"),
        BAD_LABEL,
        BAD_LABEL,
        PairRow("train-3", "train-3", "K", "L", "0"),
    ]


def test_gold_of_the_plain_test_file_is_kept_apart_by_language(tmp_path: Path) -> None:
    write(tmp_path, {"test-de.tsv": "a\tb\nc\td\n", "test-fr.labels.txt": "0\n1\n"})
    assert [row.label for row in read_pawsx(tmp_path, "test", "de")] == [None, None]
    write(tmp_path, {"test-de.labels.txt": "1\r\n0\r\n"})
    assert [row.label for row in read_pawsx(tmp_path, "test", "de")] == ["1", "0"]
    assert find_pawsx(tmp_path, "test", "de") == [tmp_path / "test-de.tsv", tmp_path / "test-de.labels.txt"]


def test_qqp_row_is_named_by_its_place_and_stray_quotes_stay(tmp_path: Path) -> None:
    rows = '7\t1\t2\t"Why\tHow?\t0\n8\t1\t2\thalf a\nrow\t1\n9\t3\t4\tA\t\t1\n'
    broken = Quirk("row broken over two lines, left out")
    assert list(read_qqp(write(tmp_path, {"train.tsv": QQP_HEADER + rows}), "train", "en")) == [
        PairRow("train-0", "train-0", '"Why', "How?", "0"),
        broken,
        broken,
        PairRow("train-3", "train-3", "A", "", "1"),
    ]


@pytest.mark.parametrize("first", ["id", "index"])
def test_qqp_test_set_has_no_gold(tmp_path: Path, first: str) -> None:
    write(tmp_path, {"QQP/test.tsv": f"{first}\tquestion1\tquestion2\n0\ta\tb\n"})
    assert list(read_qqp(tmp_path, "test", "en")) == [PairRow("test-0", "test-0", "a", "b", None)]
