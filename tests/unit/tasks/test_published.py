"""Data sets as they are published are read as they are, and have the counts that their publishers state."""

from __future__ import annotations

import shutil
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dist_stilts.tasks.files import exists
from dist_stilts.tasks.languages import XTREME_LANGUAGES, languages
from dist_stilts.tasks.read_bitext import TATOEBA_LANGUAGES, iso_639_3, xtreme_order
from dist_stilts.tasks.read_conllu import UPOS_TAGS, read_treebanks, treebank_files
from dist_stilts.tasks.read_tags import PANX_TAGS, find_panx, read_panx
from dist_stilts.tasks.read_xcopa import XCOPA_LANGUAGES
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import available_languages, load_bitext, load_rows
from dist_stilts.tasks.spec import ChoiceRow, PairRow, Quirk, SpanRow, TaggedRow

BEGUN_IN_HELLASWAG = 3243 - 2
"""Of the published validation set those from ActivityNet; two end in a quotation mark and look finished."""
PUBLISHED_PAIRS = {"jv": 205, "te": 234, "ta": 307, "sw": 390, "th": 548, "kk": 575, "ml": 687, "ka": 746}


@cache
def read(root: Path, task: str, split: str, language: str = "en") -> list[Any]:
    """The rows and quirks of a published file; those that several tests look at are read once."""
    spec = get_task(task)
    assert spec.read
    return list(spec.read(root / task, split, language))


XNLI_LANGUAGES = languages("ar de el en es fr hi ru th tr vi zh")
THREE_LABELS = ("contradiction", "entailment", "neutral")


@pytest.mark.parametrize(
    ("task", "split", "language", "labels", "groups"),
    [
        ("cosmosqa", "dev", "en", {0: 744, 1: 729, 2: 761, 3: 751}, 2445),
        ("hellaswag", "dev", "en", {0: 2515, 1: 2485, 2: 2584, 3: 2458}, None),
        ("commonsenseqa", "test", "en", {None: 1140}, None),
        ("snli", "dev", "en", dict(zip(THREE_LABELS, (3278, 3329, 3235), strict=True)), 3319),
        ("anli", "dev", "en", dict(zip(THREE_LABELS, (1062, 1070, 1066), strict=True)), 2841),
        ("pawsx", "test", "de", {"0": 1105, "1": 895}, None),
        *(("xnli", "dev", code, dict.fromkeys(THREE_LABELS, 830), 830) for code in XNLI_LANGUAGES),
        *(("xnli", "test", code, dict.fromkeys(THREE_LABELS, 1670), 1670) for code in languages("ar de en zh")),
    ],
)
def test_labels_and_groups_are_as_many_as_published(
    real_data: Path, task: str, split: str, language: str, labels: dict[Any, int], groups: int | None
) -> None:
    rows = [row for row in read(real_data, task, split, language) if not isinstance(row, Quirk)]
    assert Counter(row.label for row in rows) == labels
    assert len({row.id for row in rows}) == len(rows)
    assert groups in (None, len({row.group for row in rows}))


def test_commonsenseqa_has_five_choices_and_begun_sentences_of_hellaswag_go_with_its_endings(real_data: Path) -> None:
    found = {split: read(real_data, "commonsenseqa", split) for split in ("train", "dev", "test")}
    assert {split: len(rows) for split, rows in found.items()} == {"train": 9741, "dev": 1221, "test": 1140}
    assert {len(row.choices) for rows in found.values() for row in rows} == {5}
    assert {row.label for row in found["dev"]} == {0, 1, 2, 3, 4}
    rows = read(real_data, "hellaswag", "dev")
    begun = sum(row.prompt[-1] in ".!?" and len({choice.split()[0] for choice in row.choices}) == 1 for row in rows)
    assert begun >= BEGUN_IN_HELLASWAG


def test_contexts_of_anli_are_its_groups(real_data: Path) -> None:
    rows = read(real_data, "anli", "dev")
    assert len({row.text_a for row in rows}) == len({row.group for row in rows})


def test_groups_of_xnli_are_parallel_and_never_cross_a_cut(real_data: Path) -> None:
    xnli = get_task("xnli")
    for split, codes in (("dev", available_languages(xnli, real_data, "dev")), ("test", languages("ar de en zh"))):
        groups = {code: [row.group for row in read(real_data, "xnli", split, code)] for code in codes}
        assert all(found == groups["en"] for found in groups.values())
        assert groups["en"][4] == f"{split}-1"
    below, above = (
        {row.group for row in load_rows(xnli, real_data, part, "en")} for part in ("dev[:60%]", "dev[60%:]")
    )
    assert not below & above
    assert below | above == {row.group for row in read(real_data, "xnli", "dev")}
    for code in ("de", "zh"):
        assert {row.group for row in load_rows(xnli, real_data, "dev[60%:]", code)} == above


