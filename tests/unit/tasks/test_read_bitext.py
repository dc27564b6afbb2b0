from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dist_stilts.errors import UserError
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

PUBLISHED_PAIRS = {"jv": 205, "te": 234, "ta": 307, "sw": 390, "th": 548, "kk": 575, "ml": 687, "ka": 746}


def write_bucc(folder: Path, name: str, source: str, target: str, gold: str | None) -> None:
    (folder / f"zh-en.{name}.zh").write_text(source, encoding="utf-8")
    (folder / f"zh-en.{name}.en").write_text(target, encoding="utf-8")
    if gold is not None:
        (folder / f"zh-en.{name}.gold").write_text(gold)


def test_tatoeba_sides_are_row_aligned(tmp_path: Path) -> None:
    (tmp_path / "tatoeba.deu-eng.deu").write_text("Ja.\nNein.\n")
    (tmp_path / "tatoeba.deu-eng.eng").write_text("Yes.\nNo.\n")
    ids = ("0", "1")
    assert read_tatoeba(tmp_path, "test", "de") == Bitext(
        ("Ja.", "Nein."), ("Yes.", "No."), ids, ids, (("0", "0"), ("1", "1"))
    )


@pytest.mark.parametrize("folder", ["v1", "data/tatoeba/v1"])
def test_tatoeba_is_found_where_its_publishers_have_it(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "tatoeba.deu-eng.deu").write_text("Ja.\n")
    (tmp_path / folder / "tatoeba.deu-eng.eng").write_text("Yes.\n")
    assert read_tatoeba(tmp_path, "test", "de").gold == (("0", "0"),)
    with zipfile.ZipFile(tmp_path / "master.zip", "w") as archive:
        archive.writestr("LASER-master/data/tatoeba/v1/tatoeba.fra-eng.fra", "Oui.\n")
        archive.writestr("LASER-master/data/tatoeba/v1/tatoeba.fra-eng.eng", "Yes.\n")
    assert read_tatoeba(tmp_path, "test", "fr").source == ("Oui.",)


def test_files_that_xtreme_sorted_have_no_gold(tmp_path: Path) -> None:
    (tmp_path / "de-en.de").write_text("Ja.\nNein.\n")
    (tmp_path / "de-en.en").write_text("No.\nYes.\n")
    bitext = read_tatoeba(tmp_path, "test", "de")
    assert (bitext.source, bitext.target, bitext.gold) == (("Ja.", "Nein."), ("No.", "Yes."), None)
    (tmp_path / "tatoeba.deu-eng.deu").write_text("Ja.\nNein.\n")
    (tmp_path / "tatoeba.deu-eng.eng").write_text("Yes.\nNo.\n")
    bitext = read_tatoeba(tmp_path, "test", "de")
    assert bitext.gold == (("0", "0"), ("1", "1"))
    assert xtreme_order(bitext.target) == [1, 0]


@given(st.lists(st.text(max_size=3)))
def test_the_order_of_xtreme_sorts_stripped_sentences_and_keeps_equals_in_order(sentences: list[str]) -> None:
    order = xtreme_order(sentences)
    assert [(sentences[row].strip(), row) for row in order] == sorted(
        (text.strip(), row) for row, text in enumerate(sentences)
    )


def test_the_order_of_xtreme_is_that_of_its_published_labels(real_data: Path) -> None:
    english = read_tatoeba(real_data / "tatoeba", "test", "de").target
    assert xtreme_order(english)[:5] == [367, 258, 374, 529, 528]  # the first of its scorer's own test labels


def test_simulated_language_keeps_its_code(tmp_path: Path) -> None:
    (tmp_path / "tatoeba.qaa-eng.qaa").write_text("ba\n")
    (tmp_path / "tatoeba.qaa-eng.eng").write_text("yes\n")
    assert read_tatoeba(tmp_path, "test", "qaa").source == ("ba",)


def test_tatoeba_sides_of_different_length_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tatoeba.deu-eng.deu").write_text("Ja.\n")
    (tmp_path / "tatoeba.deu-eng.eng").write_text("Yes.\nNo.\n")
    with pytest.raises(UserError, match=r"deu:1: tatoeba\.deu-eng\.deu has 1 lines, tatoeba\.deu-eng\.eng has 2"):
        read_tatoeba(tmp_path, "test", "de")


