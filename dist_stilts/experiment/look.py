"""Looks into somebody's training file for what a recipe for it has to say: columns, labels, other splits, languages.

All of it is read by the product's own readers, so that a recipe that says so runs; every guess is noted in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from dist_stilts.conventions import ENGLISH
from dist_stilts.errors import UserError
from dist_stilts.tasks.guess import guess_columns, is_number, is_too_many
from dist_stilts.tasks.own_rows import FIELDS
from dist_stilts.tasks.read_conll import SUFFIXES
from dist_stilts.tasks.read_own import OwnTask, own_spec
from dist_stilts.tasks.records import read_records, suffix_of
from dist_stilts.tasks.siblings import as_languages, home, one_name, read_as_english, siblings
from dist_stilts.tasks.sources import in_slice, parse_split, stream_rows
from dist_stilts.tasks.spec import ChoiceRow, PairRow, Row, SpanRow, TaggedRow, TaskSpec

FAMILIES = {
    "classify": "sequence",
    "tagging": "token",
    "qa": "span",
    "choice": "choice",
    "regression": "regression",
    "multilabel": "multilabel",
}
"""What users call a kind of task, to the family that reads it."""
LOOKED_AT, MOST_ROWS = 200, 200_000
"""Rows by which columns are guessed; rows that are read to find labels and lengths."""
SLICES = (90, 80, 50)
"""Percent of the training rows that stay, if the rest is the dev set: the first that leaves rows on both sides."""


@dataclass
class Look:
    """What was found in the files.

    Attributes:
        root: the folder that names are relative to; own: the task's entry in the recipe.
        train, dev: the splits or slices for training and for watching it; scored: those that are scored.
        rows: training rows that were read, all of them if ``whole``.
        labels: those of the training rows, with how many rows have each.
        longest: characters of the longest row.
        notes: guesses, in sentences.
    """

    root: Path
    own: OwnTask
    train: str = "train"
    dev: str | None = "dev"
    scored: list[str] = field(default_factory=lambda: ["test"])
    rows: int = 0
    whole: bool = True
    labels: Counter[str] = field(default_factory=Counter)
    longest: int = 0
    notes: list[str] = field(default_factory=list)


def look_into(kind: str, name: str, file: Path, tests: Sequence[Path], columns: Mapping[str, str]) -> Look:
    """Look into the training file, find what belongs to it, and read all of it once.

    Args:
        kind: a key of :data:`FAMILIES`; name: the task's, by which slices are cut.
        tests: the test files, one per language; none = those beside the training file.
        columns: field to column, as far as the user has said it.

    Raises:
        UserError: the file does not fit: no such columns, rows that cannot be read, no labels.
    """
    family = FAMILIES[kind]
    if family not in FIELDS:
        raise UserError(f"this version has no tasks of the kind '{kind}'", fix=f"Known: {', '.join(FIELDS)}")
    if file.is_dir():
        fix = "Give one of its files; a recipe's files: may name a folder that datasets' save_to_disk wrote"
        raise UserError("a folder", where=file, fix=fix)
    if not file.is_file():
        raise UserError("no such file", where=file, fix="Give --data FILE")
    look = Look(home(file), OwnTask(family))
    if family == "token" and suffix_of(file.name) in SUFFIXES:
        look.own.columns = _numbers(columns)
        look.notes.append("a CoNLL file: words and tags are the first and the last column, unless --column says else")
    else:
        look.own.columns = _columns(family, columns, file)
        _explain_columns(look, columns)
    _find_files(look, file, tests)
    _read(look, name, file, kind)
    return look


def _numbers(given: Mapping[str, str]) -> dict[str, int]:
    """Columns of a CoNLL file, as users give them."""
    if wrong := [number for number in given.values() if not number.isdecimal()]:
        fix = "Columns of CoNLL files have numbers: --column words=0 --column tags=3"
        raise UserError(f"no column '{wrong[0]}'", where="--column", fix=fix)
    return {name: int(number) for name, number in given.items()}


def _columns(family: str, given: Mapping[str, str], file: Path) -> dict[str, Any]:
    """Field to column, by the first rows of a table."""
    head = [record for _, record in islice(read_records(file), LOOKED_AT)]
    if not head:
        raise UserError("no rows", where=file, fix="Give a file with a row for each example")
    known = (*FIELDS[family].required, *FIELDS[family].optional)
    if unknown := [name for name in given if name not in known]:
        raise UserError(f"--column: {family} has no field '{unknown[0]}'", fix=f"Known: {', '.join(known)}")
    return guess_columns(family, FIELDS[family].required, head, given, file)


def _explain_columns(look: Look, given: Mapping[str, str]) -> None:
    for name, column in look.own.columns.items():
        if name not in given:
            said = f"columns {', '.join(column)}" if isinstance(column, list) else f"column {column}"
            look.notes.append(f"{name}: the {said}")


def _find_files(look: Look, file: Path, tests: Sequence[Path]) -> None:
    """Fill in the files of the splits, and the languages that they are in."""
    own_name = file.relative_to(look.root).as_posix()
    files, beside = {"train": own_name}, siblings(file)
    if tests:
        beside["test"] = as_languages([_below(test, look.root) for test in tests], read_as_english(own_name).rest)
    spoken: set[str] = set()
    for split in ("dev", "test"):
        if found := beside.get(split):
            files[split], codes, left_out = one_name(found)
            spoken.update(codes)
            look.notes.append(f"{split} is {files[split]}, in {', '.join(codes)}")
            if left_out:
                look.notes.append(f"not used, as their names follow another pattern: {', '.join(left_out)}")
    look.own.files = files
    look.own.languages = [ENGLISH, *sorted(spoken - {ENGLISH})]


def _below(path: Path, root: Path) -> str:
    if not path.is_file():
        raise UserError("no such file", where=path, fix="Give --test FILE")
    resolved, above = path.resolve(), root.resolve()
    return resolved.relative_to(above).as_posix() if resolved.is_relative_to(above) else resolved.as_posix()


def _read(look: Look, name: str, file: Path, kind: str) -> None:
    """Read the training rows as a run would: what is wrong is said here."""
    spec = own_spec(name, replace(look.own, no_answer=look.own.family == "span"))
    groups = Counter[int]()
    for row in islice(stream_rows(spec, look.root, "train", ENGLISH, Counter()), MOST_ROWS):
        look.rows += 1
        look.longest = max(look.longest, _length(row))
        look.labels.update(_labels(row))
        groups.update(percent for percent in SLICES if _is_kept(spec, row, percent))
        if isinstance(row, SpanRow) and not row.answers:
            look.own.no_answer = True
    look.whole = look.rows < MOST_ROWS
    _check_labels(look, file, kind)
    if "dev" not in look.own.files:
        _slice(look, groups, file)
    if "test" not in look.own.files:
        look.scored = [look.dev or look.train]
        look.notes.append(f"there is no test file, so {look.scored[0]} is scored; --test FILE names test files")


def _is_kept(spec: TaskSpec, row: Row, percent: int) -> bool:
    return in_slice(spec.name, row.group, parse_split(f"train[:{percent}%]"))


def _slice(look: Look, kept: Counter[int], file: Path) -> None:
    """Cut a dev set off the training rows."""
    fitting = [percent for percent in SLICES if 0 < kept[percent] < look.rows]
    if not fitting:
        raise UserError(
            f"{look.rows} rows are too few to cut a dev set off", where=file, fix="Give more, or a dev file"
        )
    look.train, look.dev = f"train[:{fitting[0]}%]", f"train[{fitting[0]}%:]"
    look.notes.append(f"there is no dev file, so {look.dev} of the training rows watches the training")


def _length(row: Row) -> int:
    texts = [getattr(row, name, "") for name in ("text_a", "text_b", "prompt")]
    texts += row.words if isinstance(row, TaggedRow) else ()
    longest_choice = max(map(len, row.choices)) if isinstance(row, ChoiceRow) else 0
    return sum(map(len, texts)) + len(texts) + longest_choice


def _labels(row: Row) -> list[str]:
    if isinstance(row, PairRow):
        return [row.label] if row.label is not None else []
    return list(getattr(row, "tags", None) or getattr(row, "labels", None) or ())


def _check_labels(look: Look, file: Path, kind: str) -> None:
    """UserError where the labels are no classes; one label is nothing to learn."""
    if kind not in ("classify", "tagging", "multilabel"):
        return
    gold = FIELDS[look.own.family].gold
    column = look.own.columns.get(gold, gold)
    if kind == "classify" and is_too_many(len(look.labels), look.rows):
        fix = "For numbers: recipes new regression" if all(map(is_number, look.labels)) else f"--column {gold}=NAME"
        raise UserError(f"{len(look.labels)} different values of '{column}' are no classes", where=file, fix=fix)
    if len(look.labels) < 2:
        only = ", ".join(look.labels) or "none"
        raise UserError(f"nothing to learn: the only value of '{column}' is {only}", where=file, fix="Give two or more")
    shown = ", ".join(f"{label} ({count:,})" for label, count in sorted(look.labels.items())[:20])
    look.notes.append(f"{len(look.labels)} {'tags' if kind == 'tagging' else 'labels'}: {shown}{_more(look.labels)}")


def _more(labels: Counter[str]) -> str:
    return f" and {len(labels) - 20} more" if len(labels) > 20 else ""
