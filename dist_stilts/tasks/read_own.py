"""The user's own data as a task: files, a family and columns, named in a recipe.

    own_tasks:
      my_nli:
        family: sequence
        files: {train: my_nli.train.jsonl, dev: "my_nli.{lang}.csv"}
        columns: {text_a: premise, text_b: hypothesis, label: gold}
        labels: ["no", "yes"]

Files are JSON lines, CSV, TSV or Parquet, relative to the data root or absolute. ``{lang}`` in a name stands for the
language; a name without it is the English file, and that of another language is expected beside it, such as
``my_nli.train.de.jsonl``. Retrieval sets (families tatoeba and bucc) are described in
:mod:`dist_stilts.tasks.own_pairs`.
Promises: a mistake in the entry is a UserError when the recipe is read, one in a file a UserError with file and line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from dist_stilts.conventions import ENGLISH, JsonObject, text_hash
from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.files import Where, require_new, shown
from dist_stilts.tasks.languages import XTREME_LANGUAGES
from dist_stilts.tasks.own_pairs import FILES, LANGUAGE, retrieval_spec
from dist_stilts.tasks.own_rows import FIELDS, Values, name_of, own_row
from dist_stilts.tasks.records import column, find_table, format_of, read_records
from dist_stilts.tasks.spec import ChoiceRow, Family, Quirk, Row, SpanRow, TaskSpec, TextRow

SPLITS = ("train", "dev", "test")
_METRICS = {"sequence": "accuracy", "choice": "accuracy", "token": "f1", "span": "em_and_f1", "mlm": "loss"}
_CODE = re.compile(r"[A-Za-z]+([-_][A-Za-z0-9]+)*")


@dataclass
class OwnTask:
    """A task on the user's own files."""

    family: str
    """sequence, choice, token, span or mlm; of retrieval: tatoeba (two aligned files), bucc (two sides and gold)."""
    files: dict[str, Any] = field(default_factory=dict)
    """Split (train, dev, test) to file; `{lang}` in its name stands for the language. tatoeba: [SOURCE, TARGET];
    bucc: [SOURCE, TARGET, GOLD]."""
    columns: dict[str, Any] = field(default_factory=dict)
    """Our field to the file's column, where the names differ; `choices` may have a list of columns."""
    labels: list[str] = field(default_factory=list)
    """Classes or tags in id order; none = those of the English training rows, sorted."""
    no_answer: bool = False
    """span: questions may have no answer in their context."""
    languages: list[str] = field(default_factory=list)
    """Languages that the files are in; none = XTREME's if a name has `{lang}`, else English."""


def own_spec(name: str, own: OwnTask) -> TaskSpec:
    """Return the task that an entry of a recipe describes; its folder is the data root itself.

    Raises:
        UserError: unknown family, split, field or file format; no files; labels for a family that has none.
    """
    where = f"own_tasks.{name}"
    _check_languages(own, where)
    if own.family in FILES:
        for key in ("columns", "labels", "no_answer"):
            if getattr(own, key):
                raise UserError(f"the family {own.family} has no {key}", where=f"{where}.{key}", fix="Leave it out")
        return retrieval_spec(name, own.family, own.files, own.languages)
    _check(own, where)
    has_labels = own.family in ("sequence", "token")
    return TaskSpec(
        name=name,
        family=cast("Family", own.family),
        languages=tuple(own.languages) or _usual_languages(own),
        metric=_METRICS[own.family],
        folders=(".",),
        find=partial(_find, own.files),
        read=partial(_read, own),
        layouts=tuple(own.files.values()),
        labels=tuple(own.labels),
        open_labels=has_labels and not own.labels,
        no_answer=own.no_answer,
        # These two heads do not depend on the task.
        head=own.family if own.family in ("choice", "mlm") else "",
        splits=tuple(split for split in SPLITS if split in own.files),
        licence="that of your data",
    )


def _usual_languages(own: OwnTask) -> tuple[str, ...]:
    return XTREME_LANGUAGES if any(LANGUAGE in file for file in own.files.values()) else (ENGLISH,)


def _check_languages(own: OwnTask, where: str) -> None:
    for code in own.languages:
        if code in ("True", "False"):
            fix = "Quote the codes in the recipe: unquoted no is false in YAML"
            raise UserError(f"'{code}' is no language", where=f"{where}.languages", fix=fix)
        if not _CODE.fullmatch(code):
            fix = "Write codes such as de, zh-Hant or sr_Latn"
            raise UserError(f"{shown(code)} is no language", where=f"{where}.languages", fix=fix)
    if len(set(own.languages)) < len(own.languages):
        raise UserError("a language occurs twice", where=f"{where}.languages")