@pytest.mark.parametrize(("split", "count"), [("dev", 100), ("test", 500)])
def test_languages_of_xcopa_are_parallel_and_their_questions_mended(real_data: Path, split: str, count: int) -> None:
    asked, mended = set(), Counter[str]()
    for language in XCOPA_LANGUAGES:
        rows = read(real_data, "xcopa", split, language)
        items = [row for row in rows if isinstance(row, ChoiceRow)]
        assert len(items) == len({row.group for row in items}) == count
        asked.add(tuple((row.group, row.prompt.rpartition(" ")[2], row.label) for row in items))
        mended[language] = len(rows) - count
    assert len(asked) == 1
    assert not any(mended[language] for language in ("et", "ht", "qu", "ta", "vi", "zh"))
    assert mended["th"] == {"dev": 52, "test": 250}[split]


def test_sentences_of_pawsx_that_were_not_translated_are_counted_and_gold_is_the_english_one(real_data: Path) -> None:
    gold = {}
    for language, count in {"de": 68, "en": 0, "es": 38, "fr": 8, "ko": 35, "zh": 16}.items():
        rows = read(real_data, "pawsx", "dev", language)
        quirks = [row.what for row in rows if isinstance(row, Quirk)]
        assert quirks == ["sentence not translated ('NS'), row kept"] * count
        pairs = [row for row in rows if not isinstance(row, Quirk)]
        assert [row.id for row in pairs] == [f"dev-{number}" for number in range(2000)]
        assert not any(text.startswith('"""') for row in pairs for text in (row.text_a, row.text_b))
        gold[language] = {row.id: row.label for row in pairs if "NS" not in (row.text_a, row.text_b)}
    assert all(labels.items() <= gold["en"].items() for labels in gold.values())


@pytest.mark.parametrize(
    ("task", "split", "counts", "english_groups"),
    [
        ("squad_v1", "dev", {"en": 2910}, 646),
        ("squad_v2", "dev", {"en": 6078}, 646),
        ("xquad", "test", dict.fromkeys(languages("en ar de es hi ru tr vi zh"), 1190), 240),
        ("mlqa", "dev", {"en": 1148, "ar": 517, "de": 512, "zh": 504}, 978),
        ("tydiqa", "train", {"en": 3696, "sw": 2755}, 3429),
        ("tydiqa", "test", {"en": 440, "bn": 113, "fi": 782, "sw": 499}, 429),
    ],
)
def test_questions_are_as_many_as_published_and_no_span_is_bad(
    real_data: Path, task: str, split: str, counts: dict[str, int], english_groups: int
) -> None:
    groups: dict[str, set[str]] = {}
    for language, count in counts.items():
        found = read(real_data, task, split, language)
        rows = [row for row in found if isinstance(row, SpanRow)]
        assert len(rows) == len({row.id for row in rows}) == count
        assert len(found) - count == (count if (task, split) == ("tydiqa", "train") else 0)
        # XTREME withholds the gold of TyDiQA's test files.
        assert {row.answers is None for row in rows} == {(task, split) == ("tydiqa", "test")}
        for row in rows:
            assert all(row.context[answer.start :].startswith(answer.text) for answer in row.answers or ())
        assert sum(row.answers == () for row in rows) == (3168 if task == "squad_v2" else 0)
        groups[language] = {row.group for row in rows}
    assert len(groups["en"]) == english_groups
    if task in ("xquad", "mlqa"):
        assert all(found <= groups["en"] for found in groups.values())


def test_the_meaning_bank_has_its_categories_and_parallel_documents(real_data: Path) -> None:
    keys = [(split, language) for language in ("en", "de") for split in ("train", "dev", "test")]
    rows = {key: read(real_data, "ccg", *key) for key in keys}
    assert [len(found) for found in rows.values()] == [7745, 1174, 1053, 1741, 559, 547]
    assert len({tag for row in rows["train", "en"] for tag in row.tags}) == 294
    assert not any("~" in word for found in rows.values() for row in found for word in row.words)
    english, german = ({row.group for row in rows["train", language]} for language in ("en", "de"))
    assert len(english & german) > 500


@pytest.mark.parametrize(
    ("split", "language", "sentences", "words"),
    [
        ("train", "ta", 400, 5734),
        ("train", "te", 1051, 5082),
        ("train", "kk", 31, 511),
        ("dev", "ta", 80, 1129),
        ("dev", "te", 131, 662),
    ],
)
def test_treebanks_give_xtremes_words_and_tags(
    real_data: Path, split: str, language: str, sentences: int, words: int
) -> None:
    ours = list(read_treebanks(treebank_files([real_data / "ud"], split, language), split, language))
    assert ours == read(real_data, "udpos", split, language)
    assert len(ours) == sentences
    assert sum(len(row.words) for row in ours if isinstance(row, TaggedRow)) == words


def test_english_parts_of_speech_are_as_many_as_published(real_data: Path) -> None:
    rows = [row for row in read(real_data, "udpos", "train") if isinstance(row, TaggedRow)]
    assert (len(rows), sum(len(row.words) for row in rows)) == (21_253, 375_194)
    assert {tag for row in rows for tag in row.tags} == set(UPOS_TAGS)


