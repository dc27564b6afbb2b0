"""Reads labelled sentence pairs: XTREME's plain files, PAWS-X and QQP.

Promises: a row's id and group come from its place in the file, rows that are left out included, so that they agree
between the languages of PAWS-X, which are parallel row by row, and between its published layouts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dist_stilts.conventions import ENGLISH
from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.files import Where, exists, locate, read_columns, read_lines, read_table, require_new, shown
from dist_stilts.tasks.spec import PairRow, Quirk

PARAPHRASE_LABELS = ("0", "1")
"""Not a paraphrase, a paraphrase; the same for PAWS-X and QQP."""

_SPELLINGS = {"contradictory": "contradiction"}
"""The machine-translated NLI training files have their own word for a label."""
_ORIGINAL_NAMES = {"train": "translated_train", "dev": "dev_2k", "test": "test_2k"}
_NOT_TRANSLATED = "NS"
"""What PAWS-X has in place of a sentence that its translators left out; such rows are labelled 0."""
_TRANSLATION_COLUMNS = 5


class Pair(NamedTuple):
    """Two texts and their label, with the place they were read from; the label is None where gold is withheld."""

    where: Where
    text_a: str
    text_b: str
    label: str | None


def known_label(label: str, where: Where, labels: tuple[str, ...]) -> str:
    """Return the label; raises UserError, naming the nearest one, if it is none of ``labels``."""
    label = _SPELLINGS.get(label, label)
    if label not in labels:
        raise UserError(f"unknown label {shown(label)}", where=where, fix=nearest(label[:40], labels))
    return label


def find_plain(path: Path, *labels: Path) -> list[Path]:
    """Return a plain file and the first of ``labels`` that is there: the gold that XTREME keeps apart."""
    return [path, *[file for file in labels if exists(file)][:1]]


def read_plain(files: list[Path], labels: tuple[str, ...], *, may_lack_gold: bool) -> list[Pair]:
    """Return the rows of XTREME's ``sentence, sentence, label`` without a header, as ``csv.writer`` wrote them.

    Args:
        files: as :func:`find_plain` gives them.
        may_lack_gold: whether the label column may be missing, in all rows alike, or empty.

    Raises:
        UserError: wrong column count, unknown label, or labels kept apart that do not fit the rows.
    """
    path, *labels_path = files
    rows = list(read_columns(path, "sentence sentence label", optional_last=may_lack_gold))
    gold = _read_labels(labels_path[0], labels, rows) if labels_path else [None] * len(rows)
    return [
        Pair(where, _unquoted(columns[0]), _unquoted(columns[1]), _one_label(label, kept_apart, where, labels))
        for (where, columns), kept_apart in zip(rows, gold, strict=True)
        for label in [[text for text in columns[2:] if text or not may_lack_gold]]
    ]


def find_pawsx(folder: Path, split: str, language: str) -> list[Path]:
    """XTREME's plain file and labels, else the original release's, else XTREME's machine-translated training file."""
    original = "train" if (split, language) == ("train", ENGLISH) else _ORIGINAL_NAMES[split]
    names = [f"{split}-{language}.tsv", f"{language}/{original}.tsv"]
    if split == "train":
        names += translate_train_names(language)
    path = locate(folder, *names)
    if split != "test" or not _is_plain(path, split, language):
        return [path]
    return find_plain(path, locate(folder, f"test-{language}.labels.txt"))


def read_pawsx(folder: Path, split: str, language: str) -> Iterator[PairRow | Quirk]:
    """Yield the rows; those with a sentence that was not translated are kept, as the official scores have them."""
    files = find_pawsx(folder, split, language)
    for row, pair in enumerate(_pawsx_pairs(files, split, language)):
        if isinstance(pair, Quirk):
            yield pair
            continue
        if _NOT_TRANSLATED in pair[1:3]:
            yield Quirk(f"sentence not translated ('{_NOT_TRANSLATED}'), row kept")
        elif not (pair.text_a.strip() and pair.text_b.strip()):
            yield Quirk("empty sentence, row kept")
        yield _placed(split, row, pair.text_a, pair.text_b, pair.label)


def pawsx_from_hub(row: int, record: dict[str, Any], split: str) -> PairRow | None:
    """Turn a row of ``google-research-datasets/paws-x`` into the one that :func:`read_pawsx` makes."""
    if record["label"] < 0:
        return None
    return _placed(split, row, record["sentence1"], record["sentence2"], PARAPHRASE_LABELS[record["label"]])


