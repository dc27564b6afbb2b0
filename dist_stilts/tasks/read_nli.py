"""Reads natural-language inference: MultiNLI's JSON lines and XNLI's tab-separated files as XTREME lays them out.

Which XNLI rows belong together (``Row.group``) is decided by position, never by text, since the files of all languages
are parallel but their texts are not equal: rows 3k, 3k+1 and 3k+2 share a group if the number of rows is divisible by
three and more than half of these triples repeat their premise, white space aside. The published dev and test files
do so in every triple; a translated file in which a few premises differ still gets the English file's groups; the
MultiNLI training set in this layout does not, and there each row is its own group.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.files import (
    Where,
    locate,
    read_columns,
    read_json_lines,
    read_lines,
    require_new,
    shown,
    text_field,
)
from dist_stilts.tasks.spec import PairRow

NLI_LABELS = ("contradiction", "entailment", "neutral")

_HUB_LABELS = ("entailment", "neutral", "contradiction")
"""The Hub's class ids 0, 1, 2 for both data sets; -1 marks a row without gold."""
_NO_GOLD = "-"
"""MultiNLI's mark for pairs on which the annotators did not agree; every published count leaves them out."""
_HYPOTHESES_PER_PREMISE = 3


def find_mnli(folder: Path, split: str, _language: str) -> list[Path]:
    """``multinli_1.0_{train,dev_matched}.jsonl``, English only."""
    return [locate(folder, f"multinli_1.0_{'dev_matched' if split == 'dev' else split}.jsonl")]


def read_mnli(folder: Path, split: str, language: str) -> Iterator[PairRow]:
    """Yield MultiNLI's pairs, less those without gold."""
    seen: set[str] = set()
    for where, record in read_json_lines(*find_mnli(folder, split, language)):
        label = text_field(record, "gold_label", where)
        if label == _NO_GOLD:
            continue
        key = text_field(record, "pairID", where) if "pairID" in record else f"{split}-{where[1] - 1}"
        require_new(seen, key, where)
        yield PairRow(
            id=key,
            group=text_field(record, "promptID", where) if "promptID" in record else key,
            text_a=text_field(record, "sentence1", where),
            text_b=text_field(record, "sentence2", where),
            label=_known_label(label, where),
        )


def mnli_from_hub(_row: int, record: dict[str, Any], _split: str) -> PairRow | None:
    """Turn a row of ``nyu-mll/multi_nli`` into the one that :func:`read_mnli` makes."""
    label = _hub_label(record)
    if label is None:
        return None
    return PairRow(str(record["pairID"]), str(record["promptID"]), record["premise"], record["hypothesis"], label)


def find_xnli(folder: Path, split: str, language: str) -> list[Path]:
    """``<split>-<language>.tsv`` and, for the test split, the file of labels that was kept apart, if it is there."""
    files = [locate(folder, f"{split}-{language}.tsv")]
    labels = locate(folder, f"{split}-{language}.labels.txt", f"{split}.labels.txt")
    return [*files, labels] if split == "test" and labels.is_file() else files


def read_xnli(folder: Path, split: str, language: str) -> Iterator[PairRow]:
    """Yield the rows of ``premise, hypothesis, label``; only the test split may lack the third column."""
    path, *labels_path = find_xnli(folder, split, language)
    rows = list(read_columns(path, "premise hypothesis label", optional_last=split == "test"))
    gold = _read_labels(labels_path[0], expected=len(rows), of=path) if labels_path else [None] * len(rows)
    by_premise = _premises_come_in_threes([columns[0] for _, columns in rows])
    for row, ((where, columns), kept_apart) in enumerate(zip(rows, gold, strict=True)):
        yield PairRow(
            id=f"{split}-{row}",
            group=_xnli_group(split, row, by_premise),
            text_a=columns[0],
            text_b=columns[1],
            label=_one_label(columns[2:], kept_apart, where),
        )


def xnli_from_hub(row: int, record: dict[str, Any], split: str) -> PairRow:
    """Turn a row of ``facebook/xnli`` into the one that :func:`read_xnli` makes of the published files."""
    group = _xnli_group(split, row, by_premise=split != "train")
    return PairRow(f"{split}-{row}", group, record["premise"], record["hypothesis"], _hub_label(record))


def _xnli_group(split: str, row: int, by_premise: bool) -> str:
    return f"{split}-{row // _HYPOTHESES_PER_PREMISE if by_premise else row}"


def _premises_come_in_threes(premises: list[str]) -> bool:
    if len(premises) % _HYPOTHESES_PER_PREMISE:
        return False
    plain = [" ".join(premise.split()) for premise in premises]
    triples = list(zip(plain[0::3], plain[1::3], plain[2::3], strict=True))
    return 2 * sum(first == second == third for first, second, third in triples) > len(triples)


def _read_labels(path: Path, expected: int, of: Path) -> list[str | None]:
    labels: list[str | None] = [_known_label(line, (path, number)) for number, line in read_lines(path)]
    if len(labels) != expected:
        raise UserError(f"{len(labels)} labels for the {expected} rows of {of.name}", where=(path, len(labels)))
    return labels


def _one_label(column: list[str], kept_apart: str | None, where: Where) -> str | None:
    if not column:
        return kept_apart
    label = _known_label(column[0], where)
    if kept_apart not in (None, label):
        raise UserError(f"label '{label}' here, '{kept_apart}' in the file of labels", where=where)
    return label


def _known_label(label: str, where: Where) -> str:
    # The machine-translated training files of XNLI-MT-1.0 have their own word for it.
    label = "contradiction" if label == "contradictory" else label
    if label not in NLI_LABELS:
        raise UserError(f"unknown label {shown(label)}", where=where, fix=nearest(label[:40], NLI_LABELS))
    return label


def _hub_label(record: dict[str, Any]) -> str | None:
    return _HUB_LABELS[record["label"]] if record["label"] >= 0 else None
