from __future__ import annotations

import io
import shutil
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dist_stilts.errors import UserError
from dist_stilts.tasks.files import exists
from dist_stilts.tasks.languages import XTREME_LANGUAGES
from dist_stilts.tasks.read_conllu import UPOS_TAGS
from dist_stilts.tasks.read_tags import (
    PANX_TAGS,
    UDPOS_HUB_NAMES,
    UDPOS_LANGUAGES,
    find_panx,
    find_udpos,
    panx_from_hub,
    read_panx,
    read_udpos,
    udpos_from_hub,
)
from dist_stilts.tasks.spec import TaggedRow

PUBLISHED = "af:Pous\tB-PER\naf:Romanus\tI-PER\naf:.\tO\n\naf::\tO\naf:\tI-LOC\n\n"
ROWS = [
    TaggedRow("dev-0", "dev-0", ("Pous", "Romanus", "."), ("B-PER", "I-PER", "O")),
    TaggedRow("dev-1", "dev-1", (":", ""), ("O", "I-LOC")),
]


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


def test_treebanks_stand_in_for_files_that_xtreme_would_write(tmp_path: Path) -> None:
    treebank = tmp_path / "ud" / "UD_Thai-PUD" / "th_pud-ud-test.conllu"
    treebank.parent.mkdir(parents=True)
    treebank.write_text("1\tคำ\t_\tNOUN\t_\t_\t0\troot\t_\t_\n\n", encoding="utf-8")
    (tmp_path / "udpos").mkdir()
    row = TaggedRow("test-0", "test-0", ("คำ",), ("NOUN",))
    for folder in ("udpos", "ud"):
        assert find_udpos(tmp_path / folder, "test", "th") == [treebank]
        assert list(read_udpos(tmp_path / folder, "test", "th")) == [row]
    assert not exists(find_udpos(tmp_path / "udpos", "dev", "th")[0])
    (tmp_path / "udpos" / "test-th.tsv").write_text("other\tX\n")
    assert find_udpos(tmp_path / "udpos", "test", "th") == [tmp_path / "udpos" / "test-th.tsv"]


def test_the_tags_are_the_seventeen_of_universal_dependencies_in_order() -> None:
    assert len(UPOS_TAGS) == 17
    assert list(UPOS_TAGS) == sorted(UPOS_TAGS)


def test_every_language_has_a_name_on_the_hub() -> None:
    assert len(set(UDPOS_HUB_NAMES.values())) == len(UDPOS_LANGUAGES) == 33
    assert (UDPOS_HUB_NAMES["en"], UDPOS_HUB_NAMES["zh"], UDPOS_HUB_NAMES["et"]) == ("English", "Chinese", "Estonian")


def test_hub_row_of_parts_of_speech() -> None:
    record = {"tokens": ["The", "end"], "pos_tags": [5, 7]}
    assert udpos_from_hub(3, record, "dev") == TaggedRow("dev-3", "dev-3", ("The", "end"), ("DET", "NOUN"))
    assert udpos_from_hub(3, {"tokens": [], "pos_tags": []}, "dev") is None


def test_published_english_training_set_has_the_published_count(real_data: Path) -> None:
    rows = [row for row in read_udpos(real_data / "udpos", "train", "en") if isinstance(row, TaggedRow)]
    assert len(rows) == 21_253
    assert sum(len(row.words) for row in rows) == 375_194
    assert {tag for row in rows for tag in row.tags} == set(UPOS_TAGS)