def translate_train_names(language: str) -> list[str]:
    """Return the names that XTREME's machine-translated training file of a language goes by, the surest first."""
    return [f"{folder}en-{language}-translated.tsv" for folder in ("translate-train/", "")]


def find_qqp(folder: Path, split: str, _language: str) -> list[Path]:
    """GLUE's ``QQP/{train,dev,test}.tsv``, English only."""
    return [locate(folder, f"QQP/{split}.tsv", f"{split}.tsv")]


def read_qqp(folder: Path, split: str, language: str) -> Iterator[PairRow | Quirk]:
    """Yield the question pairs, less the few that GLUE's training file breaks over two lines; the test has no gold."""
    (path,) = find_qqp(folder, split, language)
    has_gold = split != "test"
    columns = "id question1 question2 is_duplicate" if has_gold else "question1 question2"
    seen: set[str] = set()
    for row, (where, cells) in enumerate(read_table(path, columns, skip_short=has_gold)):
        if not cells:
            yield Quirk("row broken over two lines, left out")
            continue
        label = None
        if has_gold:
            require_new(seen, cells["id"], where)
            label = known_label(cells["is_duplicate"], where, PARAPHRASE_LABELS)
        yield _placed(split, row, cells["question1"], cells["question2"], label)


def qqp_from_hub(_row: int, record: dict[str, Any], split: str) -> PairRow:
    """Turn a row of ``nyu-mll/glue``'s ``qqp``, whose ``idx`` counts broken rows too, into :func:`read_qqp`'s."""
    label = PARAPHRASE_LABELS[record["label"]] if record["label"] >= 0 else None
    return _placed(split, record["idx"], record["question1"], record["question2"], label)


def _placed(split: str, row: int, text_a: str, text_b: str, label: str | None) -> PairRow:
    name = f"{split}-{row}"
    return PairRow(name, name, text_a, text_b, label)


def _is_plain(path: Path, split: str, language: str) -> bool:
    return path.name.startswith(f"{split}-{language}.tsv")


def _pawsx_pairs(files: list[Path], split: str, language: str) -> Iterator[Pair | Quirk]:
    if _is_plain(files[0], split, language):
        yield from read_plain(files, PARAPHRASE_LABELS, may_lack_gold=split == "test")
    elif "-translated.tsv" in files[0].name:
        yield from _translate_train(files[0])
    else:
        yield from _original(files[0])


def _original(path: Path) -> Iterator[Pair | Quirk]:
    seen: set[str] = set()
    for where, cells in read_table(path, "id sentence1 sentence2 label", skip_short=True):
        if cells.get("label") not in PARAPHRASE_LABELS:
            yield Quirk("no label 0 or 1, row left out")
            continue
        require_new(seen, cells["id"], where)
        yield Pair(where, cells["sentence1"], cells["sentence2"], cells["label"])


def _translate_train(path: Path) -> Iterator[Pair | Quirk]:
    """The English pair, its translation, the label; no header. Some published rows are filled in wrongly."""
    for number, line in read_lines(path):
        cells = [_unquoted(cell) for cell in line.split("\t")]
        if len(cells) != _TRANSLATION_COLUMNS or cells[4] not in PARAPHRASE_LABELS:
            yield Quirk("no label 0 or 1, row left out")
        else:
            yield Pair((path, number), cells[2], cells[3], cells[4])


def _unquoted(cell: str) -> str:
    """Undo the quoting of ``csv.writer``: it wraps what holds a quotation mark in two and doubles those within."""
    within = cell[1:-1]
    if len(cell) < 2 or not (cell[0] == cell[-1] == '"') or '"' in within.replace('""', ""):
        return cell
    return within.replace('""', '"')


def _read_labels(path: Path, labels: tuple[str, ...], rows: list[tuple[Where, list[str]]]) -> list[str | None]:
    gold: list[str | None] = [known_label(line, (path, number), labels) for number, line in read_lines(path)]
    if len(gold) != len(rows):
        of = rows[0][0][0].name
        raise UserError(f"{len(gold)} labels for the {len(rows)} rows of {of}", where=(path, len(gold)))
    return gold


def _one_label(column: list[str], kept_apart: str | None, where: Where, labels: tuple[str, ...]) -> str | None:
    if not column:
        return kept_apart
    label = known_label(column[0], where, labels)
    if kept_apart not in (None, label):
        raise UserError(f"label '{label}' here, '{kept_apart}' in the file of labels", where=where)
    return label
