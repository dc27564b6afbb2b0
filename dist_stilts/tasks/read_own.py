"""The user's own data as a task: files, a family and columns, named in a recipe.

    own_tasks:
      my_nli:
        family: sequence
        files: {train: my_nli.train.jsonl, dev: "my_nli.{lang}.csv"}
        columns: {text_a: premise, text_b: hypothesis, label: gold}
        labels: ["no", "yes"]

Files are JSON, CSV, TSV, Parquet (:mod:`dist_stilts.tasks.records`) and, for tagging, CoNLL
(:mod:`dist_stilts.tasks.read_conll`), one or several, relative to the data root or absolute, or data sets of the Hub;
``{lang}`` in a name stands for the language. A name without it is the file of the source language
(:mod:`dist_stilts.tasks.own_files`), and that of another language is expected beside it, such as
``my_nli.train.de.jsonl``. Retrieval sets (families tatoeba and bucc) are described in
:mod:`dist_stilts.tasks.own_pairs`.
Promises: a mistake in the entry is a UserError when the recipe is read, one in a file a UserError with file and line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, cast

from dist_stilts.conventions import JsonObject, text_hash
from dist_stilts.errors import UserError, nearest
from dist_stilts.names import check_name
from dist_stilts.ranges import A_PATH, key, needed, one_of
from dist_stilts.tasks.files import Where, require_new, shown
from dist_stilts.tasks.own_files import (
    SPLITS,
    check_files,
    find_files,
    local_files,
    may_be_folder,
    source_language,
    tables,
    task_languages,
)
from dist_stilts.tasks.own_pairs import FILES, retrieval_spec
from dist_stilts.tasks.own_rows import (
    FIELDS,
    Values,
    given_choices,
    is_blank,
    is_nothing,
    joined,
    name_of,
    own_row,
)
from dist_stilts.tasks.read_conll import SUFFIXES, Columns, conll_columns, read_conll
from dist_stilts.tasks.records import column, format_of, read_records, suffix_of
from dist_stilts.tasks.spec import Family, Quirk, Row, SpanRow, TaskSpec, TextRow

_METRICS = {
    "sequence": "accuracy",
    "regression": "pearson",
    "multilabel": "f1",
    "choice": "accuracy",
    "token": "f1",
    "span": "em_and_f1",
    "mlm": "loss",
}
_LABELLED = ("sequence", "multilabel", "token")
_CODE = re.compile(r"[A-Za-z]+([-_][A-Za-z0-9]+)*")


@dataclass
class OwnTask:
    """A task on the user's own files."""

    family: str = needed(one_of(*FIELDS, *FILES))
    """sequence (one class), multilabel (any number of labels), regression (a number), choice, token, span or mlm; of
    retrieval: tatoeba (two aligned files), bucc (two sides and gold)."""
    files: dict[str, Any] = key({}, A_PATH)
    """Split (train, dev, test) to file, a list of files, or a pattern (`train-*.parquet`); `{lang}` in a name stands
    for the language. A folder that `save_to_disk` wrote is a file, too. A data set of the Hub:
    `{hub: OWNER/NAME, config: NAME, split: NAME, revision: COMMIT}`, where `config` may have `{lang}` or be one for
    each language. tatoeba: [SOURCE, TARGET]; bucc: [SOURCE, TARGET, GOLD]."""
    columns: dict[str, Any] = field(default_factory=dict)
    """Our field to the file's column, where the names differ; of texts several, which a space joins; `choices` may have
    a list of columns. Of CoNLL files by number from 0: `{words: 0, tags: 3}`; by default the first and the last."""
    labels: list[str] = field(default_factory=list)
    """Classes, labels or tags in id order; none = those of the training rows in the source language, sorted."""
    no_answer: bool = False
    """span: questions may have no answer in their context."""
    languages: list[str] = field(default_factory=list)
    """Languages that the files are in, the source language first; none = English and, if a name has `{lang}`, the
    others of XTREME."""
    separator: str = ""
    """multilabel: what stands between the labels of a cell of text, such as `|`; none = they are a JSON list."""