@pytest.mark.parametrize("side", ["deu", "eng"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": file is empty"),
        ("a\n\n", ":2: an empty sentence cannot be searched for"),
        ("a\n \u3000\nb\n", ":2: an empty sentence cannot be searched for"),
        ("a\n" + "b" * LONGEST_SENTENCE, ":2: 100,000 characters are no sentence"),
        ("a\nb\nc\n", ":2: tatoeba.deu-eng.deu has"),
    ],
)
def test_a_side_of_tatoeba_that_cannot_be_searched_is_refused_with_its_line(
    tmp_path: Path, side: str, content: str, message: str
) -> None:
    for name in ("deu", "eng"):
        (tmp_path / f"tatoeba.deu-eng.{name}").write_text(content if name == side else "x\ny\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_tatoeba(tmp_path, "test", "de")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_long_sentence_is_still_one(tmp_path: Path) -> None:
    for side in ("deu", "eng"):
        (tmp_path / f"tatoeba.deu-eng.{side}").write_text("a" * (LONGEST_SENTENCE - 1) + "\n")
    assert len(read_tatoeba(tmp_path, "test", "de").source[0]) == LONGEST_SENTENCE - 1


def test_one_file_may_be_both_sides(tmp_path: Path) -> None:
    (tmp_path / "side").write_text("1\ta\n2\tb\n")
    (tmp_path / "gold").write_text("1\t2\n")
    bitext = read_comparable(tmp_path / "side", tmp_path / "side", tmp_path / "gold")
    assert (bitext.source, bitext.gold) == (bitext.target, (("1", "2"),))


def test_the_36_languages_have_36_codes() -> None:
    assert len({iso_639_3(language) for language in TATOEBA_LANGUAGES}) == 36


@pytest.mark.parametrize(("split", "name"), [("dev", "dev"), ("dev", "sample"), ("test", "test"), ("test", "training")])
def test_bucc_is_found_under_both_names(tmp_path: Path, split: str, name: str) -> None:
    write_bucc(tmp_path, name, "zh-1\t是\nzh-2\t否\n", "en-9\tyes\n", "zh-1\ten-9\n")
    assert read_bucc2018(tmp_path, split, "zh") == Bitext(
        ("是", "否"), ("yes",), ("zh-1", "zh-2"), ("en-9",), (("zh-1", "en-9"),)
    )


def test_bucc_is_read_from_the_shared_tasks_archives(tmp_path: Path) -> None:
    texts = {"sample": "是", "training": "否"}
    for name, text in texts.items():
        folder = tmp_path / "unpacked" / "bucc2018" / "zh-en"
        folder.mkdir(parents=True)
        write_bucc(folder, name, f"zh-1\t{text}\n", "en-9\tyes\n", "zh-1\ten-9\n")
        with tarfile.open(tmp_path / f"bucc2018-zh-en.{name}-gold.tar.bz2", "w:bz2") as archive:
            archive.add(tmp_path / "unpacked" / "bucc2018", "bucc2018")
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    assert read_bucc2018(tmp_path, "dev", "zh") == Bitext(("是",), ("yes",), ("zh-1",), ("en-9",), (("zh-1", "en-9"),))
    assert read_bucc2018(tmp_path, "test", "zh").source == ("否",)


def test_bucc_without_gold_has_none(tmp_path: Path) -> None:
    write_bucc(tmp_path, "test", "zh-1\t是\n", "en-9\tyes\n", None)
    assert read_bucc2018(tmp_path, "test", "zh").gold is None


@pytest.mark.parametrize(
    ("source", "gold", "message"),
    [
        ("zh-1\ta\nzh-1\tb\n", "zh-1\ten-9\n", "zh-en.dev.zh:2: id 'zh-1' occurs twice"),
        ("zh-1\ta\nzh-2\n", "zh-1\ten-9\n", "zh-en.dev.zh:2: 1 columns. Expected, tab-separated: id text"),
        ("zh-1\ta\n", "zh-1\ten-9\nzh-2\ten-9\n", "zh-en.dev.gold:2: gold id 'zh-2' is not in zh-en.dev.zh"),
        ("zh-1\ta\n", "zh-1\ten-8\n", "zh-en.dev.gold:1: gold id 'en-8' is not in zh-en.dev.en"),
        ("zh-1\ta\n", "zh-1\ten-9\nzh-1\ten-9\n", "zh-en.dev.gold:2: gold pair 'zh-1', 'en-9' occurs twice"),
        ("zh-1\ta\n", "", "zh-en.dev.gold: file is empty"),
        ("", "zh-1\ten-9\n", "zh-en.dev.zh: file is empty"),
        ("zh-1\ta\n\n", "zh-1\ten-9\n", "zh-en.dev.zh:2: a blank line"),
        ("zh-1\ta\nzh-2\t \n", "zh-1\ten-9\n", "zh-en.dev.zh:2: an empty sentence cannot be searched for"),
        (f"zh-1\t{'a' * LONGEST_SENTENCE}\n", "zh-1\ten-9\n", "zh-en.dev.zh:1: 100,000 characters are no sentence"),
    ],
)
def test_bad_bucc_file_names_its_line(tmp_path: Path, source: str, gold: str, message: str) -> None:
    write_bucc(tmp_path, "dev", source, "en-9\tyes\n", gold)
    with pytest.raises(UserError) as caught:
        read_bucc2018(tmp_path, "dev", "zh")
    assert message in str(caught.value)


def test_published_tatoeba_has_the_published_counts(real_data: Path) -> None:
    present = [lang for lang in TATOEBA_LANGUAGES if list((real_data / "tatoeba").glob(f"*.{iso_639_3(lang)}*"))]
    assert len(present) == 26
    sizes = {lang: len(read_tatoeba(real_data / "tatoeba", "test", lang).source) for lang in present}
    assert sizes == {lang: PUBLISHED_PAIRS.get(lang, 1000) for lang in present}


def test_published_bucc_has_the_published_counts(real_data: Path) -> None:
    bitext = read_bucc2018(real_data / "bucc2018", "dev", "zh")
    assert (len(bitext.source), len(bitext.target), len(bitext.gold or ())) == (8624, 13589, 257)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_file_gives_a_bitext_or_a_user_error(tmp_path: Path, data: st.DataObject) -> None:
    write_bucc(tmp_path, "dev", "zh-1\ta\nzh-2\tb\n", "en-9\tyes\n", "zh-1\ten-9\n")
    suffix = data.draw(st.sampled_from(["zh", "en", "gold"]))
    content = bytearray((tmp_path / f"zh-en.dev.{suffix}").read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.sampled_from(b"\t\n\r1a\xff"))
    (tmp_path / f"zh-en.dev.{suffix}").write_bytes(content)
    message = ""
    try:
        bitext = read_bucc2018(tmp_path, "dev", "zh")
    except UserError as error:
        message = str(error)
    assert (
        "zh-en.dev." in message
        if message
        else all(a in bitext.source_ids and b in bitext.target_ids for a, b in bitext.gold or ())
    )
