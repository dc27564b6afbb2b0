"""Reads natural-language inference: MultiNLI, SNLI and ANLI, in every layout that they are published in.

All give the labels of :data:`NLI_LABELS`, so that one head serves them. Pairs on which SNLI's and MultiNLI's annotators
did not agree have no gold (``-``); they are left out, as every published count leaves them out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dist_stilts.conventions import text_hash
from dist_stilts.errors import UserError
from dist_stilts.tasks.files import (
    Where,
    locate,
    read_json_lines,
    read_lines,
    read_table,
    require_new,
    text_field,
)
from dist_stilts.tasks.read_pairs import known_label
from dist_stilts.tasks.spec import PairRow, Quirk

NLI_LABELS = ("contradiction", "entailment", "neutral")

_HUB_LABELS = ("entailment", "neutral", "contradiction")
"""The Hub's class ids 0, 1, 2 for these and for XNLI; -1 marks a row without gold."""
_ANLI_LABELS = {"c": "contradiction", "e": "entailment", "n": "neutral"}
_ANLI_ROUNDS = (1, 2, 3)
_NO_GOLD = "-"
_WITHOUT_GOLD = Quirk("no gold label (annotators did not agree), row left out")


def find_mnli(folder: Path, split: str, _language: str) -> list[Path]:
    """MultiNLI's JSON lines or text, or GLUE's table, English only; dev is the matched one."""
    part = "dev_matched" if split == "dev" else split
    release = f"multinli_1.0_{part}"
    return [locate(folder, f"{release}.jsonl", f"{release}.txt", f"MNLI/{part}.tsv", f"{part}.tsv")]


def read_mnli(folder: Path, split: str, language: str) -> Iterator[PairRow | Quirk]:
    """Yield MultiNLI's pairs, less those without gold; the hypotheses of one prompt share a group."""
    (path,) = find_mnli(folder, split, language)
    yield from _read_release(path, split, group="promptID")


def mnli_from_hub(_row: int, record: dict[str, Any], _split: str) -> PairRow | None:
    """Turn a row of ``nyu-mll/multi_nli`` into the one that :func:`read_mnli` makes."""
    return row_from_hub(str(record["pairID"]), str(record["promptID"]), record)


def find_snli(folder: Path, split: str, _language: str) -> list[Path]:
    """SNLI's JSON lines or text, English only; else three row-aligned files ``s1``, ``s2`` and ``labels``."""
    release = f"snli_1.0_{split}"
    path = locate(folder, f"{release}.jsonl", f"{release}.txt", f"s1.{split}")
    if path.name.startswith("s1."):
        return [path, *(locate(folder, f"{name}.{split}") for name in ("s2", "labels"))]
    return [path]


def read_snli(folder: Path, split: str, language: str) -> Iterator[PairRow | Quirk]:
    """Yield SNLI's pairs, less those without gold; the hypotheses of one premise share a group."""
    files = find_snli(folder, split, language)
    if len(files) == 1:
        yield from _read_release(files[0], split, group="captionID")
    else:
        yield from _read_aligned(files, split)


def snli_from_hub(row: int, record: dict[str, Any], split: str) -> PairRow | None:
    """Turn a row of ``stanfordnlp/snli``, which has no ids, into ours."""
    return row_from_hub(f"{split}-{row}", text_hash(record["premise"]).hex(), record)


def find_anli(folder: Path, split: str, _language: str) -> list[Path]:
    """``R1/<split>.jsonl``, ``R2/...`` and ``R3/...``, English only: the rounds in order."""
    return [locate(folder, f"R{number}/{split}.jsonl") for number in _ANLI_ROUNDS]


def read_anli(folder: Path, split: str, language: str) -> Iterator[PairRow]:
    """Yield the pairs of all rounds; those on one context share the group that its first pair gives."""
    seen: set[str] = set()
    first_on: dict[str, str] = {}
    for path in find_anli(folder, split, language):
        for where, record in read_json_lines(path):
            key, context = text_field(record, "uid", where), text_field(record, "context", where)
            require_new(seen, key, where)
            label = known_label(text_field(record, "label", where), where, tuple(_ANLI_LABELS))
            group = first_on.setdefault(context, key)
            yield PairRow(key, group, context, text_field(record, "hypothesis", where), _ANLI_LABELS[label])


def anli_from_hub(_row: int, record: dict[str, Any], _split: str) -> PairRow | None:
    """Turn a row of ``facebook/anli`` into ours; its group is made from the context's text."""
    return row_from_hub(record["uid"], text_hash(record["premise"]).hex(), record)


def _read_release(path: Path, split: str, *, group: str) -> Iterator[PairRow | Quirk]:
    """Read the format that SNLI and MultiNLI share; a record of JSON may do without ids."""
    seen: set[str] = set()
    for where, cells in release_cells(path, f"gold_label sentence1 sentence2 pairID {group}"):
        if cells["gold_label"] == _NO_GOLD:
            yield _WITHOUT_GOLD
            continue
        key = cells.get("pairID", f"{split}-{where[1] - 1}")
        require_new(seen, key, where)
        label = known_label(cells["gold_label"], where, NLI_LABELS)
        yield PairRow(key, cells.get(group, key), cells["sentence1"], cells["sentence2"], label)


def release_cells(path: Path, columns: str) -> Iterator[tuple[Where, dict[str, str]]]:
    """Yield (where, column to text) of the format that SNLI, MultiNLI and XNLI share, as JSON lines or as a table.

    Records of JSON may do without the columns that end in ``ID``.
    """
    if ".jsonl" not in path.name:
        yield from read_table(path, columns)
        return
    for where, record in read_json_lines(path):
        wanted = [column for column in columns.split() if column in record or not column.endswith("ID")]
        yield where, {column: text_field(record, column, where) for column in wanted}


def _read_aligned(files: list[Path], split: str) -> Iterator[PairRow | Quirk]:
    columns = [[line for _, line in read_lines(path)] for path in files]
    shortest = min(range(len(files)), key=lambda index: len(columns[index]))
    lengths = ", ".join(f"{path.name} has {len(lines)} lines" for path, lines in zip(files, columns, strict=True))
    if any(len(lines) != len(columns[shortest]) for lines in columns):
        raise UserError(lengths, where=(files[shortest], len(columns[shortest])), fix="They must be row-aligned")
    group, premise = "", None
    for row, (text_a, text_b, label) in enumerate(zip(*columns, strict=True)):
        if text_a != premise:
            group, premise = f"{split}-{row}", text_a
        if label == _NO_GOLD:
            yield _WITHOUT_GOLD
        else:
            known = known_label(label, (files[2], row + 1), NLI_LABELS)
            yield PairRow(f"{split}-{row}", group, text_a, text_b, known)


def row_from_hub(key: str, group: str, record: dict[str, Any]) -> PairRow | None:
    """Turn a row of the Hub's NLI data sets into ours; None for one without gold."""
    if record["label"] < 0:
        return None
    return PairRow(key, group, record["premise"], record["hypothesis"], _HUB_LABELS[record["label"]])