def own_spec(name: str, own: OwnTask) -> TaskSpec:
    """Return the task that an entry of a recipe describes; its folder is the data root itself.

    Raises:
        UserError: unknown split, field or file format; no files; labels for a family that has none.
    """
    where = f"own_tasks.{check_name(name, 'own_tasks')}"
    _check_languages(own, where)
    if own.family in FILES:
        for key in ("columns", "labels", "no_answer", "separator"):
            if getattr(own, key):
                raise UserError(f"the family {own.family} has no {key}", where=f"{where}.{key}", fix="Leave it out")
        return retrieval_spec(name, own.family, own.files, own.languages)
    _check(own, where)
    source, local = source_language(own.files, own.languages), local_files(own.files)
    return TaskSpec(
        name=name,
        family=cast("Family", own.family),
        languages=task_languages(own.files, own.languages),
        metric=_METRICS[own.family],
        folders=(".",),
        find=partial(find_files, local, source),
        read=partial(_read, own, source),
        layouts=tuple(" + ".join(names) for names in local.values()),
        labels=tuple(own.labels),
        open_labels=own.family in _LABELLED and not own.labels,
        source=source,
        no_answer=own.no_answer,
        # These two heads do not depend on the task.
        head=own.family if own.family in ("choice", "mlm") else "",
        splits=tuple(split for split in SPLITS if split in own.files),
        rootless=all(Path(file).is_absolute() for file in _names(own)),
        tables=tables(own.files, source),
        read_table=partial(_rows, own),
        licence="that of your data",
    )


def _check_languages(own: OwnTask, where: str) -> None:
    for code in own.languages:
        if not _CODE.fullmatch(code):
            fix = "Write codes such as de, zh-Hant or sr_Latn"
            raise UserError(f"{shown(code)} is no language", where=f"{where}.languages", fix=fix)
    if len(set(own.languages)) < len(own.languages):
        raise UserError("a language occurs twice", where=f"{where}.languages")


def _check(own: OwnTask, where: str) -> None:
    check_files(own.files, where)
    _check_columns(own, f"{where}.columns")
    for file in _names(own):
        if not _is_conll(own, file) and not may_be_folder(file):
            format_of(file, SUFFIXES if own.family == "token" else ())
    if own.labels and own.family not in _LABELLED:
        raise UserError(f"the family {own.family} has no labels", where=f"{where}.labels", fix="Leave them out")
    if len(set(own.labels)) < len(own.labels):
        raise UserError("a label occurs twice", where=f"{where}.labels")
    if own.separator and own.family != "multilabel":
        raise UserError(f"the family {own.family} has no separator", where=f"{where}.separator", fix="Leave it out")


def _check_columns(own: OwnTask, where: str) -> None:
    fields = FIELDS[own.family]
    known = (*fields.required, *fields.optional)
    for name in own.columns:
        if name not in known:
            fix = f"{own.family} has {', '.join(known)}; {nearest(name, known)}"
            raise UserError(f"unknown field '{name}'", where=where, fix=fix)
    conll, local = [_is_conll(own, file) for file in _names(own)], local_files(own.files)
    if _by_number(own) or (own.columns and conll and all(conll) and len(local) == len(own.files)):
        if len(local) < len(own.files):
            raise UserError("columns by number are for files, not for data sets of the Hub", where=where)
        conll_columns(own.columns, where)
        return
    for name, columns in own.columns.items():
        several = name in ("choices", *fields.joined) and isinstance(columns, list) and columns
        if not isinstance(columns, str) and not (several and all(isinstance(item, str) for item in columns)):
            raise UserError(f"'{name}' is no column's name ({columns})", where=where)


def _names(own: OwnTask) -> list[str]:
    return [name for names in local_files(own.files).values() for name in names]


def _by_number(own: OwnTask) -> bool:
    return own.family == "token" and any(isinstance(column, int) for column in own.columns.values())


def _is_conll(own: OwnTask, name: str) -> bool:
    return own.family == "token" and (_by_number(own) or suffix_of(name).lower() in SUFFIXES)


