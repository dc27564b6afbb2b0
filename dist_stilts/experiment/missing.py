"""What a recipe needs and has not: models, files, columns, labels, numbers that do not fit; all of it, not the first.

Nothing is fetched and no network is asked; of each file only the first rows are read.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from dist_stilts.conventions import ENGLISH
from dist_stilts.errors import UserError
from dist_stilts.evaluate.suite import languages_of
from dist_stilts.experiment.check import looks_at_settings
from dist_stilts.experiment.claim import check_folder
from dist_stilts.experiment.fits import foresee
from dist_stilts.experiment.forecast import check_sizes
from dist_stilts.experiment.plan import Run, folder_of, has_dev
from dist_stilts.experiment.run_config import FROM_ENCODER, FROM_RANDOM, Recipe
from dist_stilts.experiment.training_data import data_root, tokenizer_name
from dist_stilts.model.adapters import is_adapter, read_adapter
from dist_stilts.model.folders import TOKENIZER_FILES, check_tokenizer, examine, located, what_there_is
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import base_of, check_source, load_bitext, stream_rows
from dist_stilts.tasks.spec import RETRIEVAL, PairRow, TaggedRow
from dist_stilts.writing import check_room

OWN_ROWS, FIRST_ROWS = 10_000, 20
"""Rows that are read of each of the user's own files, and of a published one."""
Part = tuple[str, tuple[str, ...]]
"""What a model's folder has, and the files of which one is it."""
CONFIG: Part = ("config.json", ("config.json",))
WEIGHTS: Part = ("weights", ("*.safetensors", "pytorch_model*.bin"))
TOKENIZER: Part = ("tokenizer", TOKENIZER_FILES)
BASE = ", the adapter's base"


@dataclass
class Findings:
    """What was found.

    Attributes:
        missing: why it could not start, a line each; fetched: what will come from the Hub; notes: what is only odd.
        model_is_here: whether the encoder need not be fetched.
    """

    missing: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    model_is_here: bool = True

    def tried(self, look: Callable[[], object]) -> bool:
        """Whether a look goes well; what it finds wrong is kept, once."""
        try:
            look()
        except UserError as error:
            if str(error) not in self.missing:
                self.missing.append(str(error))
            return False
        return True


def find_missing(recipe: Recipe, runs: Sequence[Run], ranks: int) -> Findings:
    """Look for everything that the runs, which are not done yet, need."""
    found = Findings()
    for run in runs:
        found.tried(lambda run=run: check_folder(run, folder_of(recipe).run(run.name)))  # type: ignore[misc]
    for look in looks_at_settings(recipe, runs, ranks):
        found.tried(look)
    if runs:
        found.tried(lambda: check_room(folder_of(recipe)))
        found.tried(lambda: check_sizes(runs, recipe))
        _look_for_models(recipe, runs, found)
        wrong, notes = foresee(recipe, runs)
        found.missing += [line for line in wrong if line not in found.missing]
        found.notes += notes
        _look_for_data(recipe, runs, found)
    return found


def _look_for_models(recipe: Recipe, runs: Sequence[Run], found: Findings) -> None:
    encoder, starts = recipe.encoder, {run.lineage()[0].start for run in runs}
    if FROM_ENCODER in starts and not encoder.path:
        found.missing.append("nothing says which encoder to start from. Set encoder.path=MODEL")
    elif FROM_ENCODER in starts or (FROM_RANDOM in starts and not encoder.config and encoder.path):
        parts = (CONFIG, WEIGHTS) if encoder.tokenizer else (CONFIG, WEIGHTS, TOKENIZER)
        found.tried(lambda: _look_for_model("encoder.path", encoder.path or "", encoder.revision, parts, found))
    if encoder.tokenizer == "simulated" and recipe.data.simulate:
        return  # it is made with the world
    if encoder.tokenizer or not encoder.path:
        found.tried(
            lambda: _look_for_model("encoder.tokenizer", tokenizer_name(recipe), encoder.revision, (TOKENIZER,), found)
        )


def _look_for_model(key: str, name: str, revision: str | None, parts: Sequence[Part], found: Findings) -> None:
    """UserError for a folder that lacks what is needed of it, and for a name that is no model's."""
    found_here = Path(name) if Path(name).is_dir() else _cached(name, revision)
    folder = found_here and located(found_here)
    if folder is None:
        if name.startswith((".", "/", "~")) or name.count("/") > 1:
            raise UserError(f"{key}: no such model folder", where=name, fix="Give a folder, or a Hub name: owner/model")
        if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
            fix = f"Run `hf download {shlex.quote(name)}` where there is a network"
            raise UserError(f"{key}: '{name}' is not in the Hub's cache, and HF_HUB_OFFLINE is set", fix=fix)
        found.model_is_here &= not key.startswith("encoder.path")
        found.fetched.append(f"{name} ({'tokenizer' if key.endswith('tokenizer') else 'model'})")
        return
    lacking = [part for part in parts if not any(any(folder.glob(name)) for name in part[1])]
    if is_adapter(folder) and not key.endswith(BASE):
        examine(folder)
        adapter, wanted = read_adapter(folder), [part for part in parts if part in lacking or part is WEIGHTS]
        _look_for_model(f"{key}{BASE}", adapter.base_model_name_or_path, adapter.revision, wanted, found)
    elif lacking:
        what = " and no ".join(what for what, _ in lacking)
        raise UserError(f"{key}: the folder has no {what}", where=folder, fix=what_there_is(folder))
    elif WEIGHTS in parts:
        examine(folder)
    if TOKENIZER in parts:
        check_tokenizer(folder)


