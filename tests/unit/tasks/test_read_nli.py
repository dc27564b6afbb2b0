from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from task_files import anli, mnli, to_csv, write

from dist_stilts.tasks.read_nli import find_anli, find_snli, read_anli, read_mnli, read_snli
from dist_stilts.tasks.read_xnli import read_xnli
from dist_stilts.tasks.spec import PairRow, Quirk

NO_GOLD = Quirk("no gold label (annotators did not agree), row left out")
THREE = "P one\tH a\tneutral\nP one\tH b\tcontradictory\nP one\tH c\tentailment\n"


def test_mnli_row_keeps_the_publishers_ids_and_groups_by_prompt_or_is_named_by_its_place(tmp_path: Path) -> None:
    records = [mnli(), mnli(gold_label="-", pairID="1c"), mnli(gold_label="entailment", pairID="31193e")]
    write(tmp_path, {"multinli_1.0_train.jsonl": records})
    assert list(read_mnli(tmp_path, "train", "en")) == [
        PairRow("31193n", "31193", "P", "H", "neutral"),
        NO_GOLD,
        PairRow("31193e", "31193", "P", "H", "entailment"),
    ]
    bare = {"gold_label": "neutral", "sentence1": "P", "sentence2": "H"}
    write(tmp_path, {"multinli_1.0_train.jsonl": [bare | {"gold_label": "-"}, bare]})
    assert list(read_mnli(tmp_path, "train", "en")) == [NO_GOLD, PairRow("train-1", "train-1", "P", "H", "neutral")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "multinli_1.0/multinli_1.0_dev_matched.txt",
            "gold_label\tsentence1\tsentence2\tpromptID\tpairID\tgenre\tlabel1\tlabel2\n"
            'neutral\t"P\tH\t7\t7n\tslate\tneutral\tneutral\n-\tP\tI\t7\t7e\tslate\tneutral\n',
        ),
        (
            "MNLI/dev_matched.tsv",
            "index\tpromptID\tpairID\tsentence1\tsentence2\tlabel1\tgold_label\n"
            '0\t7\t7n\t"P\tH\tneutral\tneutral\n1\t7\t7e\tP\tI\tneutral\t-\n',
        ),
    ],
)
def test_text_and_table_give_the_rows_of_the_json_lines(tmp_path: Path, name: str, text: str) -> None:
    rows = list(read_mnli(write(tmp_path, {name: text}), "dev", "en"))
    assert rows == [PairRow("7n", "7", '"P', "H", "neutral"), NO_GOLD]


SNLI = [
    dict(zip(("gold_label", "sentence1", "sentence2", "captionID", "pairID", "label1"), row, strict=True))
    for row in (
        ("neutral", "P", "H", "1.jpg#0", "1.jpg#0r1n", "neutral"),
        ("-", "P", "I", "1.jpg#0", "1.jpg#0r1e", "neutral"),
        ("entailment", "Q", "H", "2.jpg#3", "2.jpg#3r1e", "entailment"),
        ("contradiction", "Q", "J", "2.jpg#3", "2.jpg#3r1c", "contradiction"),
    )
]
NAMED = "1.jpg#0r1n 1.jpg#0 2.jpg#3r1e 2.jpg#3 2.jpg#3r1c 2.jpg#3"
ALIGNED = {
    f"{name}.dev": "".join(f"{row[column]}\n" for row in SNLI)
    for name, column in (("labels", "gold_label"), ("s1", "sentence1"), ("s2", "sentence2"))
}


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"snli_1.0_dev.jsonl": SNLI}, NAMED),
        ({"snli_1.0_dev.txt": to_csv(*SNLI, separator="\t")}, NAMED),
        (ALIGNED, "dev-0 dev-0 dev-2 dev-2 dev-3 dev-2"),
    ],
    ids=["jsonl", "txt", "aligned"],
)
def test_snli_has_the_same_pairs_in_every_layout(tmp_path: Path, files: dict[str, Any], names: str) -> None:
    first, quirk, *rows = read_snli(write(tmp_path, files), "dev", "en")
    ids, groups = names.split()[::2], names.split()[1::2]
    assert quirk == NO_GOLD
    assert [first, *rows] == [
        PairRow(ids[0], groups[0], "P", "H", "neutral"),
        PairRow(ids[1], groups[1], "Q", "H", "entailment"),
        PairRow(ids[2], groups[2], "Q", "J", "contradiction"),
    ]


def test_all_files_of_a_set_are_asked_for(tmp_path: Path) -> None:
    write(tmp_path, {"s1.dev": "P\n", "R1/dev.jsonl": [anli("a")]})
    assert [path.name for path in find_snli(tmp_path, "dev", "en")] == ["s1.dev", "s2.dev", "labels.dev"]
    assert find_anli(tmp_path, "dev", "en") == [tmp_path / f"R{number}/dev.jsonl" for number in (1, 2, 3)]


