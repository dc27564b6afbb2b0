from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_files import bucc, tarred, tatoeba, write, zipped

from dist_stilts.tasks.read_bitext import (
    LONGEST_SENTENCE,
    TATOEBA_LANGUAGES,
    iso_639_3,
    read_bucc2018,
    read_comparable,
    read_tatoeba,
    xtreme_order,
)
from dist_stilts.tasks.spec import Bitext


def test_tatoeba_sides_are_row_aligned_and_a_simulated_language_keeps_its_code(tmp_path: Path) -> None:
    ids = ("0", "1")
    for language, code in (("de", "deu"), ("qaa", "qaa")):
        write(tmp_path, tatoeba("Ja.\nNein.\n", "Yes.\nNo.\n", code))
        assert read_tatoeba(tmp_path, "test", language) == Bitext(
            ("Ja.", "Nein."), ("Yes.", "No."), ids, ids, (("0", "0"), ("1", "1"))
        )
    assert len({iso_639_3(language) for language in TATOEBA_LANGUAGES}) == 36


@pytest.mark.parametrize("folder", ["v1", "data/tatoeba/v1"])
def test_tatoeba_is_found_where_its_publishers_have_it(tmp_path: Path, folder: str) -> None:
    write(tmp_path / folder, tatoeba("Ja.\n", "Yes.\n"))
    assert read_tatoeba(tmp_path, "test", "de").gold == (("0", "0"),)
    files = tatoeba("Oui.\n", "Yes.\n", "fra")
    packed = zipped({f"LASER-master/data/tatoeba/v1/{name}": text for name, text in files.items()})
    write(tmp_path, {"master.zip": packed})
    assert read_tatoeba(tmp_path, "test", "fr").source == ("Oui.",)


def test_files_that_xtreme_sorted_have_no_gold(tmp_path: Path) -> None:
    write(tmp_path, {"de-en.de": "Ja.\nNein.\n", "de-en.en": "No.\nYes.\n"})
    bitext = read_tatoeba(tmp_path, "test", "de")
    assert (bitext.source, bitext.target, bitext.gold) == (("Ja.", "Nein."), ("No.", "Yes."), None)
    bitext = read_tatoeba(write(tmp_path, tatoeba("Ja.\nNein.\n", "Yes.\nNo.\n")), "test", "de")
    assert bitext.gold == (("0", "0"), ("1", "1"))
    assert xtreme_order(bitext.target) == [1, 0]


@given(st.lists(st.text(max_size=3)))
def test_the_order_of_xtreme_sorts_stripped_sentences_and_keeps_equals_in_order(sentences: list[str]) -> None:
    order = xtreme_order(sentences)
    assert [(sentences[row].strip(), row) for row in order] == sorted(
        (text.strip(), row) for row, text in enumerate(sentences)
    )


def test_a_long_sentence_is_still_one_and_one_file_may_be_both_sides(tmp_path: Path) -> None:
    text = "a" * (LONGEST_SENTENCE - 1)
    assert read_tatoeba(write(tmp_path, tatoeba(text, text)), "test", "de").source == (text,)
    write(tmp_path, {"side": "1\ta\n2\tb\n", "gold": "1\t2\n"})
    bitext = read_comparable(tmp_path / "side", tmp_path / "side", tmp_path / "gold")
    assert (bitext.source, bitext.gold) == (bitext.target, (("1", "2"),))


@pytest.mark.parametrize(("split", "name"), [("dev", "dev"), ("dev", "sample"), ("test", "test"), ("test", "training")])
def test_bucc_is_found_under_both_names_and_may_lack_gold(tmp_path: Path, split: str, name: str) -> None:
    write(tmp_path, bucc("zh-1\t是\nzh-2\t否\n", split=name))
    sides = ("是", "否"), ("yes",), ("zh-1", "zh-2"), ("en-9",)
    assert read_bucc2018(tmp_path, split, "zh") == Bitext(*sides, (("zh-1", "en-9"),))
    (tmp_path / f"zh-en.{name}.gold").unlink()
    assert read_bucc2018(tmp_path, split, "zh") == Bitext(*sides, None)


def test_bucc_is_read_from_the_shared_tasks_archives(tmp_path: Path) -> None:
    for name, text in {"sample": "是", "training": "否"}.items():
        files = {f"bucc2018/zh-en/{file}": side for file, side in bucc(f"zh-1\t{text}\n", split=name).items()}
        write(tmp_path, {f"bucc2018-zh-en.{name}-gold.tar.bz2": tarred(files, "w:bz2")})
    assert read_bucc2018(tmp_path, "dev", "zh") == Bitext(("是",), ("yes",), ("zh-1",), ("en-9",), (("zh-1", "en-9"),))
    assert read_bucc2018(tmp_path, "test", "zh").source == ("否",)
