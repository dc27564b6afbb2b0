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

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dist_stilts.conventions import ENGLISH
from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.files import shown
from dist_stilts.tasks.languages import XTREME_LANGUAGES
from dist_stilts.tasks.own_pairs import LANGUAGE
from dist_stilts.tasks.records import find_table, suffix_of
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
        elif not isinstance(file, str):
            fix = f"Give {split}: FILE, or {{hub: OWNER/NAME, config: CONFIG}}"
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


def local_files(files: Mapping[str, Any]) -> dict[str, str]:
    """Split to the name of its file, of the splits that are files."""
    return {split: file for split, file in files.items() if isinstance(file, str)}


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
        config = file.get("config") if isinstance(file, Mapping) else file
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
    name = train.get("config") if isinstance(train, Mapping) else train
    if isinstance(name, Mapping):
        there = [code for code in languages if code in name] or languages
        return ENGLISH if ENGLISH in there else there[0]
    return ENGLISH if ENGLISH in languages and LANGUAGE in (name or "") else languages[0]


def find_file(files: Mapping[str, str], source: str, folder: Path, split: str, language: str) -> list[Path]:
    """The one file of a split in a language; a name that does not say the language is the source language's."""
    name = Path(files[split].replace(LANGUAGE, language))
    if language != source and LANGUAGE not in files[split]:
        suffix = suffix_of(name.name)
        stem, packed = name.name.rsplit(suffix, 1) if suffix else (name.name, "")
        name = name.with_name(f"{stem}.{language}{suffix}{packed}")
    return [find_table(folder / name)]