@pytest.mark.parametrize("place", [".", "anli_v0.1"])
def test_anli_rounds_come_in_order_and_share_the_groups_of_their_contexts(tmp_path: Path, place: str) -> None:
    rounds = [anli("a"), anli("b", "D", label="n")], [anli("c")], [anli("d", "D", label="c"), anli("e")]
    write(tmp_path / place, {f"R{number}/dev.jsonl": records for number, records in enumerate(rounds, start=1)})
    assert list(read_anli(tmp_path, "dev", "en")) == [
        PairRow("a", "a", "C", "H", "entailment"),
        PairRow("b", "b", "D", "H", "neutral"),
        PairRow("c", "a", "C", "H", "entailment"),
        PairRow("d", "b", "D", "H", "contradiction"),
        PairRow("e", "a", "C", "H", "entailment"),
    ]


def test_xnli_rows_of_one_premise_share_a_group_if_they_come_in_threes(tmp_path: Path) -> None:
    write(tmp_path, {"dev-en.tsv": (THREE + THREE.replace("one", "two")).replace("\n", "\r\n")})
    rows = list(read_xnli(tmp_path, "dev", "en"))
    assert rows[1] == PairRow("dev-1", "dev-0", "P one", "H b", "contradiction")
    assert [row.group for row in rows] == ["dev-0"] * 3 + ["dev-1"] * 3
    for text in (THREE + "Q\tH\tneutral\n", THREE.replace("P one\tH b", "Q\tH b")):
        rows = list(read_xnli(write(tmp_path, {"train-en.tsv": text}), "train", "en"))
        assert [row.group for row in rows] == [row.id for row in rows]


def test_one_premise_translated_twice_leaves_the_groups_alone(tmp_path: Path) -> None:
    text = THREE + THREE.replace("one", "two") + THREE.replace("one", "three")
    german = text.replace("P one", "P  one", 1).replace("P two", "Another two", 1)
    write(tmp_path, {"dev-en.tsv": text, "dev-de.tsv": german})
    english, translated = ([row.group for row in read_xnli(tmp_path, "dev", code)] for code in ("en", "de"))
    assert translated == english
    assert len(set(translated)) == 3


@pytest.mark.parametrize("layout", ["tsv", "jsonl"])
def test_xnli_release_gives_each_language_the_rows_of_its_plain_file(tmp_path: Path, layout: str) -> None:
    triple = [("P", "H", "neutral"), ("P", "I", "contradiction"), ("P", "J", "entailment")]
    german, english = [("de", *row) for row in triple], ("en", "E", "F", "neutral")
    records = [
        {"language": code, "gold_label": label, "sentence1": premise, "sentence2": hypothesis, "promptID": "1"}
        for code, premise, hypothesis, label in [*german, english, *german]
    ]
    content = to_csv(*records, separator="\t") if layout == "tsv" else records
    write(tmp_path, {f"release/XNLI-1.0/xnli.test.{layout}": content})
    write(tmp_path, {"test-de.tsv": "".join("\t".join(row) + "\n" for row in triple * 2)})
    rows = list(read_xnli(tmp_path / "release", "test", "de"))
    assert rows == list(read_xnli(tmp_path, "test", "de"))
    assert rows[4] == PairRow("test-4", "test-1", "P", "I", "contradiction")
    assert len(list(read_xnli(tmp_path / "release", "test", "en"))) == 1
    assert list(read_xnli(tmp_path / "release", "test", "sw")) == []


def test_machine_translated_training_files_are_parallel_to_the_english_one(tmp_path: Path) -> None:
    files = {
        "train-en.tsv": "P\tH\tneutral\nQ\tI\tcontradiction\n",
        "multinli.train.de.tsv": "premise\thypo\tlabel\nPd\tHd\tneutral\nQd\tId\tcontradictory\n",
        "translate-train/en-fr-translated.tsv": 'P\tH\t"Pf\tHf\tneutral\nQ\tI\tQf\tIf\tcontradictory\n',
    }
    write(tmp_path, files)
    english, german, french = (list(read_xnli(tmp_path, "train", language)) for language in ("en", "de", "fr"))
    assert german[1] == PairRow("train-1", "train-1", "Qd", "Id", "contradiction")
    assert french[0] == PairRow("train-0", "train-0", '"Pf', "Hf", "neutral")
    for rows in (german, french):
        assert [(row.id, row.group, row.label) for row in rows] == [(row.id, row.group, row.label) for row in english]


@pytest.mark.parametrize("name", ["test-de.labels.txt", "test.labels.txt"])
def test_labels_kept_apart_are_joined_to_the_test_rows(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"test-de.tsv": "P\tH\nP\tI\n"})
    assert [row.label for row in read_xnli(tmp_path, "test", "de")] == [None, None]
    write(tmp_path, {name: "neutral\nentailment\n"})
    assert [row.label for row in read_xnli(tmp_path, "test", "de")] == ["neutral", "entailment"]
