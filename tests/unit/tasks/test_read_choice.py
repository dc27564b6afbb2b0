from __future__ import annotations

import bz2
from pathlib import Path
from typing import Any

import pytest
from task_files import COSMOS, ENDINGS, HELLASWAG, commonsenseqa, hellaswag, to_csv, write, xcopa, zipped

from dist_stilts.tasks.read_choice import find_cosmosqa, read_cosmosqa
from dist_stilts.tasks.read_hellaswag import read_hellaswag
from dist_stilts.tasks.read_xcopa import CHANGED, read_xcopa
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.spec import ChoiceRow, Quirk

WIKIHOW = "Health: How to rest. Lie down. Close your eyes.\n0\n" + "\n".join(ENDINGS) + "\n"
CSQA_ROW = ChoiceRow("q1", "q1", "The sky is?", ("red", "blue"), 1)
ASKED = "Der Mann drehte den Hahn auf. What was the effect?"
XCOPA_ROW = ChoiceRow("dev-0", "dev-0", ASKED, ("Die Toilette lief voll.", "Wasser floss."), 1)


def without(record: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != key}


@pytest.mark.parametrize(
    ("task", "split", "language", "names", "record", "row"),
    [
        ("commonsenseqa", "train", "en", "train.jsonl", commonsenseqa(), CSQA_ROW),
        ("commonsenseqa", "dev", "en", "valid.jsonl dev.jsonl dev_rand_split.jsonl", commonsenseqa(), CSQA_ROW),
        ("xcopa", "dev", "et", "val.et.jsonl data/et/val.et.jsonl et/val.et.jsonl val-et.jsonl", xcopa(), XCOPA_ROW),
        ("xcopa", "dev", "et", "xcopa-master/data/et/val.et.jsonl", xcopa(), XCOPA_ROW),
    ],
)
def test_an_item_is_read_under_every_published_name(
    tmp_path: Path, task: str, split: str, language: str, names: str, record: dict[str, Any], row: ChoiceRow
) -> None:
    read = get_task(task).read
    assert read
    for number, name in enumerate(names.split()):
        assert list(read(write(tmp_path / str(number), {name: [record]}), split, language)) == [row]


@pytest.mark.parametrize("folder", ["", "data", "cosmosqa-master/data"])
@pytest.mark.parametrize(("split", "name"), [("train", "train"), ("dev", "valid")])
def test_cosmosqa_is_read_from_csv_and_json_alike(tmp_path: Path, split: str, name: str, folder: str) -> None:
    write(tmp_path / folder, {f"{name}.jsonl": [COSMOS | {"label": 1}]})
    from_json = list(read_cosmosqa(tmp_path, split, "en"))
    write(tmp_path / folder, {f"{name}.csv": "\ufeff" + to_csv(COSMOS)})
    assert find_cosmosqa(tmp_path, split, "en")[0].suffix == ".csv"
    assert list(read_cosmosqa(tmp_path, split, "en")) == from_json
    (row,) = from_json
    assert row.prompt == 'It rained, he said "a lot".\nWe left. Why ?'
    assert (row.id, row.choices[1], row.label) == ("b1##q1", "Rain .", 1)
    records = (COSMOS, COSMOS | {"id": "b"}, COSMOS | {"id": "c", "context": "Another."})
    write(tmp_path / folder, {f"{name}.csv": to_csv(*records)})
    first, second, third = (row.group for row in read_cosmosqa(tmp_path, split, "en"))
    assert first == second != third, "questions about one context share a group"


def test_the_begun_sentence_goes_with_the_endings_in_both_layouts(tmp_path: Path) -> None:
    write(tmp_path, {"hellaswag_val_full.txt.bz2": bz2.compress(HELLASWAG.encode())})
    (from_text,) = read_hellaswag(tmp_path, "dev", "en")
    write(tmp_path, {"hellaswag_val.jsonl": [hellaswag()]})
    (row,) = read_hellaswag(tmp_path, "dev", "en")
    choices = ("he sits.", "he falls.", "he sings.", "he swims.")
    assert row == ChoiceRow("dev-24", "activitynet~v_1", "A man is on a roof. He waves.", choices, 3)
    assert (from_text.prompt, from_text.choices, from_text.label) == (row.prompt, row.choices, row.label)


def test_a_context_of_finished_sentences_is_the_prompt(tmp_path: Path) -> None:
    record = hellaswag(ctx_a="Lie down. Close your eyes.", ctx_b="", label=0)
    write(tmp_path / "json", {"hellaswag_val.jsonl": [record]})
    assert next(read_hellaswag(tmp_path / "json", "dev", "en")).choices == tuple(ENDINGS)
    write(tmp_path / "text", {"hellaswag_val_full.txt": WIKIHOW})
    row = next(read_hellaswag(tmp_path / "text", "dev", "en"))
    assert (row.prompt, row.choices) == ("How to rest. Lie down. Close your eyes.", tuple(ENDINGS))


def test_xcopa_is_not_read_from_machine_translations_and_its_odd_questions_are_mended_and_counted(
    tmp_path: Path,
) -> None:
    for folder, premise in (("data-gmt", "Translated back."), ("data", "Original.")):
        write(tmp_path, {f"xcopa-master/{folder}/ht/test.ht.jsonl": [xcopa(premise=premise)]})
    (row,) = (row for row in read_xcopa(tmp_path, "test", "ht") if isinstance(row, ChoiceRow))
    assert row.prompt.startswith("Original.")
    write(tmp_path, {"val.th.jsonl": [xcopa(question="cause")]})
    quirk, row = read_xcopa(tmp_path, "dev", "th")
    assert quirk == Quirk(CHANGED)
    assert isinstance(row, ChoiceRow)
    assert row.prompt.endswith("What was the effect?")


def test_english_is_copa_and_alone_has_a_train_split(tmp_path: Path) -> None:
    train = [xcopa(question="cause", idx=399)]
    write(tmp_path, {"COPA.zip": zipped({"COPA/train.jsonl": train, "COPA/test.jsonl": [without(xcopa(), "label")]})})
    (row,) = read_xcopa(tmp_path, "train", "en")
    assert isinstance(row, ChoiceRow)
    assert (row.id, row.prompt[-19:], row.label) == ("train-399", "What was the cause?", 1)
    assert [row.label for row in read_xcopa(tmp_path, "test", "en") if isinstance(row, ChoiceRow)] == [None]
    write(tmp_path, {"train.de.jsonl": [xcopa()]})
    assert len(list(read_xcopa(tmp_path, "train", "de"))) == 1