def test_parallel_treebanks_have_a_thousand_sentences_in_the_same_groups(real_data: Path) -> None:
    groups = set()
    for language in languages("ar de en es fi fr hi id it ja ko pt ru th tr zh"):
        (path,) = treebank_files([real_data / "ud" / "pud"], "test", language)
        rows = [row for row in read_treebanks([path], "test", language) if isinstance(row, TaggedRow)]
        assert len(rows) == len({row.group for row in rows}) == 1000
        groups.add(frozenset(row.group for row in rows))
    assert len(groups) == 1


def test_entities_are_all_on_one_side_of_the_split(real_data: Path) -> None:
    found = [code for code in XTREME_LANGUAGES if exists(find_panx(real_data / "panx", "dev", code)[0])]
    assert len(found) == 30
    for code in found:
        rows = [row for split in ("train", "dev", "test") for row in read(real_data, "panx", split, code)]
        ids = [row.id.split("-")[1] for row in rows]
        assert sorted(map(int, ids)) == list(range(len(ids)))
        assert 93 <= len(ids) <= 899


def test_text_is_found_for_every_language(real_data: Path) -> None:
    mlm = get_task("mlm").read
    assert mlm
    sizes = {len(list(mlm(real_data / "udhr", "train", language))) for language in XTREME_LANGUAGES}
    assert sizes <= {48, 49, 50}


def test_bitexts_are_as_long_as_published_and_sorted_as_xtreme_sorts_them(real_data: Path) -> None:
    task = get_task("tatoeba")
    present = [code for code in TATOEBA_LANGUAGES if list((real_data / "tatoeba").glob(f"*.{iso_639_3(code)}*"))]
    assert len(present) == 26
    found = {code: load_bitext(task, real_data, "test", code) for code in present}
    assert {code: len(bitext.source) for code, bitext in found.items()} == {
        code: PUBLISHED_PAIRS.get(code, 1000) for code in present
    }
    # The first of its scorer's own test labels.
    assert xtreme_order(found["de"].target)[:5] == [367, 258, 374, 529, 528]
    bucc = load_bitext(get_task("bucc2018"), real_data, "dev", "zh")
    assert (len(bucc.source), len(bucc.target), len(bucc.gold or ())) == (8624, 13589, 257)


ARCHIVES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("multi_nli", "mnli", "en", {"train": [2, 1, 1, 1, 2], "dev": [2, 0, 1, 0, 0]}),
    ("glue_mnli", "mnli", "en", {"train": [2, 1, 1], "dev": [2, 0]}),
    ("snli", "snli", "en", {"train": [2, 0, 1], "dev": [2, 1], "test": [2]}),
    ("anli", "anli", "en", {"train": [1, 2, 2, *[1] * 6], "dev": [0, 1, 0, 2, 2, 0, 1, 1, 1]}),
    ("anli", "anli", "en", {"test": [*[1] * 4, 2, *[1] * 4]}),
    *(("xnli", "xnli", code, {"train": [2, 1, 1, 1], "dev": [2], "test": [0]}) for code in ("en", "ar", "sw", "zh")),
    ("glue_qqp", "qqp", "en", {"train": ["0", "1", "0"], "dev": ["0", "0"], "test": [None]}),
    ("paws-x_de", "pawsx", "de", {"train": [*"0101"], "dev": [*"1111"], "test": [*"1001"]}),
    ("commonsense_qa", "commonsenseqa", "en", {"train": [1, 0, 0, 2, 1], "dev": [0, 0], "test": [None, None]}),
    ("cosmos_qa", "cosmosqa", "en", {"train": [1, 0], "dev": [1, 0], "test": [None, None]}),
    ("hellaswag", "hellaswag", "en", {"train": [3, 3], "dev": [3, 3], "test": [None, None]}),
]
"""Archive below ``hf_dummy``, task, language and labels; of inference by their number."""


@pytest.mark.parametrize(("archive", "task", "language", "labels"), ARCHIVES)
@pytest.mark.parametrize("unpacked", [False, True])
def test_an_original_archive_is_read_as_it_is(
    tmp_path: Path,
    real_data: Path,
    archive: str,
    task: str,
    language: str,
    labels: dict[str, list[Any]],
    unpacked: bool,
) -> None:
    source = real_data / "hf_dummy" / f"{archive}.zip"
    if unpacked:
        shutil.unpack_archive(source, tmp_path)
    else:
        shutil.copy(source, tmp_path)
    read_task = get_task(task).read
    assert read_task
    for split, expected in labels.items():
        rows: list[Any] = list(read_task(tmp_path, split, language))
        assert [row.label for row in rows] == [THREE_LABELS[at] if task.endswith("nli") else at for at in expected]
        assert all(row.text_a and row.text_b for row in rows if isinstance(row, PairRow))
        if archive == "hellaswag" and split == "dev":
            assert [row.id for row in rows] == ["dev-24", "dev-92"]
            assert rows[0].choices[3] == "he starts pulling up roofing on a roof."


def test_the_original_archives_of_entities_are_read_as_they_are(tmp_path: Path, real_data: Path) -> None:
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
