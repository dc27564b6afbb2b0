"""Where rows come from: files below a data root or, without one, the Hub.

Promises: the same (task, split, language) gives the same rows in the same order; a slice of a split falls on the same
groups in every language; what cannot be had is one UserError that says what was expected, where, and what to do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from dist_stilts.conventions import ENGLISH, sha256_of_text, text_hash
from dist_stilts.errors import UserError, near, nearest
from dist_stilts.layout import translation_file
from dist_stilts.tasks.files import digest, exists, parse_object, read_whole, shown
from dist_stilts.tasks.hub import hub_config, hub_rows, table_records, table_revision
from dist_stilts.tasks.intact import require_intact
from dist_stilts.tasks.languages import TRANSLATABLE, in_order
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.rows_json import read_rows
from dist_stilts.tasks.spec import (
    RETRIEVAL,
    Bitext,
    HubSource,
    HubTable,
    MultiLabelRow,
    PairRow,
    Quirk,
    Row,
    TaggedRow,
    TaskSpec,
)

_MOST_NAMED = 8
"""Labels that are reported one by one."""
_SPLIT = re.compile(r"(?P<name>\w+)(\[((?P<lo>\d{1,3})%)?:((?P<hi>\d{1,3})%)?\])?")


@dataclass(frozen=True, slots=True)
class Split:
    """A split and the part of it that is meant, from ``lo`` up to but not including ``hi`` percent."""

    name: str
    lo: int = 0
    hi: int = 100


A_SPLIT = "dev, dev[:60%], dev[60%:] or dev[50%:60%]"


def parse_split(text: str) -> Split:
    """Read a split in the notation of ``datasets``, percentages only: ``dev``, ``dev[:60%]``, ``dev[50%:60%]``.

    Raises:
        UserError: not in that notation, or an empty range.
    """
    match = _SPLIT.fullmatch(text)
    if match:
        split = Split(match["name"], int(match["lo"] or 0), int(match["hi"] or 100))
        if split.lo < split.hi <= 100:
            return split
    raise UserError(f"bad split {shown(text)}", fix=f"Write {A_SPLIT}")


def in_slice(task: str, group: str, split: Split) -> bool:
    """Whether a group falls into the slice: its place in [0, 100) percent is a hash of task and group, nothing else."""
    place = int.from_bytes(text_hash(f"{task}\0{group}"), "big") * 100
    return split.lo << 64 <= place < split.hi << 64


def base_of(spec: TaskSpec, root: Path | None) -> Path | None:
    """The folder below which a task's files are looked for; None is the Hub. Whole paths need no data root."""
    return Path("/") if root is None and spec.rootless else root


def known_languages(spec: TaskSpec, root: Path | None) -> tuple[str, ...]:
    """Return the task's languages and, if it has more than one, the simulated ones that ``world.json`` declares."""
    if root is None and spec.hub:
        return tuple(language for language in spec.languages if language not in spec.hub.lacks)
    if len(spec.languages) == 1:
        return spec.languages
    # English is the other side of every retrieval task, never a language of its own.
    pivot = {ENGLISH} if spec.family in RETRIEVAL else set()
    return tuple(dict.fromkeys((*spec.languages, *(code for code in _simulated(root) if code not in pivot))))


def available_languages(spec: TaskSpec, root: Path | None, split: str) -> list[str]:
    """Return the publishers' languages whose files for the split are on disk, English first, then alphabetical."""
    name = _check_split(spec, split).name
    return [code for code in in_order(known_languages(spec, root)) if is_available(spec, root, name, code)]


def is_available(spec: TaskSpec, root: Path | None, split: str, lang: str) -> bool:
    """Whether all files of a split in a language are on disk, a translation of it included. What a recipe says that the
    Hub has is taken to be there; a task of ours that would be read from the Hub is not on disk."""
    if spec.parts:
        return all(is_available(part, root, split, lang) for part in _parts(spec))
    if split in spec.tables:
        return spec.tables[split].has(lang)
    root = base_of(spec, root)
    if root is None:
        return False
    if spec.family in RETRIEVAL:
        return all(map(exists, spec.find(task_folder(spec, root), split, lang)))
    return all(map(exists, _files(spec, root, split, lang)[0]))