def _cached(name: str, revision: str | None) -> Path | None:
    """The folder of a model of the Hub in the cache of this host, if it is there."""
    from transformers.utils.hub import cached_file

    try:
        config = cached_file(name, "config.json", revision=revision, local_files_only=True)
    except (OSError, ValueError):
        return None
    return Path(config).parent if config else None


def _look_for_data(recipe: Recipe, runs: Sequence[Run], found: Findings) -> None:
    root = data_root(recipe)
    if recipe.data.simulate and root and not root.is_dir():
        return  # it is made before the first run
    if root and not root.is_dir():
        found.missing.append(f"{root}: the data folder does not exist. Set data.root=DIR")
        return
    wanted = _wanted(runs)
    here = {task: _base(task, root) for task, _ in wanted}
    away = [task for task, base in here.items() if not base]
    hub = [task for task in away if found.tried(lambda task=task: check_source(get_task(task), root))]  # type: ignore[misc]
    found.fetched += [f"{', '.join(hub)} (data)"] if hub else []
    labels: dict[str, set[str]] = {}
    for (task, split), languages in wanted.items():
        if base := here[task]:
            _look_for_split(task, split, sorted(languages), base, found, labels)


def _base(task: str, root: Path | None) -> Path | None:
    """The folder below which a task's files are; None if it comes from the Hub."""
    spec = get_task(task)
    return root if root is None and spec.tables else base_of(spec, root)


def _wanted(runs: Sequence[Run]) -> dict[tuple[str, str], set[str]]:
    """Task and split to languages (``all`` among them), training first: all that the runs read."""
    found: dict[tuple[str, str], set[str]] = {}
    for run in runs:
        for name, train in run.tasks.items():
            found.setdefault((name, train.split), set()).update(train.languages)
            if train.dev and has_dev(name, train):
                found.setdefault((name, train.dev), set()).add(ENGLISH)
    for run in runs:
        for name, scored in run.evaluate.items():
            bucc = ["dev"] if get_task(name).family == "bucc" else []  # dev has the threshold
            for split in dict.fromkeys([*scored.splits, *bucc]):
                found.setdefault((name, split), set()).update(scored.languages)
    return found


def _look_for_split(
    task: str, split: str, wanted: list[str], root: Path, found: Findings, labels: dict[str, set[str]]
) -> None:
    """Look into the files of a split; those of several languages that cannot be read alike are one finding."""
    spec = get_task(task)
    try:
        named = [code for code in wanted if code != "all"]
        codes = dict.fromkeys([*named, *(languages_of(spec, root, split, ["all"]) if "all" in wanted else ())])
    except UserError as error:
        found.missing.append(str(error))
        return
    refused: dict[str, str] = {}
    for code in codes:
        try:
            unknown = _read_first(task, split, code, root, labels)
        except UserError as error:
            refused[code] = str(error)
            continue
        if unknown:
            found.notes.append(f"{task} {split} for '{code}' has labels that train lacks: {', '.join(unknown)}")
    if refused:
        first, *others = refused
        found.missing.append(refused[first] + (f" (and so for {', '.join(others)})" if others else ""))


def _read_first(task: str, split: str, language: str, root: Path, labels: dict[str, set[str]]) -> list[str]:
    """Read the first rows of a file; returns labels of the user's own tasks that the training rows do not have."""
    spec = get_task(task)
    if spec.family in RETRIEVAL:
        load_bitext(spec, root, split, language)
        return []
    own = spec.folders == (".",)
    rows = list(islice(stream_rows(spec, root, split, language, Counter()), OWN_ROWS if own else FIRST_ROWS))
    seen = set(_labels(rows)) if own and spec.open_labels else set()
    known = labels.setdefault(task, seen)  # training comes first
    return sorted(seen - known)[:5] if len(rows) < OWN_ROWS else []


def _labels(rows: Sequence[object]) -> Iterator[str]:
    for row in rows:
        if isinstance(row, PairRow) and row.label is not None:
            yield row.label
        elif isinstance(row, TaggedRow):
            yield from row.tags or ()
