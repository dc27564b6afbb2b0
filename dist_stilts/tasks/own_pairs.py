"""Retrieval sets of the user's own: two aligned files (family ``tatoeba``), or two sides and their gold (``bucc``).

    own_tasks:
      my_pairs:                 # line n of one file translates line n of the other; accuracy in both directions
        family: tatoeba
        files: {test: ["my.{lang}.txt", my.en.txt]}
        languages: [de, fi]
      my_corpora:               # lines of `id, sentence` twice, then of `source id, target id`; F1 of mined pairs
        family: bucc
        files: {dev: [dev.de, dev.en, dev.gold], test: [test.de, test.en, test.gold]}
        languages: [de]

Files are plain or packed (.gz, .bz2, .xz, .zst), relative to the data root or absolute; ``{lang}`` stands for the
language.
Promises: they are read and scored by the code that reads and scores Tatoeba and BUCC; a mistake in the entry is a
UserError when the recipe is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from dist_stilts.conventions import ENGLISH
from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.archives import PACKED
from dist_stilts.tasks.files import exists, shown
from dist_stilts.tasks.languages import XTREME_LANGUAGES
from dist_stilts.tasks.read_bitext import read_aligned, read_comparable, with_text
from dist_stilts.tasks.records import find_table
from dist_stilts.tasks.spec import Bitext, Family, TaskSpec

LANGUAGE = "{lang}"
FILES = {"tatoeba": ("SOURCE", "TARGET"), "bucc": ("SOURCE", "TARGET", "GOLD")}
"""The retrieval families and the files of each of their splits."""
UNDETERMINED = "und"
"""The code of ISO 639-2 for a language that is not known."""
_SPLITS = ("dev", "test")
_METRICS = {"tatoeba": "accuracy", "bucc": "f1"}
_READERS: dict[str, Callable[..., Bitext]] = {"tatoeba": read_aligned, "bucc": read_comparable}
_PLACEHOLDER = re.compile(r"\{.*?\}")
_Files = Mapping[str, Sequence[str]]


def retrieval_spec(name: str, family: str, files: Mapping[str, Any], languages: Sequence[str]) -> TaskSpec:
    """Return the task of an entry whose family is in :data:`FILES`.

    Args:
        files: split to its files.
        languages: those of the source side; none = XTREME's, if the name of the source has ``{lang}``.

    Raises:
        UserError: unknown split, another number of files, no or too many languages for the names, ``bucc`` without dev.
    """
    where = f"own_tasks.{name}"
    if not files:
        raise UserError("no files", where=where, fix=f"Give files: {{test: {_wanted(family)}}}")
    for split, paths in files.items():
        if split not in _SPLITS:
            raise UserError(f"retrieval has no split '{split}'", where=f"{where}.files", fix=nearest(split, _SPLITS))
        _check_files(family, paths, f"{where}.files.{split}")
        _check_languages(paths, languages, where)
    if family == "bucc" and "dev" not in files:
        fix = f"Give dev: {_wanted(family)}; a set that has no dev set is one itself"
        raise UserError("no dev files to tune the threshold on", where=f"{where}.files", fix=fix)
    return TaskSpec(
        name=name,
        family=cast("Family", family),
        languages=tuple(languages) or tuple(code for code in XTREME_LANGUAGES if code != ENGLISH),
        metric=_METRICS[family],
        folders=(".",),
        find=partial(_find, files),
        read_bitext=partial(_read, family, files),
        layouts=tuple(" + ".join(paths) for paths in files.values()),
        splits=tuple(split for split in _SPLITS if split in files),
        rootless=all(Path(path).is_absolute() for paths in files.values() for path in paths),
        licence="that of your data",
    )


def pair_spec(source: Path, target: Path, language: str = UNDETERMINED) -> TaskSpec:
    """Return the task of two aligned files that no recipe names: ``test``, called like the files.

    Raises:
        UserError: one of the files is missing.
    """
    paths = [str(path.absolute()) for path in (source, target)]
    for path in paths:
        if not exists(find_table(Path(path))):
            raise UserError(
                f"no such file (nor with {', '.join(PACKED[1:])})", where=path, fix="Give two files, line by line"
            )
    return retrieval_spec(f"{source.name}+{target.name}", "tatoeba", {"test": paths}, [language])


def _wanted(family: str) -> str:
    return f"[{', '.join(FILES[family])}]"


def _check_files(family: str, paths: Any, where: str) -> None:
    fix = f"Give {_wanted(family)}"
    if not isinstance(paths, list) or len(paths) != len(FILES[family]):
        raise UserError(f"{family} reads {len(FILES[family])} files", where=where, fix=fix)
    for path in paths:
        if not isinstance(path, str):
            raise UserError(f"{shown(path)} is no file", where=where, fix=f"{fix}; quote names that have braces")
        if unknown := [found for found in _PLACEHOLDER.findall(path) if found != LANGUAGE]:
            raise UserError(f"'{unknown[0]}' stands for nothing", where=where, fix=f"Write {LANGUAGE}")


def _check_languages(paths: Sequence[str], languages: Sequence[str], where: str) -> None:
    if LANGUAGE in paths[0]:
        return
    if not languages:
        raise UserError("no language", where=f"{where}.languages", fix="Give that of the source, such as [de]")
    if len(languages) > 1:
        fix = f"Write {LANGUAGE} where its name has the language"
        raise UserError(f"one source file for {len(languages)} languages", where=f"{where}.files", fix=fix)


def _find(files: _Files, folder: Path, split: str, language: str) -> list[Path]:
    return [find_table(folder / name.replace(LANGUAGE, language)) for name in files[split]]


def _read(family: str, files: _Files, folder: Path, split: str, language: str) -> Bitext:
    """Read a split; sentences without text are passed over and counted. UserError if none has any."""
    paths = _find(files, folder, split, language)
    bitext = with_text(_READERS[family](*paths, may_be_blank=True), aligned=family == "tatoeba")
    if not (bitext.source and bitext.target):
        raise UserError("no sentence has text", where=paths[0 if not bitext.source else 1])
    return bitext
