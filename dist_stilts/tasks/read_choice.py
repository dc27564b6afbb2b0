"""Reads multiple choice: CommonsenseQA and Cosmos QA in their publishers' own schemas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dist_stilts.conventions import text_hash
from dist_stilts.errors import UserError
from dist_stilts.tasks.files import Where, locate, read_csv_rows, read_json_lines, require_new, shown, text_field
from dist_stilts.tasks.spec import ChoiceRow

_NAMES = {
    "train": ("train.jsonl", "train_rand_split.jsonl"),
    "dev": ("dev.jsonl", "valid.jsonl", "dev_rand_split.jsonl"),
    "test": ("test.jsonl", "test_rand_split_no_answers.jsonl"),
}
"""Short names, and those of the original download."""

_COSMOS_COLUMNS = "id context question answer0 answer1 answer2 answer3"
_COSMOS_NAMES = {"train": ("train",), "dev": ("valid", "dev"), "test": ("test",)}
_COSMOS_CHOICES = 4


def find_commonsenseqa(folder: Path, split: str, _language: str) -> list[Path]:
    """The split's one file, English only."""
    return [locate(folder, *_NAMES[split])]


def read_commonsenseqa(folder: Path, split: str, language: str) -> Iterator[ChoiceRow]:
    """Yield the questions; only the test split may lack answers; all questions of a file have as many candidates."""
    seen: set[str] = set()
    candidates = 0
    for where, record in read_json_lines(*find_commonsenseqa(folder, split, language)):
        key = text_field(record, "id", where)
        require_new(seen, key, where)
        question = record.get("question")
        if not isinstance(question, dict):
            raise UserError("no object under the key 'question'", where=where, fix='Expected "question": {...}')
        names, choices = _choices(question, where)
        candidates = candidates or len(choices)
        if len(choices) != candidates:
            raise UserError(f"{len(choices)} choices, {candidates} before", where=where)
        label = None if is_withheld(record, "answerKey", split) else _answer(record, names, where)
        yield ChoiceRow(id=key, group=key, prompt=text_field(question, "stem", where), choices=choices, label=label)


def commonsenseqa_from_hub(_row: int, record: dict[str, Any], _split: str) -> ChoiceRow:
    """Turn a row of ``tau/commonsense_qa`` into the one that :func:`read_commonsenseqa` makes."""
    choices, key = record["choices"], record["answerKey"]
    label = list(choices["label"]).index(key) if key else None
    return ChoiceRow(record["id"], record["id"], record["question"], tuple(choices["text"]), label)


def find_cosmosqa(folder: Path, split: str, _language: str) -> list[Path]:
    """``{train,valid,test}.csv`` or ``.jsonl``, English only."""
    names = _COSMOS_NAMES[split]
    return [locate(folder, *(f"{name}.{ending}" for ending in ("csv", "jsonl") for name in names))]


def read_cosmosqa(folder: Path, split: str, language: str) -> Iterator[ChoiceRow]:
    """Yield the questions; prompt = context, space, question (as jiant has it); only test may lack labels.

    Raises:
        UserError: a column or key is missing, a label is none of 0 to 3, an id occurs twice.
    """
    seen: set[str] = set()
    (path,) = find_cosmosqa(folder, split, language)
    for where, record in _cosmos_records(path, split):
        texts = [text_field(record, key, where) for key in _COSMOS_COLUMNS.split()]
        require_new(seen, texts[0], where)
        label = None if is_withheld(record, "label", split) else choice_index(record, _COSMOS_CHOICES, where)
        yield _cosmos_row(texts, label)


def cosmosqa_from_hub(_row: int, record: dict[str, Any], _split: str) -> ChoiceRow:
    """Turn a row of ``allenai/cosmos_qa`` into the one that :func:`read_cosmosqa` makes; label -1 is hidden gold."""
    return _cosmos_row(
        [record[key] for key in _COSMOS_COLUMNS.split()], record["label"] if record["label"] >= 0 else None
    )


def is_withheld(record: dict[str, Any], key: str, split: str) -> bool:
    """Whether a test row comes without its gold: no such key, or null, nothing or -1 under it."""
    return split == "test" and record.get(key) in (None, "", -1)


def choice_index(record: dict[str, Any], choices: int, where: Where) -> int:
    """Return ``record["label"]``, the index of the right choice as a number or a numeral; UserError if it is none."""
    label = record.get("label")
    if isinstance(label, bool) or str(label) not in {str(index) for index in range(choices)}:
        raise UserError(f"label {shown(label)} is no choice", where=where, fix=f"Expected 0 to {choices - 1}")
    return int(str(label))


def _cosmos_records(path: Path, split: str) -> Iterator[tuple[Where, dict[str, Any]]]:
    if ".csv" not in path.name:
        return read_json_lines(path)
    return read_csv_rows(path, _COSMOS_COLUMNS if split == "test" else f"{_COSMOS_COLUMNS} label")


def _cosmos_row(texts: list[str], label: int | None) -> ChoiceRow:
    key, context, question, *choices = texts
    return ChoiceRow(key, text_hash(context).hex(), f"{context} {question}", tuple(choices), label)


def _choices(question: dict[str, Any], where: Where) -> tuple[list[str], tuple[str, ...]]:
    listed = question.get("choices")
    if not isinstance(listed, list) or len(listed) < 2 or not all(isinstance(choice, dict) for choice in listed):
        raise UserError("no list of choices", where=where, fix='Expected "choices": [{"label": "A", "text": ...}, ...]')
    names = [text_field(choice, "label", where) for choice in listed]
    if len(set(names)) < len(names):
        raise UserError("two choices have one label", where=where)
    return names, tuple(text_field(choice, "text", where) for choice in listed)


def _answer(record: dict[str, Any], names: list[str], where: Where) -> int:
    key = text_field(record, "answerKey", where)
    if key not in names:
        raise UserError(f"answerKey {shown(key)} is no choice", where=where, fix=f"Expected one of {', '.join(names)}")
    return names.index(key)
