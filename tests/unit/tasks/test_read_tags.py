from __future__ import annotations

from pathlib import Path

import pytest

from dist_stilts.errors import UserError
from dist_stilts.tasks.read_tags import UPOS_TAGS, read_udpos
from dist_stilts.tasks.spec import TaggedRow


def test_blank_lines_part_sentences_and_words_stay_as_published(tmp_path: Path) -> None:
    (tmp_path / "dev-hi.tsv").write_text("\n\na\u200d\tNOUN\n \tX\n\n\n\n.\tPUNCT", encoding="utf-8", newline="\r\n")
    assert list(read_udpos(tmp_path, "dev", "hi")) == [
        TaggedRow("dev-0", "dev-0", ("a\u200d", " "), ("NOUN", "X")),
        TaggedRow("dev-1", "dev-1", (".",), ("PUNCT",)),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("word", "1 columns. Expected, tab-separated: token tag"),
        (" ", "1 columns"),
        ("word\tNOUN\tmore", "3 columns"),
        ("word\tNOUNS", "unknown tag 'NOUNS'. did you mean 'NOUN'?"),
        ("word\t", "unknown tag ''. known: ADJ, ADP"),
        ("word\t" + "x" * 10_000, "unknown tag 'xxxx"),
    ],
)
def test_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "dev-en.tsv").write_text(f"The\tDET\n{line}\n")
    with pytest.raises(UserError) as caught:
        list(read_udpos(tmp_path, "dev", "en"))
    assert f"dev-en.tsv:2: {message}" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_tags_are_the_seventeen_of_universal_dependencies_in_order() -> None:
    assert len(UPOS_TAGS) == 17
    assert list(UPOS_TAGS) == sorted(UPOS_TAGS)


def test_published_english_training_set_has_the_published_count(real_data: Path) -> None:
    rows = list(read_udpos(real_data / "udpos", "train", "en"))
    assert len(rows) == 21_253
    assert sum(len(row.words) for row in rows) == 375_194
    assert {tag for row in rows for tag in row.tags} == set(UPOS_TAGS)