def _read(own: OwnTask, source: str, folder: Path, split: str, language: str) -> Iterator[Row | Quirk]:
    """Yield the rows of a split's files; UserError with the first name if they have none, beside what :func:`_rows`
    raises."""
    paths = find_files(local_files(own.files), source, folder, split, language)
    records = chain.from_iterable(_records(own, path, split) for path in paths)
    empty = True
    for row in _rows(own, records, split):
        empty = False
        yield row
    if empty:
        raise UserError(
            "no rows", where=(paths[0], 1), fix="Is there nothing below the header, or between blank lines?"
        )


def _records(own: OwnTask, path: Path, split: str) -> Iterable[tuple[Where, JsonObject] | Quirk]:
    if not _is_conll(own, path.name):
        return read_records(path)
    columns = Columns(**own.columns) if _by_number(own) else Columns()
    return read_conll(path, columns, may_lack_tags=split == "test")


def _rows(own: OwnTask, records: Iterable[tuple[Where, JsonObject] | Quirk], split: str) -> Iterator[Row | Quirk]:
    """Yield the rows; ids are the file's or made of row numbers, groups the file's or, by default, the ids: but
    questions on one context share a group."""
    seen: set[str] = set()
    first_with: dict[bytes, str] = {}
    present: tuple[str, ...] = ()
    number = -1
    for found in records:
        if isinstance(found, Quirk):
            yield found
            continue
        number, (where, record) = number + 1, found
        present = present or _fields_there(record, own, split)
        values = _values(record, own, present, split, where)
        key = f"{split}-{number}" if values["id"] is None else name_of(values["id"], "id", where)
        require_new(seen, key, where)
        row = own_row(own.family, values, (key, _group(values, key, first_with, where)), own.labels, where)
        if is_blank(row):
            if isinstance(row, TextRow):
                yield Quirk("blank text left out")
                continue
            yield Quirk("row without text, kept")
        _check_gold(row, values, own, split, where)
        yield row


def _columns_of(own: OwnTask, name: str) -> Any:
    """The column or columns of a field; in CoNLL files words and tags are called so."""
    columns = own.columns.get(name, name)
    return name if isinstance(columns, int) else columns


def _fields_there(record: JsonObject, own: OwnTask, split: str) -> tuple[str, ...]:
    """The fields that the file must have in every row: what it can do without is settled by its first row."""
    fields = FIELDS[own.family]

    def is_there(name: str) -> bool:
        if name == fields.gold and split == "test":
            return _columns_of(own, name) in record
        return name in fields.required or name in own.columns or name in record

    return tuple(filter(is_there, (*fields.required, *fields.optional)))


def _values(record: JsonObject, own: OwnTask, present: Sequence[str], split: str, where: Where) -> dict[str, Any]:
    values: dict[str, Any] = {}
    fields = FIELDS[own.family]
    for name in (*fields.required, *fields.optional):
        columns = _columns_of(own, name)
        if name in present:
            several = isinstance(columns, list)
            found = [column(record, c, where) for c in columns] if several else column(record, columns, where)
            values[name] = joined(found, name, where) if several and name in fields.joined else found
            if several and name == "choices":
                values[name] = given_choices(found)
        elif not isinstance(columns, list) and columns in record:
            raise UserError(f"column '{columns}' is not in the rows above", where=where, fix="Give it to all or none")
        else:
            values[name] = None
    if own.family == "multilabel":
        values["labels"] = _listed(values["labels"], own.separator, split, where)
    elif fields.gold and is_nothing(values[fields.gold]):
        values[fields.gold] = None
    return values


def _listed(cell: Any, separator: str, split: str, where: Where) -> Any:
    """The labels of a cell of text as a list where the entry says what stands between them; an empty cell is no label,
    unless it may also be gold that is withheld."""
    if cell == "" and split == "test":
        fix = "Write [] for a row that has no label; leave the column out where gold is withheld"
        raise UserError("labels is empty", where=where, fix=fix)
    if not isinstance(cell, str) or (cell and not separator):
        return cell
    if cell.strip() == "[]":
        return []
    return [label.strip() for label in cell.split(separator)] if cell else []


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
