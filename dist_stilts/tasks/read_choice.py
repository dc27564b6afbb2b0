"""Reads multiple choice: CommonsenseQA's JSON lines in the publishers' own schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dist_stilts.errors import UserError
from dist_stilts.tasks.files import Where, locate, read_json_lines, require_new, shown, text_field
from dist_stilts.tasks.spec import ChoiceRow

_NAMES = {
    "train": ("train.jsonl", "train_rand_split.jsonl"),
    "dev": ("dev.jsonl", "valid.jsonl", "dev_rand_split.jsonl"),
    "test": ("test.jsonl", "test_rand_split_no_answers.jsonl"),
}
"""Short names, and those of the original download."""


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
        label = None if split == "test" and "answerKey" not in record else _answer(record, names, where)
        yield ChoiceRow(id=key, group=key, prompt=text_field(question, "stem", where), choices=choices, label=label)


def commonsenseqa_from_hub(_row: int, record: dict[str, Any], _split: str) -> ChoiceRow:
    """Turn a row of ``tau/commonsense_qa`` into the one that :func:`read_commonsenseqa` makes."""
    choices, key = record["choices"], record["answerKey"]
    label = list(choices["label"]).index(key) if key else None
    return ChoiceRow(record["id"], record["id"], record["question"], tuple(choices["text"]), label)


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
