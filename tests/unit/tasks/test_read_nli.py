from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dist_stilts.errors import UserError
from dist_stilts.tasks.read_nli import mnli_from_hub, read_mnli, read_xnli, xnli_from_hub
from dist_stilts.tasks.spec import PairRow

THREE = "P one\tH a\tneutral\nP one\tH b\tcontradictory\nP one\tH c\tentailment\n"


def write_mnli(folder: Path, *records: dict[str, Any]) -> None:
    (folder / "multinli_1.0_train.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def pair(**changes: Any) -> dict[str, Any]:
    return {
        "gold_label": "neutral",
        "sentence1": "P",
        "sentence2": "H",
        "pairID": "31193n",
        "promptID": "31193",
    } | changes


def test_mnli_row_keeps_the_publishers_ids_and_groups_by_prompt(tmp_path: Path) -> None:
    write_mnli(tmp_path, pair(), pair(gold_label="-", pairID="1c"), pair(gold_label="entailment", pairID="31193e"))
    assert list(read_mnli(tmp_path, "train", "en")) == [
        PairRow("31193n", "31193", "P", "H", "neutral"),
        PairRow("31193e", "31193", "P", "H", "entailment"),
    ]


def test_mnli_row_without_ids_is_named_by_its_place(tmp_path: Path) -> None:
    bare = {"gold_label": "neutral", "sentence1": "P", "sentence2": "H"}
    write_mnli(tmp_path, bare | {"gold_label": "-"}, bare)
    assert list(read_mnli(tmp_path, "train", "en")) == [PairRow("train-1", "train-1", "P", "H", "neutral")]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (pair(pairID="2", gold_label="neutrl"), "unknown label 'neutrl'. did you mean 'neutral'?"),
        (pair(pairID="2", sentence2=None), "no text under the key 'sentence2'"),
        (pair(pairID="2", sentence1="half \ud83d"), "'sentence1' holds half a surrogate pair"),
        (pair(pairID="2", promptID=7), "no text under the key 'promptID'"),
        (pair(), "id '31193n' occurs twice"),
    ],
)
def test_bad_mnli_row_names_its_line(tmp_path: Path, record: dict[str, Any], message: str) -> None:
    write_mnli(tmp_path, pair(), record)
    with pytest.raises(UserError) as caught:
        list(read_mnli(tmp_path, "train", "en"))
    assert f"multinli_1.0_train.jsonl:2: {message}" in str(caught.value)


def test_xnli_rows_of_one_premise_share_a_group(tmp_path: Path) -> None:
    (tmp_path / "dev-en.tsv").write_text(THREE + THREE.replace("one", "two"), newline="\r\n")
    rows = list(read_xnli(tmp_path, "dev", "en"))
    assert rows[1] == PairRow("dev-1", "dev-0", "P one", "H b", "contradiction")
    assert [row.group for row in rows] == ["dev-0"] * 3 + ["dev-1"] * 3


def test_one_premise_translated_twice_leaves_the_groups_alone(tmp_path: Path) -> None:
    text = THREE + THREE.replace("one", "two") + THREE.replace("one", "three")
    (tmp_path / "dev-en.tsv").write_text(text)
    (tmp_path / "dev-de.tsv").write_text(text.replace("P one", "P  one", 1).replace("P two", "Another two", 1))
    english, german = (list(read_xnli(tmp_path, "dev", language)) for language in ("en", "de"))
    assert [row.group for row in german] == [row.group for row in english]
    assert len({row.group for row in german}) == 3


@pytest.mark.parametrize("text", [THREE + "Q\tH\tneutral\n", THREE.replace("P one\tH b", "Q\tH b")])
def test_rows_that_do_not_come_in_threes_are_groups_of_their_own(tmp_path: Path, text: str) -> None:
    (tmp_path / "train-en.tsv").write_text(text)
    rows = list(read_xnli(tmp_path, "train", "en"))
    assert [row.group for row in rows] == [row.id for row in rows]


@pytest.mark.parametrize("name", ["test-de.labels.txt", "test.labels.txt"])
def test_labels_kept_apart_are_joined_to_the_test_rows(tmp_path: Path, name: str) -> None:
    (tmp_path / "test-de.tsv").write_text("P\tH\nP\tI\n")
    assert [row.label for row in read_xnli(tmp_path, "test", "de")] == [None, None]
    (tmp_path / name).write_text("neutral\nentailment\n")
    assert [row.label for row in read_xnli(tmp_path, "test", "de")] == ["neutral", "entailment"]


@pytest.mark.parametrize(
    ("split", "text", "labels", "message"),
    [
        (
            "dev",
            "P\tH\tneutral\nP\tH\n",
            None,
            "dev-en.tsv:2: 2 columns. Expected, tab-separated: premise hypothesis label",
        ),
        ("dev", "P\tH\tneutral\n\n", None, "dev-en.tsv:2: a blank line"),
        ("dev", "P\tH\tNeutral\n", None, "dev-en.tsv:1: unknown label 'Neutral'. did you mean 'neutral'?"),
        ("test", "P\tH\nP\tH\tneutral\n", None, "test-en.tsv:2: 3 columns"),
        ("test", "P\tH\nP\tH\n", "neutral\n", "test.labels.txt:1: 1 labels for the 2 rows of test-en.tsv"),
        ("test", "P\tH\n", "maybe\n", "test.labels.txt:1: unknown label 'maybe'. known: contradiction"),
        ("test", "P\tH\tneutral\n", "entailment\n", "test-en.tsv:1: label 'neutral' here, 'entailment' in the file of"),
    ],
)
def test_bad_xnli_file_names_its_line(tmp_path: Path, split: str, text: str, labels: str | None, message: str) -> None:
    (tmp_path / f"{split}-en.tsv").write_text(text)
    if labels:
        (tmp_path / "test.labels.txt").write_text(labels)
    with pytest.raises(UserError) as caught:
        list(read_xnli(tmp_path, split, "en"))
    assert message in str(caught.value)


def test_hub_row_equals_the_row_of_the_published_file(tmp_path: Path) -> None:
    (tmp_path / "dev-en.tsv").write_text(THREE)
    write_mnli(tmp_path, pair())
    record = {"premise": "P one", "hypothesis": "H b", "label": 2}
    assert xnli_from_hub(1, record, "dev") == list(read_xnli(tmp_path, "dev", "en"))[1]
    record = {"premise": "P", "hypothesis": "H", "label": 1, "pairID": "31193n", "promptID": 31193}
    assert mnli_from_hub(0, record, "train") == next(read_mnli(tmp_path, "train", "en"))
    assert mnli_from_hub(0, record | {"label": -1}, "train") is None


def test_published_xnli_has_the_published_counts(real_data: Path) -> None:
    languages = ["ar", "de", "el", "en", "es", "fr", "hi", "ru", "th", "tr", "vi", "zh"]
    for split, count, codes in (("dev", 2490, languages), ("test", 5010, ["ar", "de", "en", "zh"])):
        groups = set()
        for language in codes:
            rows = list(read_xnli(real_data / "xnli", split, language))
            assert Counter(row.label for row in rows) == dict.fromkeys(
                ("contradiction", "entailment", "neutral"), count // 3
            )
            assert rows[4].group == f"{split}-1"
            groups.add(tuple(row.group for row in rows))
        assert len(groups) == 1
