"""A row of the Hub is the row of the published file, and a withheld gold label is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from task_files import COSMOS, PANX, PAWSX_HEADER, QQP_HEADER, anli, commonsenseqa, hellaswag, mnli, write, xcopa

from dist_stilts.tasks.read_nli import snli_from_hub
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import load_rows
from dist_stilts.tasks.spec import PairRow, TaggedRow

CHOICES = {"label": ["A", "B"], "text": ["red", "blue"]}
CSQA = {"id": "q1", "question": "The sky is?", "choices": CHOICES, "answerKey": "B"}
MNLI = {"premise": "P", "hypothesis": "H", "label": 1, "pairID": "31193n", "promptID": 31193}
QQP = {"question1": "c", "question2": "d", "label": 1, "idx": 1}
PAWSX = {"id": 6, "sentence1": "c", "sentence2": "d", "label": 1}
ENTITIES = {"tokens": ["Pous", "Romanus", "."], "ner_tags": [1, 2, 0], "langs": ["af"] * 3}
THREE = "P one\tH a\tneutral\nP one\tH b\tcontradictory\nP one\tH c\tentailment\n"


def from_hub(task: str, number: int, record: dict[str, Any], split: str) -> Any:
    hub = get_task(task).hub
    assert hub
    return hub.to_row(number, record, split)


@pytest.mark.parametrize(
    ("task", "split", "language", "file", "content", "number", "record"),
    [
        ("commonsenseqa", "train", "en", "train.jsonl", [commonsenseqa()], 0, CSQA),
        ("cosmosqa", "dev", "en", "valid.jsonl", [COSMOS | {"label": 1}], 0, COSMOS | {"label": 1}),
        ("hellaswag", "dev", "en", "hellaswag_val.jsonl", [hellaswag()], 0, hellaswag(label="3")),
        ("xcopa", "dev", "et", "val.et.jsonl", [xcopa()], 0, xcopa()),
        ("mnli", "train", "en", "multinli_1.0_train.jsonl", [mnli()], 0, MNLI),
        ("xnli", "dev", "en", "dev-en.tsv", THREE, 1, {"premise": "P one", "hypothesis": "H b", "label": 2}),
        ("qqp", "dev", "en", "dev.tsv", f"{QQP_HEADER}7\t1\t2\ta\tb\t0\n8\t1\t2\tc\td\t1\n", 1, QQP),
        ("pawsx", "dev", "de", "de/dev_2k.tsv", f"{PAWSX_HEADER}4\ta\tb\t0\n6\tc\td\t1\n", 1, PAWSX),
        ("panx", "dev", "af", "dev-af.tsv", PANX.replace("af:", ""), 0, ENTITIES),
    ],
)
def test_a_row_of_the_hub_is_that_of_the_published_file(
    tmp_path: Path, task: str, split: str, language: str, file: str, content: Any, number: int, record: dict[str, Any]
) -> None:
    spec = get_task(task)
    write(tmp_path / spec.folders[0], {file: content})
    assert from_hub(task, number, record, split) == load_rows(spec, tmp_path, split, language)[number]


def test_rounds_of_anli_are_groups_of_their_own_on_the_hub(tmp_path: Path) -> None:
    write(tmp_path / "anli", {f"R{number}/dev.jsonl": [anli("uvw"[number - 1])] for number in (1, 2, 3)})
    (ours, *_) = load_rows(get_task("anli"), tmp_path, "dev", "en")
    theirs = from_hub("anli", 0, {"uid": "u", "premise": "C", "hypothesis": "H", "label": 0, "reason": ""}, "dev")
    assert isinstance(ours, PairRow)
    assert theirs == PairRow("u", theirs.group, ours.text_a, ours.text_b, ours.label)


def test_parts_of_speech_on_the_hub() -> None:
    record = {"tokens": ["The", "end"], "pos_tags": [5, 7]}
    assert from_hub("udpos", 3, record, "dev") == TaggedRow("dev-3", "dev-3", ("The", "end"), ("DET", "NOUN"))
    assert from_hub("udpos", 3, {"tokens": [], "pos_tags": []}, "dev") is None


def test_rows_of_one_premise_share_a_group_on_the_hub() -> None:
    record = {"premise": "P", "hypothesis": "H", "label": 1}
    first, second, other = (
        snli_from_hub(row, record | {"premise": premise}, "dev") for row, premise in enumerate("PPQ")
    )
    assert first == PairRow("dev-0", first.group, "P", "H", "neutral")
    assert first.group == second.group != other.group
    assert snli_from_hub(3, record | {"label": -1}, "dev") is None


@pytest.mark.parametrize(
    ("task", "record"),
    [
        ("commonsenseqa", CSQA | {"answerKey": ""}),
        ("cosmosqa", COSMOS | {"label": -1}),
        ("hellaswag", hellaswag(label="")),
        ("qqp", QQP | {"label": -1}),
    ],
)
def test_gold_that_the_hub_withholds_is_none_and_a_row_that_must_have_it_is_left_out(
    task: str, record: dict[str, Any]
) -> None:
    assert from_hub(task, 0, record, "test").label is None
    assert from_hub("mnli", 0, MNLI | {"label": -1}, "dev") is None
    assert from_hub("pawsx", 0, PAWSX | {"label": -1}, "dev") is None