def check_language(spec: TaskSpec, root: Path | None, lang: str) -> None:
    """Raise UserError, naming the nearest code, if the task has no such language and none of ours that local files may
    be a translation into."""
    known = known_languages(spec, root)
    translatable = () if root is None or spec.family in RETRIEVAL else TRANSLATABLE
    if lang not in known and lang not in translatable:
        raise UserError(f"{spec.name} has no language '{lang}'", fix=nearest(lang, {*known, *translatable}))


def check_source(spec: TaskSpec, root: Path | None) -> None:
    """Raise UserError if there is no data folder and the Hub does not have the task either."""
    if base_of(spec, root) is None:
        for part in _parts(spec) or [spec]:
            hub_source(part)


def task(name: str, root: Path | None) -> TaskSpec:
    """Return the task of that name; its labels, where they are open, are those of the training rows, sorted.

    Raises:
        UserError: unknown task; open labels, and no training rows in the source language to read them from.
    """
    spec = get_task(name)
    if not spec.open_labels or spec.labels:
        return spec
    revision = data_revision(spec, root, "train", spec.source)
    return replace(spec, labels=_open_labels(spec.name, root, revision))


@lru_cache(maxsize=16)
def _open_labels(name: str, root: Path | None, _revision: str) -> tuple[str, ...]:
    spec = get_task(name)
    rows = load_rows(spec, root, "train", spec.source)
    return tuple(sorted(set().union(*map(gold_labels, rows))))


def gold_labels(row: Row) -> set[str]:
    """The classes, labels or tags of a row; none where gold is withheld, and of other kinds of rows."""
    if isinstance(row, TaggedRow):
        return set(row.tags or ())
    if isinstance(row, MultiLabelRow):
        return set(row.labels or ())
    return {row.label} if isinstance(row, PairRow) and row.label is not None else set()


def _unseen(label: str, labels: Sequence[str], quirks: Counter[str]) -> str:
    """What to count a label under that no training row has: by its name, if not too many others are, and with the one
    that may be meant."""
    what = "which no training row has"
    alike = near(label[:40], (known for known in labels if known[1:2] != "-" or known[:2] == label[:2]))  # I- is not B-
    named = f"label {shown(label)}, {what}{f' (is {shown(alike[0])} meant?)' if alike else ''}"
    too_many = sum(what in known for known in quirks) >= _MOST_NAMED and named not in quirks
    return f"other label, {what}" if too_many else named


def task_folder(spec: TaskSpec, root: Path) -> Path:
    """Return the task's folder below the root: the first of its names that is there, or the first."""
    return next((root / name for name in spec.folders if (root / name).is_dir()), root / spec.folders[0])


def load_rows(spec: TaskSpec, root: Path | None, split: str, lang: str) -> list[Row]:
    """Return the examples of a split; arguments, order and errors as for :func:`stream_rows`."""
    return list(stream_rows(spec, root, split, lang, Counter()))


def stream_rows(spec: TaskSpec, root: Path | None, split: str, lang: str, quirks: Counter[str]) -> Iterator[Row]:
    """Yield the examples of a split, in file order, those of a composite task part by part.

    Args:
        root: the data folder; ``None`` asks the Hub.
        split: ``dev``, or a slice of it as :func:`parse_split` reads it.
        lang: one of the task's languages, or any into which its English rows were translated.
        quirks: counts what the readers mended or left out, and rows whose gold no training row has.

    Raises:
        UserError: unknown split or language, missing or bad files, no row left.
    """
    slice_ = _check_split(spec, split)
    check_language(spec, root, lang)
    empty = True
    for row in _rows(spec, root, slice_, lang):
        if isinstance(row, Quirk):
            quirks[row.what] += 1
        else:
            empty = False
            if spec.open_labels and spec.labels and (new := gold_labels(row) - set(spec.labels)):
                quirks[_unseen(min(new), spec.labels, quirks)] += 1
            yield row
    if empty:
        raise UserError(f"{spec.name} {split} for '{lang}' holds no example", where=root and task_folder(spec, root))