def _check(own: OwnTask, where: str) -> None:
    if own.family not in FIELDS:
        raise UserError(f"unknown family '{own.family}'", where=where, fix=nearest(own.family, (*FIELDS, *FILES)))
    if not own.files:
        raise UserError("no files", where=where, fix="Give files: {train: FILE, dev: FILE}")
    for split, file in own.files.items():
        if split not in SPLITS:
            raise UserError(f"unknown split '{split}'", where=f"{where}.files", fix=nearest(split, SPLITS))
        if not isinstance(file, str):
            raise UserError(f"{shown(file)} is no file", where=f"{where}.files.{split}", fix=f"Give {split}: FILE")
        format_of(file)
    known = (*FIELDS[own.family].required, *FIELDS[own.family].optional)
    for name, columns in own.columns.items():
        if name not in known:
            fix = f"{own.family} has {', '.join(known)}; {nearest(name, known)}"
            raise UserError(f"unknown field '{name}'", where=f"{where}.columns", fix=fix)
        several = isinstance(columns, list) and name == "choices" and all(isinstance(item, str) for item in columns)
        if not isinstance(columns, str) and not several:
            raise UserError(f"'{name}' is no column's name ({columns})", where=f"{where}.columns")
    if own.labels and own.family not in ("sequence", "token"):
        raise UserError(f"the family {own.family} has no labels", where=f"{where}.labels", fix="Leave them out")
    if len(set(own.labels)) < len(own.labels):
        raise UserError("a label occurs twice", where=f"{where}.labels")


def _find(files: Mapping[str, str], folder: Path, split: str, language: str) -> list[Path]:
    """The split's one file in a language."""
    name = Path(files[split].replace(LANGUAGE, language))
    if language != ENGLISH and LANGUAGE not in files[split]:
        stem, suffix, packed = name.name.rpartition(format_of(name.name))
        name = name.with_name(f"{stem}.{language}{suffix}{packed}")
    return [find_table(folder / name)]


def _read(own: OwnTask, folder: Path, split: str, language: str) -> Iterator[Row | Quirk]:
    """Yield the rows; ids are the file's or made of row numbers, groups the file's or, by default, the ids: but
    questions on one context share a group. All questions of a file have as many choices."""
    path = _find(own.files, folder, split, language)[0]
    seen: set[str] = set()
    first_with: dict[bytes, str] = {}
    present: tuple[str, ...] = ()
    choices = 0
    for number, (where, record) in enumerate(read_records(path)):
        present = present or _fields_there(record, own, split)
        values = _values(record, own, present, where)
        key = f"{split}-{number}" if values["id"] is None else name_of(values["id"], "id", where)
        require_new(seen, key, where)
        row = own_row(own.family, values, (key, _group(values, key, first_with, where)), own.labels, where)
        if isinstance(row, TextRow) and not row.text.strip():
            yield Quirk("blank text left out")
            continue
        if isinstance(row, ChoiceRow):
            choices = choices or len(row.choices)
            if len(row.choices) != choices:
                raise UserError(f"{len(row.choices)} choices, {choices} before", where=where)
        _check_gold(row, values, own, split, where)
        yield row


def _fields_there(record: JsonObject, own: OwnTask, split: str) -> tuple[str, ...]:
    """The fields that the file must have in every row: what it can do without is settled by its first row."""
    fields = FIELDS[own.family]

    def is_there(name: str) -> bool:
        if name == fields.gold and split == "test":
            return own.columns.get(name, name) in record
        return name in fields.required or name in own.columns or name in record

    return tuple(filter(is_there, (*fields.required, *fields.optional)))


def _values(record: JsonObject, own: OwnTask, present: Sequence[str], where: Where) -> dict[str, Any]:
    values: dict[str, Any] = {}
    fields = FIELDS[own.family]
    for name in (*fields.required, *fields.optional):
        columns = own.columns.get(name, name)
        if name in present:
            several = isinstance(columns, list)
            values[name] = [column(record, c, where) for c in columns] if several else column(record, columns, where)
        elif columns in record:
            raise UserError(f"column '{columns}' is not in the rows above", where=where, fix="Give it to all or none")
        else:
            values[name] = None
    if fields.gold and values[fields.gold] == "":
        values[fields.gold] = None
    return values


def _group(values: Values, key: str, first_with: dict[bytes, str], where: Where) -> str:
    if values["group"] is not None:
        return name_of(values["group"], "group", where)
    if "context" not in values:
        return key
    # By the row in which the context stands first, not by its text: a parallel file groups its translation alike.
    digest = text_hash(repr(values["context"]), size=16)
    return first_with.setdefault(digest, key)


def _check_gold(row: Row, values: Values, own: OwnTask, split: str, where: Where) -> None:
    gold = FIELDS[own.family].gold
    if gold and values[gold] is None and split != "test":
        raise UserError(f"no {gold}", where=where, fix="Only the test split may lack it")
    if isinstance(row, SpanRow) and row.answers == () and not own.no_answer:
        raise UserError("a question without an answer", where=where, fix="Set no_answer: true if there are such")
