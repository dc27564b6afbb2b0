"""What comes from the Hub: data sets of ours and of users, and models. No other module touches the network.

Promises: a data set is read at one commit, which is known; what cannot be had is one UserError that says what was asked
for and what to do.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from dist_stilts.conventions import JsonObject
from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.files import Where
from dist_stilts.tasks.spec import HubSource, HubTable, Quirk, Row, TaskSpec

ETAG_SECONDS = 10


def hub_config(hub: HubSource, lang: str) -> str | None:
    """The configuration of one of our tasks that has a language."""
    return hub.config.format(lang=hub.codes.get(lang, lang)) if hub.config else None


def hub_rows(spec: TaskSpec, hub: HubSource, split: str, lang: str) -> list[Row | Quirk]:
    """Load a split of one of our tasks.

    Raises:
        UserError: no such split, or the Hub cannot be asked for it now.
    """
    if split not in hub.splits:
        raise UserError(f"{hub.path} has no split '{split}'", fix=nearest(split, hub.splits))
    try:
        import datasets

        records = datasets.load_dataset(hub.path, hub_config(hub, lang), split=hub.splits[split], revision=hub.revision)
        kept = (record for record in records if hub.keeps is None or hub.keeps(record, lang))
        rows = [hub.to_row(number, record, split) for number, record in enumerate(kept)]
    # datasets and the network below it raise dozens of types; to the user they are one fact with one remedy.
    except Exception as error:
        fix = f"Set data.root=DIR (or --data DIR), with DIR/{spec.folders[0]}/ in it, to read local files"
        raise _not_loaded(f"{spec.name} {split}", lang, hub.path, error, fix) from error
    return [Quirk("row without gold") if row is None else row for row in rows]


def table_records(task: str, table: HubTable, lang: str) -> Iterator[tuple[Where, JsonObject]]:
    """Yield (where, column to value) of a data set that a user names; classes by their names, None where withheld.

    ``where`` is the data set and the row's number from 1, as if it were a file.

    Raises:
        UserError: no such data set, configuration or split, or the Hub cannot be asked for it now.
    """
    config, revision = table.config_of(lang), table_revision(table)
    try:
        import datasets

        rows = datasets.load_dataset(table.path, config, split=table.split, revision=revision)
        named = {name: _named(feature) for name, feature in (getattr(rows, "features", None) or {}).items()}
    except Exception as error:  # many types, one fact and one remedy, as above
        fix = "Check the names of data set, config and split; where there is no network, give a file in their place"
        raise _not_loaded(f"{task} {table.split}", lang, table.path, error, fix) from error
    place = Path(table.path, config or "", table.split)
    for number, row in enumerate(rows, start=1):
        yield (place, number), {name: named.get(name, _as_it_is)(value) for name, value in row.items()}


def table_revision(table: HubTable) -> str:
    """The commit of a user's data set: the recipe's, else the newest now, within a process always the same.

    Raises:
        UserError: the recipe has none, and neither the Hub nor its cache on this machine can be asked.
    """
    return table.revision or _newest(table.path)


@lru_cache(maxsize=64)
def _newest(path: str) -> str:
    from huggingface_hub import HfApi, constants

    try:
        if not (commit := HfApi().dataset_info(path, timeout=ETAG_SECONDS).sha):
            raise ValueError("no commit")
        return commit
    except Exception as error:  # as above
        known = Path(constants.HF_HUB_CACHE, f"datasets--{path.replace('/', '--')}", "refs", "main")
        if known.is_file():
            return known.read_text(encoding="utf-8").strip()
        raise UserError(
            f"cannot ask the Hub for the newest revision of the data set {path} ({_reason(error)})",
            fix="Check its name; or name the revision in the recipe, or give a file in its place",
        ) from error


def _named(feature: Any) -> Callable[[Any], Any]:
    """How values of a column become what a file would hold: numbers of classes become the classes' names."""
    if hasattr(feature, "int2str"):
        return lambda value: None if value is None or value < 0 else feature.int2str(value)
    inner = getattr(feature, "feature", None)
    if inner is not None and hasattr(inner, "int2str"):
        name = _named(inner)
        return lambda values: None if values is None else [name(value) for value in values]
    return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _not_loaded(what: str, lang: str, path: str, error: Exception, fix: str) -> UserError:
    return UserError(f"cannot load {what} for '{lang}' from the Hub repository {path} ({_reason(error)})", fix=fix)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"


def fetch_model(path: str, revision: str | None) -> Path:
    """Return the folder of a model: ``path`` itself if it is one, else its snapshot from the Hub (or the Hub's cache).

    Raises:
        UserError: neither a folder nor a model that the Hub can be asked for now.
    """
    folder = Path(path)
    if folder.is_dir():
        return folder
    if path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise UserError(
            "no such model folder", where=path, fix="Give a folder that exists, or a Hub name like owner/model"
        )
    return _snapshot(path, revision)


def _snapshot(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    wanted = ["*.json", "*.txt", "*.model", "model*.safetensors", "adapter_model.*"]
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=wanted, etag_timeout=ETAG_SECONDS))
        if not any(folder.glob("model*.safetensors")):  # older models have no other form
            wanted = [*wanted, "pytorch_model*.bin*"]
            folder = Path(snapshot_download(name, revision=revision, allow_patterns=wanted, etag_timeout=ETAG_SECONDS))
        return folder
    except Exception as error:  # many types, one fact and one remedy, as above
        raise UserError(
            f"cannot get the model '{name}' from the Hub ({type(error).__name__})",
            fix=f"Run `hf download {shlex.quote(name)}` where there is a network, or give a local folder",
        ) from error