def _rows(spec: TaskSpec, root: Path | None, part: Split, lang: str) -> Iterator[Row | Quirk]:
    if spec.parts:
        for other in _parts(spec):
            for row in _rows(other, root, part, lang):
                mark = f"{other.name}/"
                yield row if isinstance(row, Quirk) else replace(row, id=mark + row.id, group=mark + row.group)
        return
    for row in _rows_of_split(spec, root, part.name, lang):
        if isinstance(row, Quirk) or in_slice(spec.name, row.group, part):
            yield row


def _rows_of_split(spec: TaskSpec, root: Path | None, split: str, lang: str) -> Iterable[Row | Quirk]:
    if spec.read_table and (table := _table(spec, split, lang)):
        return spec.read_table(table_records(spec.name, table, lang), split)
    base = base_of(spec, root)
    return hub_rows(spec, hub_source(spec), split, lang) if base is None else _local_rows(spec, base, split, lang)


def _table(spec: TaskSpec, split: str, lang: str) -> HubTable | None:
    """The data set of the Hub that is a split, if one is; UserError if it has no such language."""
    table = spec.tables.get(split)
    if table and not table.has(lang):
        have = ", ".join(code for code in spec.languages if table.has(code)) or "none"
        fix = f"Name one under own_tasks.{spec.name}.files.{split}.config; languages there: {have}"
        raise UserError(f"{spec.name} {split} has no config for '{lang}' of {table.path}", fix=fix)
    return table


def _parts(spec: TaskSpec) -> list[TaskSpec]:
    return [get_task(name) for name in spec.parts]


def _local_rows(spec: TaskSpec, root: Path, split: str, lang: str) -> Iterator[Row | Quirk]:
    _require_files(spec, root, split, lang)
    yield from _files(spec, root, split, lang)[1]()


def _files(spec: TaskSpec, root: Path, split: str, lang: str) -> tuple[list[Path], Callable[[], Iterator[Row | Quirk]]]:
    """The files of a split in a language, and what reads them: the publishers', else a translation of the source's,
    either as ``dist-stilts translate`` writes it or, below a folder called like the language, in their own layout."""
    if spec.read is None:
        raise UserError(f"{spec.name} is a retrieval task without labelled rows", fix="Use it for evaluation only")
    folder, read = task_folder(spec, root), spec.read
    files = spec.find(folder, split, lang)
    if lang != spec.source and (not all(map(exists, files)) or files == spec.find(folder, split, spec.source)):
        translated = translation_file(folder, split, lang)
        same_layout = spec.find(folder / lang, split, spec.source)
        # A file that is named by its whole path is the source language's, whatever the folder.
        if same_layout != spec.find(folder, split, spec.source) and all(map(exists, same_layout)):
            return same_layout, lambda: read(folder / lang, split, spec.source)
        # These files are not the language's own: where these are missing, a translation is what is expected.
        if exists(translated) or (lang not in spec.languages and not set(_simulated(root)) & {lang}):
            return [translated], lambda: read_rows(translated)
    return files, lambda: read(folder, split, lang)


def load_bitext(spec: TaskSpec, root: Path | None, split: str, lang: str) -> Bitext:
    """Return the two sides of a retrieval task; arguments and errors as for :func:`load_rows`, but no slices."""
    part = _check_split(spec, split)
    check_language(spec, root, lang)
    if part != Split(part.name):
        raise UserError(f"{spec.name} cannot be sliced ({shown(split)})", fix=f"Use {part.name}")
    if spec.read_bitext is None:
        raise UserError(f"{spec.name} is not a retrieval task", fix="Use tatoeba, bucc2018 or one of your own")
    root = base_of(spec, root)
    if root is None:
        raise _not_on_hub(spec)
    _require_files(spec, root, part.name, lang)
    return spec.read_bitext(task_folder(spec, root), part.name, lang)


