"""CoNLL and IOB files as users have them, and the scheme of their tags."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from task_files import refusal, write

from dist_stilts.tasks.iob import IOB1, IOB2, NO_CHUNKS, UNCLEAR, Scheme, to_iob2
from dist_stilts.tasks.read_own import OwnTask, own_spec
from dist_stilts.tasks.spec import Quirk, Row, TaggedRow

CONLL2003 = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP I-ORG\nrejects VBZ B-VP O\n\nGerman JJ B-NP I-MISC\ncall NN I-NP O\n"


def read(root: Path, content: Any, name: str = "a.conll", split: str = "train", **entry: Any) -> list[Row | Quirk]:
    write(root, {name: content})
    spec = own_spec("mine", OwnTask("token", {split: name}, **entry))
    assert spec.read
    return list(spec.read(root, split, "en"))


def sentences(root: Path, content: Any, **more: Any) -> list[tuple[tuple[str, ...], tuple[str, ...] | None]]:
    return [(row.words, row.tags) for row in read(root, content, **more) if isinstance(row, TaggedRow)]


@pytest.mark.parametrize(
    ("content", "more"),
    [
        ("Jean B-PER\nlives O\n\nRome B-LOC\n", {}),
        ("\ufeffJean\tB-PER\r\nlives\tO\r\n\r\n\r\nRome\tB-LOC", {"name": "a.iob2"}),
        (gzip.compress(b"Jean  B-PER\nlives  O \n \nRome  B-LOC\n", mtime=0), {"name": "a.bio.gz"}),
        ("# one\nJean B-PER\nlives O\n-DOCSTART- O\nRome B-LOC\n\n", {"name": "a.txt"}),
        ("1 Jean B-PER x\n2 lives O x\n\n1 Rome B-LOC x\n", {"name": "eng.train", "columns": {"words": 1, "tags": 2}}),
        ("# id 7\tdomain=x\nJean\tB-PER\nlives\tO\n\n# id 8\tdomain=x\nRome\tB-LOC\n", {}),
        ("# text = Jean lives\nJean B-PER\nlives O\n\n# x\nRome B-LOC\n", {}),
    ],
)
def test_columns_of_words_and_tags_are_sentences(tmp_path: Path, content: Any, more: dict[str, Any]) -> None:
    assert read(tmp_path, content, **more) == [
        TaggedRow("train-0", "train-0", ("Jean", "lives"), ("B-PER", "O")),
        TaggedRow("train-1", "train-1", ("Rome",), ("B-LOC",)),
    ]


def test_a_word_may_begin_with_a_hash_hold_a_no_break_space_or_nothing_that_shows(tmp_path: Path) -> None:
    tweets = "# O\nBrexit B-EVENT\n\n#Brexit B-EVENT\nnow O\n\n# not-a-tag\nyes O\n"
    assert sentences(tmp_path, tweets) == [
        (("#", "Brexit"), ("O", "B-EVENT")),
        (("#Brexit", "now"), ("B-EVENT", "O")),
        (("yes",), ("O",)),
    ]
    assert sentences(tmp_path, "a\u00a0b O\n\u200b O\n") == [(("a\u00a0b", "\u200b"), ("O", "O"))]


def test_only_a_test_file_may_lack_tags(tmp_path: Path) -> None:
    words = "Jean\nlives\n\n#Rome\n"
    assert sentences(tmp_path, words, split="test") == [(("Jean", "lives"), None), (("#Rome",), None)]
    assert "a.conll:1: 1 column, and no tag" in refusal(read, tmp_path, words)


def test_older_and_finer_schemes_become_iob2_and_this_is_counted(tmp_path: Path) -> None:
    rows = read(tmp_path, CONLL2003)
    assert rows.count(Quirk("IOB1 tags read as IOB2")) == 2
    assert sentences(tmp_path, CONLL2003)[0] == (("EU", "rejects"), ("B-ORG", "O"))
    finer = "New B-LOC\nYork E-LOC\nRome S-LOC\nParis S-LOC\n"
    assert sentences(tmp_path, finer) == [(("New", "York", "Rome", "Paris"), ("B-LOC", "I-LOC", "B-LOC", "B-LOC"))]
    assert read(tmp_path, finer)[0] == Quirk("IOBES tags read as IOB2")
    said = refusal(lambda: read(tmp_path, CONLL2003, labels=["O", "I-ORG", "I-MISC"]))
    assert "unknown tag 'B-ORG'. List it under labels: tags are read as IOB2" in said


def scheme(*tagged: str) -> str:
    found = Scheme()
    for tags in tagged:
        found.add(tags.split())
    return found.name


@pytest.mark.parametrize(
    ("tagged", "name"),
    [
        (["O O", "DET NOUN"], NO_CHUNKS),
        (["B-NP NOUN"], NO_CHUNKS),
        (["O O"], NO_CHUNKS),
        (["B-A I-A O", "B-A B-A"], IOB2),
        (["I-A I-A O"], IOB1),
        (["I-A B-A O I-B"], IOB1),
        (["I-A I-B"], IOB1),
        (["O I-A", "B-A O"], UNCLEAR),
        (["B-A E-A O S-B"], "IOBES"),
        (["B-A I-A L-A U-A"], "BILOU"),
        (["B-A M-A E-A S-A"], "BMES"),
        (["B-A M-A E-A W-A"], "BMEWO"),
        (["I-A E-A"], "IOE"),
        (["B-A E-A L-A"], NO_CHUNKS),
    ],
)
def test_a_scheme_is_what_all_sentences_of_a_file_have_in_common(tagged: list[str], name: str) -> None:
    assert scheme(*tagged) == name


def test_tags_of_no_one_scheme_and_of_no_scheme_stay_and_the_first_are_counted(tmp_path: Path) -> None:
    mixed = "a I-PER\nb O\n\nc B-PER\nd O\n"
    assert [row.tags for row in read(tmp_path, mixed) if isinstance(row, TaggedRow)] == [("I-PER", "O"), ("B-PER", "O")]
    assert len([row for row in read(tmp_path, mixed) if isinstance(row, Quirk)]) == 1
    assert sentences(tmp_path, "The DET\nend NOUN\n") == [(("The", "end"), ("DET", "NOUN"))]


@given(st.lists(st.sampled_from(["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in "XY")]), max_size=8))
def test_conversion_keeps_the_chunks(tags: list[str]) -> None:
    converted = to_iob2(tags)
    assert get_entities(converted) == get_entities(tags)
    assert to_iob2(converted) == converted
    assert scheme(" ".join(converted)) in (IOB2, NO_CHUNKS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a O\nb X O\n", "a.conll:2: 3 columns, 2 in the lines above"),
        ("a\tO\nb O\n", "a.conll:2: 1 columns, 2 in the lines above"),
        ("a\tO\n\tO\n", "a.conll:2: a tag without a word"),
        ("a\tO\nb\t\n", "a.conll:2: a word without a tag"),
        ("\n\n# only this\n", "a.conll:1: no rows"),
        ("", "a.conll: file is empty"),
    ],
)
def test_a_line_that_is_no_word_and_tag_is_named(tmp_path: Path, content: str, said: str) -> None:
    assert said in refusal(read, tmp_path, content)


def test_columns_are_numbers_of_columns_that_are_there(tmp_path: Path) -> None:
    assert "a.conll:1: 2 columns, and no tag" in refusal(lambda: read(tmp_path, "a O\n", columns={"tags": 3}))
    assert "a.conll:1: no column 2: 2 columns" in refusal(lambda: read(tmp_path, "a O\n", columns={"words": 2}))
    for columns in ({"words": "tokens"}, {"words": 0, "tags": "ner"}, {"id": 0}, {"words": True}):
        said = refusal(lambda columns=columns: read(tmp_path, "a O\n", columns=columns))
        assert "own_tasks.mine.columns" in said
        assert "{words: 0, tags: 3}" in said
