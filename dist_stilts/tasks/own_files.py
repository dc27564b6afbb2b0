"""Where the splits of a user's task are: which file or data set of the Hub holds a language, and which language is the
source.

    files:
      train: train.csv                # of the source language; French is expected in train.fr.csv
      dev: "dev.{lang}.conll"
      test: {hub: Davlan/sib200, config: {en: eng_Latn, de: deu_Latn}, split: test, revision: 3f6ed0d}

The source language is English; of a task that lists its languages, the first of them, unless the names of its training
files say the language and English is listed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from dist_stilts.conventions import ENGLISH
from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.files import exists, shown
from dist_stilts.tasks.languages import XTREME_LANGUAGES
from dist_stilts.tasks.own_pairs import LANGUAGE
from dist_stilts.tasks.records import find_table, suffix_of
from dist_stilts.tasks.siblings import is_code
from dist_stilts.tasks.spec import HubTable

SPLITS = ("train", "dev", "test")
_HUB_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
"""What data sets of the Hub usually call them."""
_HUB_KEYS = ("hub", "config", "split", "revision")
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")


def check_files(files: Mapping[str, Any], where: str) -> None:
    """Refuse what is no file and no data set; whether a file can be read is not asked here.

    Raises:
        UserError: no files; an unknown split; neither a file's name nor a data set.
    """
    if not files:
        raise UserError("no files", where=where, fix="Give files: {train: FILE, dev: FILE}")
    for split, file in files.items():
        if split not in SPLITS:
            raise UserError(f"unknown split '{split}'", where=f"{where}.files", fix=nearest(split, SPLITS))
        if isinstance(file, Mapping):
            _check_table(file, f"{where}.files.{split}")
        elif not _names(file) or not all(isinstance(name, str) for name in _names(file)):
            fix = f"Give {split}: FILE, [FILE, FILE], or {{hub: OWNER/NAME, config: CONFIG}}"
            raise UserError(f"{shown(file)} is no file", where=f"{where}.files.{split}", fix=fix)


def _check_table(table: Mapping[str, Any], where: str) -> None:
    for key in table:
        if key not in _HUB_KEYS:
            raise UserError(f"unknown key '{key}'", where=where, fix=nearest(str(key), _HUB_KEYS))
    if not isinstance(table.get("hub"), str) or not _REPOSITORY.fullmatch(table["hub"]):
        fix = "Give hub: OWNER/NAME; a file is given by its name alone"
        raise UserError(f"{shown(table.get('hub'))} is no data set of the Hub", where=where, fix=fix)
    config = table.get("config")
    by_language = isinstance(config, Mapping) and config and all(isinstance(name, str) for name in config.values())
    if not by_language and not isinstance(config, str | None):
        fix = f"Give one name, with {LANGUAGE} in it, or one for each language: {{en: eng_Latn, de: deu_Latn}}"
        raise UserError(f"{shown(config)} is no config", where=f"{where}.config", fix=fix)
    for key in ("split", "revision"):
        if not isinstance(table.get(key), str | None):
            raise UserError(f"{shown(table[key])} is no {key}", where=f"{where}.{key}", fix="Quote it in the recipe")


def _names(file: Any) -> list[Any]:
    """The names of one file or of several; none where it is neither."""
    return [file] if isinstance(file, str) else list(file) if isinstance(file, list | tuple) else []


def local_files(files: Mapping[str, Any]) -> dict[str, list[str]]:
    """Split to the names of its files, of the splits that are files."""
    return {split: _names(file) for split, file in files.items() if not isinstance(file, Mapping)}


def may_be_folder(name: str) -> bool:
    """Whether a name may be that of a folder which the library ``datasets`` wrote (``save_to_disk``)."""
    return name.endswith("/") or not suffix_of(name)


def tables(files: Mapping[str, Any], source: str) -> dict[str, HubTable]:
    """Split to its data set, of the splits that are on the Hub."""
    return {
        split: HubTable(
            table["hub"], table.get("config"), table.get("split") or _HUB_SPLITS[split], table.get("revision"), source
        )
        for split, table in files.items()
        if isinstance(table, Mapping)
    }


def task_languages(files: Mapping[str, Any], languages: Sequence[str]) -> tuple[str, ...]:
    """Languages that the files may be in: those that the entry lists; else those of its configs, of XTREME if a name
    has ``{lang}``, and English."""
    if languages:
        return tuple(languages)
    found: list[str] = [ENGLISH]
    for file in files.values():
        config = file.get("config") if isinstance(file, Mapping) else " ".join(_names(file))
        if isinstance(config, Mapping):
            found += map(str, config)
        elif LANGUAGE in (config or ""):
            found += XTREME_LANGUAGES
    return tuple(dict.fromkeys(found))


def source_language(files: Mapping[str, Any], languages: Sequence[str]) -> str:
    """The language that is trained on unless a phase says otherwise; see above."""
    if not languages:
        return ENGLISH
    train = files.get("train")
    name = train.get("config") if isinstance(train, Mapping) else " ".join(_names(train))
    if isinstance(name, Mapping):
        there = [code for code in languages if code in name] or languages
        return ENGLISH if ENGLISH in there else there[0]
    return ENGLISH if ENGLISH in languages and LANGUAGE in (name or "") else languages[0]


def find_files(files: Mapping[str, Sequence[str]], source: str, folder: Path, split: str, language: str) -> list[Path]:
    """The files of a split in a language; a name that does not say the language is the source language's.

    Raises:
        UserError: a folder that is none of ``save_to_disk``, or that has several splits.
    """
    found: list[Path] = []
    for name in files[split]:
        there = _files_of(folder, _in_language(name, source, language))
        found += there if LANGUAGE in name else [file for file in there if _is_in(language, file, name)]
    return found or [folder / _in_language(files[split][0], source, language)]


def _is_in(language: str, file: Path, name: str) -> bool:
    """Whether a file that a pattern has found is in the language: ``a-*.csv`` fits ``a-1.de.csv``, too, which is what
    the German file beside ``a-1.csv`` is called."""
    codes = set(filter(is_code, file.name.split(".")[1:-1])) - set(PurePath(name).name.split("."))
    return codes <= {language}


def _in_language(called: str, source: str, language: str) -> Path:
    name = Path(called.replace(LANGUAGE, language))
    if language != source and LANGUAGE not in called:
        suffix = suffix_of(name.name)
        stem, packed = name.name.rsplit(suffix, 1) if suffix else (name.name, "")
        name = name.with_name(f"{stem}.{language}{suffix}{packed}")
    return name


def _files_of(folder: Path, name: Path) -> list[Path]:
    """What a name stands for: the shards in a folder, what a pattern finds, in the order of their names, or a file."""
    if (folder / name).is_dir():
        return _shards(folder / name)
    file = find_table(folder / name)
    return [file] if exists(file) else _matching(folder, name) or [file]


def _matching(folder: Path, name: Path) -> list[Path]:
    if not any(mark in str(name) for mark in "*?["):
        return []
    base, pattern = (Path(name.anchor), name.relative_to(name.anchor)) if name.is_absolute() else (folder, name)
    try:
        return sorted(path for path in base.glob(str(pattern)) if path.is_file())
    except (OSError, ValueError):  # no pattern that can be looked for
        return []


def _shards(folder: Path) -> list[Path]:
    if (folder / "dataset_dict.json").is_file():
        raise UserError("several splits in one folder", where=folder, fix=f"Name one of them: {folder.name}/train")
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        return [folder / file["filename"] for file in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = "Name a file, or a folder that datasets' save_to_disk wrote"
        raise UserError("a folder without a data set in it", where=folder, fix=fix) from error
