from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from task_files import CCG, FUSED, PANX, conllu, refusal, tarred, write, zipped

from dist_stilts.tasks.files import exists
from dist_stilts.tasks.read_ccg import read_ccg
from dist_stilts.tasks.read_conllu import NO_TAG, NO_TEXT, UPOS_TAGS, read_treebanks, treebank_files
from dist_stilts.tasks.read_tags import UDPOS_HUB_NAMES, UDPOS_LANGUAGES, find_udpos, read_panx, read_udpos
from dist_stilts.tasks.spec import Quirk, TaggedRow

PANX_ROWS = [
    TaggedRow("dev-0", "dev-0", ("Pous", "Romanus", "."), ("B-PER", "I-PER", "O")),
    TaggedRow("dev-1", "dev-1", (":", ""), ("O", "I-LOC")),
]


def test_blank_lines_part_sentences_and_words_stay_as_published(tmp_path: Path) -> None:
    write(tmp_path, {"dev-hi.tsv": "\r\n\r\na\u200d\tNOUN\r\n \tX\r\n\r\n\r\n\r\n.\tPUNCT"})
    assert list(read_udpos(tmp_path, "dev", "hi")) == [
        TaggedRow("dev-0", "dev-0", ("a\u200d", " "), ("NOUN", "X")),
        TaggedRow("dev-1", "dev-1", (".",), ("PUNCT",)),
    ]


def test_treebanks_stand_in_for_files_that_xtreme_would_write(tmp_path: Path) -> None:
    treebank = tmp_path / "ud" / "UD_Thai-PUD" / "th_pud-ud-test.conllu"
    write(tmp_path, {"ud/UD_Thai-PUD/th_pud-ud-test.conllu": conllu("1", "คำ", "NOUN") + "\n"})
    (tmp_path / "udpos").mkdir()
    row = TaggedRow("test-0", "test-0", ("คำ",), ("NOUN",))
    for folder in ("udpos", "ud"):
        assert find_udpos(tmp_path / folder, "test", "th") == [treebank]
        assert list(read_udpos(tmp_path / folder, "test", "th")) == [row]
    assert not exists(find_udpos(tmp_path / "udpos", "dev", "th")[0])
    write(tmp_path, {"udpos/test-th.tsv": "other\tX\n"})
    assert find_udpos(tmp_path / "udpos", "test", "th") == [tmp_path / "udpos" / "test-th.tsv"]


def test_tags_and_names_of_languages_are_those_of_universal_dependencies() -> None:
    assert len(UPOS_TAGS) == 17
    assert list(UPOS_TAGS) == sorted(UPOS_TAGS)
    assert len(set(UDPOS_HUB_NAMES.values())) == len(UDPOS_LANGUAGES) == 33
    assert (UDPOS_HUB_NAMES["en"], UDPOS_HUB_NAMES["zh"], UDPOS_HUB_NAMES["et"]) == ("English", "Chinese", "Estonian")


@pytest.mark.parametrize("layout", ["xtreme", "unpacked", "renamed", "tar", "zip"])
def test_entities_are_read_in_every_layout(tmp_path: Path, layout: str) -> None:
    """The publishers have an archive of archives."""
    packed = tarred({"dev": PANX})
    name, content = {
        "xtreme": ("dev-af.tsv", PANX.replace("af:", "")),
        "unpacked": ("af/dev", PANX.replace("\n", "\r\n")),
        "renamed": ("af-dev", PANX),
        "tar": ("af.tar.gz", packed),
        "zip": ("AmazonPhotos.zip", zipped({"panx_dataset/af.tar.gz": packed})),
    }[layout]
    assert list(read_panx(write(tmp_path, {name: content}), "dev", "af")) == PANX_ROWS
    (row,) = read_panx(write(tmp_path / "no prefixes", {"dev-af.tsv": "af:x\tO\n"}), "dev", "af")
    assert row.words == ("af:x",), "a word that looks like a prefix"


def test_a_file_without_official_split_is_split_by_its_words_alone(tmp_path: Path) -> None:
    sentences = [f"w{number}\tO\n\n" for number in range(2000)]
    write(tmp_path, {"de.tsv": "".join(sentences)})
    parts = {split: list(read_panx(tmp_path, split, "de")) for split in ("train", "dev", "test")}
    words = [row.words for rows in parts.values() for row in rows]
    assert len(words) == len(set(words)) == 2000
    shares = {split: len(rows) / 2000 for split, rows in parts.items()}
    assert shares == pytest.approx({"train": 0.6, "dev": 0.2, "test": 0.2}, abs=0.04)
    write(tmp_path, {"de.tsv": "".join(reversed(sentences))})
    for split, rows in parts.items():
        assert {row.words for row in read_panx(tmp_path, split, "de")} == {row.words for row in rows}


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("folder", ["", "pmb-4.0.0"])
def test_meaning_bank_is_read_with_its_documents_as_groups(tmp_path: Path, folder: str, language: str) -> None:
    write(tmp_path / folder, {f"{language}/gold/dev.conll": CCG})
    assert list(read_ccg(tmp_path, "dev", language)) == [
        TaggedRow("dev-0", "p00/d0712", ("Anna Smith", "#"), ("n", "s\\np")),
        TaggedRow("dev-1", "p00/d0712", ("Ja",), ("s:intj",)),
        TaggedRow("dev-2", "p01/d0001", ("Nein",), ("s:intj",)),
    ]


