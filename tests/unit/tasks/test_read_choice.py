from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dist_stilts.errors import UserError
from dist_stilts.tasks.read_choice import commonsenseqa_from_hub, read_commonsenseqa
from dist_stilts.tasks.spec import ChoiceRow


def question(
    key: str = "q1", answer: Any = "B", names: str = "AB", texts: tuple[Any, ...] = ("red", "blue")
) -> dict[str, Any]:
    choices = [{"label": name, "text": text} for name, text in zip(names, texts, strict=True)]
    return {"answerKey": answer, "id": key, "question": {"stem": "The sky is?", "choices": choices}}


def write(path: Path, *records: Any) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.mark.parametrize(
    ("split", "name"),
    [("train", "train.jsonl"), ("dev", "valid.jsonl"), ("dev", "dev.jsonl"), ("dev", "dev_rand_split.jsonl")],
)
def test_question_is_read_under_every_published_name(tmp_path: Path, split: str, name: str) -> None:
    write(tmp_path / name, question())
    assert list(read_commonsenseqa(tmp_path, split, "en")) == [ChoiceRow("q1", "q1", "The sky is?", ("red", "blue"), 1)]


def test_only_the_test_split_may_lack_answers(tmp_path: Path) -> None:
    unanswered = question()
    del unanswered["answerKey"]
    write(tmp_path / "test.jsonl", unanswered)
    write(tmp_path / "train.jsonl", unanswered)
    assert next(read_commonsenseqa(tmp_path, "test", "en")).label is None
    with pytest.raises(UserError, match=r"train\.jsonl:1: no text under the key 'answerKey'"):
        list(read_commonsenseqa(tmp_path, "train", "en"))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (question("q1"), "id 'q1' occurs twice"),
        (question("q2", answer="C"), "answerKey 'C' is no choice. Expected one of A, B"),
        (question("q2", answer=["A"]), "no text under the key 'answerKey'"),
        (question("q2", names="AA", answer="A"), "two choices have one label"),
        (question("q2", names="A", texts=("red",)), "no list of choices"),
        (question("q2", names="ABC", texts=("red", "blue", "grey")), "3 choices, 2 before"),
        (question("q2", texts=("red", 5)), "no text under the key 'text'"),
        ({"id": "q2", "question": "The sky is?"}, "no object under the key 'question'"),
        ({"id": "q2", "question": {"choices": ["red", "blue"]}}, "no list of choices"),
        ({"id": "q2", "answerKey": "A", "question": {"choices": question()["question"]["choices"]}}, "key 'stem'"),
    ],
)
def test_bad_question_names_its_line(tmp_path: Path, record: Any, message: str) -> None:
    write(tmp_path / "train.jsonl", question("q1"), record)
    with pytest.raises(UserError) as caught:
        list(read_commonsenseqa(tmp_path, "train", "en"))
    assert "train.jsonl:2: " in str(caught.value)
    assert message in str(caught.value)


def test_hub_row_equals_the_row_of_the_published_file(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", question())
    choices = {"label": ["A", "B"], "text": ["red", "blue"]}
    record = {"id": "q1", "question": "The sky is?", "choices": choices, "answerKey": "B"}
    assert commonsenseqa_from_hub(0, record, "train") == next(read_commonsenseqa(tmp_path, "train", "en"))
    assert commonsenseqa_from_hub(0, record | {"answerKey": ""}, "test").label is None


def test_published_commonsenseqa_has_the_published_counts(real_data: Path) -> None:
    rows = {
        split: list(read_commonsenseqa(real_data / "commonsenseqa", split, "en")) for split in ("train", "dev", "test")
    }
    assert {split: len(found) for split, found in rows.items()} == {"train": 9741, "dev": 1221, "test": 1140}
    assert {len(row.choices) for found in rows.values() for row in found} == {5}
    assert {row.label for row in rows["dev"]} == {0, 1, 2, 3, 4}
    assert {row.label for row in rows["test"]} == {None}