def file_digests(spec: TaskSpec, root: Path | None, split: str, lang: str) -> dict[str, str]:
    """Return what the rows depend on, for cache keys: path below the root to SHA-256; Hub repository to revision."""
    part = _check_split(spec, split)
    check_language(spec, root, lang)
    if spec.parts:
        return {key: value for other in _parts(spec) for key, value in file_digests(other, root, split, lang).items()}
    if table := _table(spec, part.name, lang):
        return {f"{table.path}/{table.config_of(lang) or 'default'}/{table.split}": table_revision(table)}
    base = base_of(spec, root)
    if base is None:
        hub = hub_source(spec)
        return {f"{hub.path}/{hub_config(hub, lang) or 'default'}/{part.name}": hub.revision}
    return {_name_below(path, root): digest(path) for path in _require_files(spec, base, part.name, lang)}


def _check_split(spec: TaskSpec, text: str) -> Split:
    part = parse_split(text)
    if part.name not in spec.splits:
        source = f"It is trained on {spec.trained_on}" if part.name == "train" and spec.trained_on else ""
        raise UserError(f"{spec.name} has no split '{part.name}'", fix=source or nearest(part.name, spec.splits))
    return part


def _name_below(path: Path, root: Path | None) -> str:
    return path.relative_to(root).as_posix() if root and path.is_relative_to(root) else path.name


def _require_files(spec: TaskSpec, root: Path, split: str, lang: str) -> list[Path]:
    retrieval = spec.family in RETRIEVAL
    files = spec.find(task_folder(spec, root), split, lang) if retrieval else _files(spec, root, split, lang)[0]
    missing = [f"{path} (or compressed, or in an archive)" for path in files if not exists(path)]
    if missing:
        here = ", ".join(available_languages(spec, root, split)) or "none"
        way = "Put it there" if spec.rootless else "Put it there or set data.root=DIR"
        raise UserError(
            f"{spec.name} {split} for '{lang}' is not on disk: expected {' and '.join(missing)}",
            fix=f"{way}; languages on disk: {here}",
        )
    require_intact(files, root)
    return files


def _simulated(root: Path | None) -> list[str]:
    path = root / "world.json" if root else None
    if path is None or not path.is_file():
        return []
    languages = parse_object(read_whole(path), path).get("languages")
    entries: Iterable[Any] = languages if isinstance(languages, dict | list) else [None]
    codes = [entry.get("code") if isinstance(entry, dict) else entry for entry in entries]
    known = [code for code in codes if isinstance(code, str)]
    if len(known) < len(codes):
        raise UserError("no language codes", where=path, fix='Expected "languages": {"en": {...}, "qaa": {...}}')
    return known


def hub_source(spec: TaskSpec) -> HubSource:
    """Return where the Hub has the task; UserError if it is read from local files only."""
    if spec.hub is None:
        raise _not_on_hub(spec)
    return spec.hub


def _not_on_hub(spec: TaskSpec) -> UserError:
    own = spec.is_own
    fix = f"Set data.root=DIR (or --data DIR), with {'your files' if own else f'DIR/{spec.folders[0]}/'} in it"
    fix += ", or name them by their whole paths" if own else ""
    return UserError(f"{spec.name} is read from local files only", fix=fix)


def data_revision(spec: TaskSpec, root: Path | None, split: str, lang: str) -> str:
    """Return a short hash of :func:`file_digests`: equal data, equal revision, wherever the files lie."""
    digests = sorted(file_digests(spec, root, split, lang).items())
    return sha256_of_text(repr(digests))[:12]