@pytest.mark.parametrize("name", ["ccg.dev", "dev.tsv"])
def test_lines_of_tokens_and_supertags_are_read(tmp_path: Path, name: str) -> None:
    write(tmp_path, {name: "The end .\tNP/N N .\nGo !\tS[b] .\n"})
    assert list(read_ccg(tmp_path, "dev", "en")) == [
        TaggedRow("dev-0", "dev-0", ("The", "end", "."), ("NP/N", "N", ".")),
        TaggedRow("dev-1", "dev-1", ("Go", "!"), ("S[b]", ".")),
    ]
    assert "de/gold/dev.conll: no such file" in refusal(read_ccg, tmp_path, "dev", "de")


def treebank(
    folder: Path, text: str, name: str = "de_gsd-ud-dev.conllu", language: str = "de"
) -> list[TaggedRow | Quirk]:
    return list(read_treebanks([write(folder, {name: text}) / name], "dev", language))


@pytest.mark.parametrize(
    ("parts", "language", "tag"),
    [
        ([("DET", "3", "_"), ("NOUN", "1", "_")], "de", "NOUN"),  # the part closest to the root
        ([("DET", "1", "_"), ("ADP", "1", "_")], "de", "ADP"),  # among equals ADP goes before DET
        ([("ADJ", "1", "_"), ("ADJ", "1", "_")], "de", "ADJ"),
        ([("NOUN", "1", "_"), ("AUX", "1", "_")], "de", "NOUN"),
        ([("NOUN", "1", "_"), ("AUX", "1", "_")], "es", "AUX"),  # Spanish has no NOUN in its list: it comes last
        ([("SYM", "1", "_"), ("PUNCT", "1", "_")], "de", "PUNCT"),
        ([("VERB", "1", "1:conj|3:x"), ("DET", "1", "1:det")], "de", "DET"),  # an enhanced head is one more ancestor
        ([("VERB", "1", "5.1:conj"), ("DET", "1", "_")], "de", "VERB"),  # but not an empty node
        ([("VERB", "3", "_"), ("DET", "2", "_")], "de", "VERB"),  # heads in a circle
    ],
)
def test_the_head_of_a_fused_form_gives_its_tag(
    tmp_path: Path, parts: list[tuple[str, str, str]], language: str, tag: str
) -> None:
    """A part is tag, head and enhanced heads; word 1 is the root."""
    lines = [conllu("1", "root", "X"), conllu(f"2-{len(parts) + 1}", "fused", "_", "_")]
    lines += [conllu(str(number), "part", *part) for number, part in enumerate(parts, start=2)]
    assert treebank(tmp_path, "".join(lines), language=language) == [
        TaggedRow("dev-0", "dev-0", ("root", "fused"), ("X", tag))
    ]


def test_empty_nodes_are_left_out_and_zero_width_non_joiners_and_spaces_taken_out_of_words(tmp_path: Path) -> None:
    tags = ("PRON", "VERB", "ADP", "NOUN")
    assert treebank(tmp_path, FUSED) == [TaggedRow("dev-0", "dev-0", ("Er", "geht", "zum", "Haus"), tags)]
    assert treebank(tmp_path, conllu("1", "می\u200cرود", "VERB") + conllu("2", "1 000", "NUM", "1")) == [
        TaggedRow("dev-0", "dev-0", ("میرود", "1000"), ("VERB", "NUM"))
    ]


def test_withheld_sentences_are_left_out_and_counted(tmp_path: Path) -> None:
    withheld = conllu("1", "_", "NOUN") + "\n"
    almost = conllu("1", "_", "NOUN") + conllu("2", ".", "PUNCT", "1") + "\n"
    one_word = conllu("1", "_", "NOUN") + conllu("2", "a", "DET", "1") + conllu("3", "b", "DET", "1") + "\n"
    untagged = conllu("1", "a", "_") + conllu("2", "b", "X", "1") + conllu("3", "b", "X", "1")
    assert treebank(tmp_path, withheld + almost + withheld + untagged + "\n" + one_word) == [
        *[Quirk(NO_TEXT)] * 3,
        Quirk(NO_TAG),
        TaggedRow("dev-0", "dev-0", ("_", "a", "b"), ("NOUN", "DET", "DET")),
    ]


def test_only_parallel_treebanks_share_groups_between_languages(tmp_path: Path) -> None:
    for name, group in (("de_pud-ud-test.conllu", "pud-n01001"), ("de_gsd-ud-test.conllu", "dev-0")):
        (row,) = treebank(tmp_path, FUSED, name)
        assert isinstance(row, TaggedRow)
        assert (row.id, row.group) == ("dev-0", group)


def test_all_treebanks_of_a_language_are_found_in_the_order_of_their_names(tmp_path: Path) -> None:
    order = ["de_gsd-ud-test.conllu.gz", "de_hdt-ud-test-a-1.conllu", "de_lit-ud-test.conllu"]
    folders = dict(zip(order, ("UD_German-GSD", "UD_German-HDT", "UD_German-LIT"), strict=True))
    others = {"de_gsd-ud-dev.conllu": "UD_German-GSD", "da_ddt-ud-test.conllu": "UD_Danish-DDT"}
    others["dede_x-ud-test.conllu"] = "UD_Old_Dedean-X"
    content = {".gz": gzip.compress(FUSED.encode())}
    files = {
        f"ud-treebanks-v2.5/{folder}/{name}": content.get(Path(name).suffix, FUSED)
        for name, folder in {**folders, **others}.items()
    }
    write(tmp_path, files)
    found = treebank_files([tmp_path], "test", "de")
    assert [path.name for path in found] == order
    rows = [row for row in read_treebanks(found, "test", "de") if isinstance(row, TaggedRow)]
    assert [row.id for row in rows] == ["test-0", "test-1", "test-2"]
    write(tmp_path / "other", {"ud-treebanks-v2.5.tgz": tarred(files)})
    packed = treebank_files([tmp_path / "other"], "test", "de")
    assert [path.name for path in packed] == order
    assert list(read_treebanks(packed, "test", "de")) == rows