def pack_panx(folder: Path) -> None:
    """The publishers' archive of archives."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as inner:
        info = tarfile.TarInfo("dev")
        info.size = len(PUBLISHED.encode())
        inner.addfile(info, io.BytesIO(PUBLISHED.encode()))
    with zipfile.ZipFile(folder / "AmazonPhotos.zip", "w") as outer:
        outer.writestr("panx_dataset/af.tar.gz", packed.getvalue())


@pytest.mark.parametrize("layout", ["xtreme", "unpacked", "renamed", "tar", "zip"])
def test_entities_are_read_in_every_layout(tmp_path: Path, layout: str) -> None:
    (tmp_path / "af").mkdir()
    if layout == "xtreme":
        (tmp_path / "dev-af.tsv").write_text(PUBLISHED.replace("af:", ""))
    elif layout == "unpacked":
        (tmp_path / "af" / "dev").write_text(PUBLISHED, newline="\r\n")
    elif layout == "renamed":
        (tmp_path / "af-dev").write_text(PUBLISHED)
    else:
        pack_panx(tmp_path)
        if layout == "tar":
            with zipfile.ZipFile(tmp_path / "AmazonPhotos.zip") as outer:
                (tmp_path / "af.tar.gz").write_bytes(outer.read("panx_dataset/af.tar.gz"))
            (tmp_path / "AmazonPhotos.zip").unlink()
    assert list(read_panx(tmp_path, "dev", "af")) == ROWS


def test_a_word_that_looks_like_a_prefix_stays_in_files_without_prefixes(tmp_path: Path) -> None:
    (tmp_path / "dev-af.tsv").write_text("af:x\tO\n")
    assert next(read_panx(tmp_path, "dev", "af")).words == ("af:x",)


def test_hub_row_of_entities_equals_the_row_of_the_published_file(tmp_path: Path) -> None:
    (tmp_path / "dev-af.tsv").write_text(PUBLISHED.replace("af:", ""))
    record = {"tokens": ["Pous", "Romanus", "."], "ner_tags": [1, 2, 0], "langs": ["af"] * 3}
    assert panx_from_hub(0, record, "dev") == next(read_panx(tmp_path, "dev", "af"))


def test_a_file_without_official_split_is_split_by_its_words_alone(tmp_path: Path) -> None:
    sentences = [f"w{number}\tO\n\n" for number in range(2000)]
    (tmp_path / "de.tsv").write_text("".join(sentences))
    parts = {split: list(read_panx(tmp_path, split, "de")) for split in ("train", "dev", "test")}
    words = [row.words for rows in parts.values() for row in rows]
    assert len(words) == len(set(words)) == 2000
    shares = {split: len(rows) / 2000 for split, rows in parts.items()}
    assert shares == pytest.approx({"train": 0.6, "dev": 0.2, "test": 0.2}, abs=0.04)
    (tmp_path / "de.tsv").write_text("".join(reversed(sentences)))
    for split, rows in parts.items():
        assert {row.words for row in read_panx(tmp_path, split, "de")} == {row.words for row in rows}


@pytest.mark.parametrize(
    ("line", "message"),
    [("af:x\tB-MISC", "unknown tag 'B-MISC'"), ("af:x", "1 columns"), ("af:x\tO\tO", "3 columns")],
)
def test_bad_entity_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "af-dev").write_text(PUBLISHED + line + "\n")
    with pytest.raises(UserError) as caught:
        list(read_panx(tmp_path, "dev", "af"))
    assert f"af-dev:8: {message}" in str(caught.value)


def test_the_original_archives_of_all_languages_are_read_as_they_are(tmp_path: Path, real_data: Path) -> None:
    counts = Counter[str]()
    for language in XTREME_LANGUAGES:
        shutil.copy(real_data / "hf_dummy" / f"PAN-X.{language}.zip", tmp_path)
    for language in XTREME_LANGUAGES:
        for split in ("train", "dev", "test"):
            for row in read_panx(tmp_path, split, language):
                counts[language] += 1
                assert set(row.tags) <= set(PANX_TAGS)
                assert not any(word.startswith(f"{language}:") for word in row.words)
    assert len(counts) == 40


def test_real_entities_are_all_on_one_side(real_data: Path) -> None:
    folder = real_data / "panx"
    languages = [language for language in XTREME_LANGUAGES if exists(find_panx(folder, "dev", language)[0])]
    assert len(languages) == 30
    for language in languages:
        ids = [row.id.split("-")[1] for split in ("train", "dev", "test") for row in read_panx(folder, split, language)]
        assert sorted(map(int, ids)) == list(range(len(ids)))
        assert 93 <= len(ids) <= 899


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_file_gives_rows_or_a_user_error(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(PUBLISHED.encode())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
        content[place] = data.draw(st.sampled_from(b"\t\n\rO:\x00\xff"))
    (tmp_path / "af-dev").write_bytes(content)
    message = ""
    try:
        rows = list(read_panx(tmp_path, "dev", "af"))
    except UserError as error:
        message = str(error)
    assert "af-dev:" in message if message else all(len(row.words) == len(row.tags) > 0 for row in rows)
