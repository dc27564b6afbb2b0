"""Rows that are not simply a file of their own: translations, composite tasks, open labels, what the Hub mixes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from task_files import anli, commonsenseqa, mnli, refusal, write

from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.rows_json import row_to_json
from dist_stilts.tasks.sources import available_languages, file_digests, is_available, load_rows, stream_rows, task
from dist_stilts.tasks.spec import ChoiceRow, TaggedRow

Hub = Callable[[Any], list[Any]]
CSQA, PLUS = get_task("commonsenseqa"), get_task("anli_plus")


def question(number: int, stem: str) -> dict[str, Any]:
    record = commonsenseqa(f"q{number}")
    return record | {"question": record["question"] | {"stem": stem}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """CommonsenseQA in English, in German as ``translate`` writes it, and in French in its own layout."""
    german = [ChoiceRow(f"q{n}", f"q{n}", f"warum {n}?", ("eins", "zwei"), 1) for n in range(40)]
    files = {
        "train.jsonl": [question(n, f"why {n}?") for n in range(40)],
        "translated/train-de.jsonl": [row_to_json(row) for row in german],
        "fr/train.jsonl": [question(n, f"pourquoi {n} ?") for n in range(40)],
    }
    write(tmp_path / "commonsenseqa", files)
    return tmp_path


def test_a_language_chooses_the_translation_of_an_english_task_with_the_same_rows_and_digests_of_its_own(
    root: Path,
) -> None:
    for language, prompt in (("en", "why 0?"), ("de", "warum 0?"), ("fr", "pourquoi 0 ?")):
        assert getattr(load_rows(CSQA, root, "train", language)[0], "prompt", "") == prompt
    ids = [[row.id for row in load_rows(CSQA, root, "train[:50%]", language)] for language in ("en", "de", "fr")]
    assert ids[0] == ids[1] == ids[2]
    assert 0 < len(ids[0]) < 40
    found = {language: file_digests(CSQA, root, "train", language) for language in ("en", "de", "fr")}
    assert list(found["de"]) == ["commonsenseqa/translated/train-de.jsonl"]
    assert len({tuple(each.values()) for each in found.values()}) == 3


def test_a_language_without_translation_is_never_english_in_disguise(root: Path) -> None:
    said = refusal(load_rows, CSQA, root, "train", "sw")
    assert "commonsenseqa train for 'sw' is not on disk: " in said
    assert "translated/train-sw.jsonl" in said
    assert not is_available(CSQA, root, "train", "sw")
    assert is_available(CSQA, root, "train", "de")
    assert available_languages(CSQA, root, "train") == ["en"], "all languages: the publishers', no translations"


@pytest.fixture
def nli(tmp_path: Path) -> Path:
    """Dev of SNLI, MNLI and ANLI, a few rows each, one MNLI row without gold."""
    labels = ("neutral", "-", "contradiction")
    files = {
        "snli/s1.dev": "a\nb\n",
        "snli/s2.dev": "c\nd\n",
        "snli/labels.dev": "neutral\nentailment\n",
        "mnli/multinli_1.0_dev_matched.jsonl": [mnli(gold_label=label, pairID=label) for label in labels],
        **{f"anli/R{number}/dev.jsonl": [anli(f"u{number}", f"c{number}")] for number in (1, 2, 3)},
    }
    return write(tmp_path, files)


def test_a_composite_task_has_the_rows_of_its_parts_in_order_or_says_which_is_missing(nli: Path) -> None:
    quirks: Counter[str] = Counter()
    rows = list(stream_rows(PLUS, nli, "dev", "en", quirks))
    parts = [row for name in PLUS.parts for row in load_rows(get_task(name), nli, "dev", "en")]
    assert len(rows) == len(parts) == 7
    assert [getattr(row, "label", "") for row in rows] == [getattr(row, "label", "") for row in parts]
    assert len({row.id for row in rows}) == 7
    assert sum(quirks.values()) == 1
    assert set(file_digests(PLUS, nli, "dev", "en")) >= {"anli/R1/dev.jsonl", "snli/s1.dev"}
    (nli / "mnli/multinli_1.0_dev_matched.jsonl").unlink()
    assert not is_available(PLUS, nli, "dev", "en")
    assert "mnli dev for 'en' is not on disk" in refusal(load_rows, PLUS, nli, "dev", "en")


def test_open_labels_are_those_of_the_english_training_rows(tmp_path: Path) -> None:
    write(tmp_path, {"ccg/ccg.train": "the cat\tnp/n n\nit sleeps\tnp s\\np\n", "ccg/ccg.dev": "cats\tN_UNSEEN\n"})
    spec = task("ccg", tmp_path)
    assert spec.labels == ("n", "np", "np/n", "s\\np")
    (row,) = load_rows(spec, tmp_path, "dev", "en")
    assert isinstance(row, TaggedRow)
    assert row.tags == ("N_UNSEEN",)
    write(tmp_path, {"ccg/ccg.train": "cats\tN\n"})
    assert task("ccg", tmp_path).labels == ("N",)


def test_english_tydiqa_on_the_hub_is_english_only_and_parts_of_speech_have_english_names(hub: Hub) -> None:
    answers = {"text": ["cat"], "answer_start": [4]}
    rows = [
        {"id": f"{name}-{number}-0", "title": "t", "context": "the cat", "question": "who?", "answers": answers}
        for number, name in enumerate(["english", "swahili", "english", "korean"])
    ]
    asked = hub(rows)
    found = load_rows(get_task("tydiqa"), None, "train", "en")
    assert [names for names, _ in asked] == [("google/xtreme", "tydiqa")]
    assert [row.id for row in found] == ["english-0-0", "english-2-0"]
    asked = hub([{"tokens": ["a"], "pos_tags": [8]}])
    load_rows(get_task("udpos"), None, "dev", "de")
    assert [names for names, _ in asked] == [("google/xtreme", "udpos.German")]


def test_rows_without_gold_on_the_hub_are_counted(hub: Hub) -> None:
    row = {"pairID": "1", "promptID": "1", "premise": "a", "hypothesis": "b", "label": 1}
    hub([row, {**row, "label": -1}])
    quirks: Counter[str] = Counter()
    assert len(list(stream_rows(get_task("mnli"), None, "dev", "en", quirks))) == 1
    assert sum(quirks.values()) == 1


@pytest.mark.parametrize(("name", "language"), [("commonsenseqa", "de"), ("xcopa", "en"), ("mnli", "fr")])
def test_a_language_that_the_hub_does_not_have_is_refused_and_never_another(hub: Hub, name: str, language: str) -> None:
    asked = hub([])
    assert f"{name} has no language '{language}'" in refusal(load_rows, get_task(name), None, "dev", language)
    assert not asked
