"""Translates the English rows of a task into further languages; all ranks call it, each translates its own batches.

    English rows --plan--> batches --each rank, its own--> parts on disk --rank 0--> <split>-<language>.jsonl and .json

Promises: the same file at every number of ranks; a run that was killed goes on from its parts, which are used for the
same English texts, model and settings only; the file is whole or absent; one that is there is never made again.
"""

from __future__ import annotations

import datetime
import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import torch

from dist_stilts import checksums
from dist_stilts.config import differences
from dist_stilts.conventions import ENGLISH, OnProgress, fingerprint
from dist_stilts.errors import UserError
from dist_stilts.families.family import Family
from dist_stilts.families.kinds import family_of
from dist_stilts.layout import translation_file, translation_parts, translation_record
from dist_stilts.once import hold
from dist_stilts.parallel.collectives import barrier, broadcast_value
from dist_stilts.parallel.world import World
from dist_stilts.state_files import Count, read_state
from dist_stilts.tasks.files import sha256
from dist_stilts.tasks.hub import fetch_model
from dist_stilts.tasks.intact import require_translation
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.rows_json import row_to_json
from dist_stilts.tasks.sources import load_rows, parse_split, task_folder
from dist_stilts.tasks.spec import RETRIEVAL, Row, TaskSpec
from dist_stilts.translate.batches import Plan, plan
from dist_stilts.translate.parts import appending, read
from dist_stilts.translate.rows import translated
from dist_stilts.translate.translator import Translator, load_translator
from dist_stilts.writing import check_file, check_folder, write_text

CODE_VERSION = 1
"""Raise it when the same request would give another file."""
BATCHES_PER_TURN = 4
"""How far ranks run apart; that many batches must take less than a collective's time-out."""
MODEL_FILES = (".json", ".txt", ".model", ".safetensors", ".bin")

Load = Callable[[Path, int, int, torch.device], Translator]


@dataclass(frozen=True)
class Request:
    """What to translate, and with what.

    Attributes:
        data: root of the English data; ``None`` asks the Hub.
        out: a data root; best the same one, so that English and translation are found together.
        split: may be a slice; the file is named after the whole split, since a slice is of groups in every language.
        languages: ISO 639-1 codes.
        model, revision: Hub name or local folder of a model of NLLB's or M2M100's type; Hub commit, branch or tag.
        limit: only the first rows.
        batch_size: pieces of text per rank and forward pass.
        beams: 1 is greedy.
        max_length: most tokens per piece of text; longer texts are translated in pieces.
    """

    spec: TaskSpec
    data: Path | None
    out: Path
    split: str
    languages: list[str]
    model: str
    revision: str | None = None
    limit: int | None = None
    batch_size: int = 16
    beams: int = 1
    max_length: int = 256


class Record(TypedDict):
    """What is needed of a file's record; it holds more."""

    counts: dict[str, Count]


@dataclass(frozen=True)
class Outcome:
    """One translated split: its file, what its record says, whether it was made now or was there already."""

    path: Path
    record: dict[str, Any]
    made: bool

    def line(self) -> str:
        """The outcome as one line."""
        if not self.made:
            return f"nothing to do: {self.path} is there"
        rest = [f"{count} {what}" for what, count in self.record["counts"].items() if count and what != "rows written"]
        return f"{self.record['counts']['rows written']} rows in {self.path} ({', '.join(rest)})"


def translate(
    request: Request, world: World, progress: OnProgress | None = None, load: Load = load_translator
) -> list[Outcome]:
    """Write ``<out>/<task folder>/translated/<split>-<language>.jsonl`` and a record of what made it, per language and,
    of a composite task, per part. Every rank calls it.

    Raises:
        UserError: a task without texts to translate, no such language, not such a model, missing data, or another
            translation in the file's place.
    """
    targets, specs = _targets(request.languages), _translatable(request.spec)
    _require_room(request, specs, targets)
    folder = fetch_model(request.model, request.revision)
    weights = broadcast_value(_digest(folder) if world.is_main else "")
    translator: Translator | None = None
    outcomes = []
    for spec in specs:
        rows = load_rows(spec, request.data, request.split, ENGLISH)[: request.limit]
        english = fingerprint([row_to_json(row) for row in rows])
        for language in targets:
            file = translation_file(task_folder(spec, request.out), parse_split(request.split).name, language)
            what = _what(request, spec, language, english, weights)
            record = _finished(file, what)
            made = record is None
            if record is None:
                if translator is None:
                    translator = load(folder, request.beams, request.max_length, world.device)
                    for target in targets:
                        translator.require(target)
                how = _how(request, folder, translator)
                record = Work(family_of(spec), rows, language, file, what, how, translator, world).run(progress)
            outcomes.append(Outcome(file, record, made))
    return outcomes


@dataclass(frozen=True)
class Work:
    """One file to be made: ``what`` decides its content, ``how`` the last digits of the model's arithmetic at most."""

    kind: Family
    rows: list[Row]
    language: str
    file: Path
    what: dict[str, Any]
    how: dict[str, Any]
    translator: Translator
    world: World

    def run(self, progress: OnProgress | None) -> dict[str, Any]:
        """Translate what is not yet translated, and write the file; returns its record, on every rank."""
        parts = translation_parts(self.file, fingerprint([self.what, self.how["batch_size"], self.how["dtype"]]))
        held = hold(parts / ".lock") if self.world.is_main else None
        if not broadcast_value(held is not None):
            raise UserError("another program is translating this", where=self.file)
        try:
            if record := broadcast_value(_finished(self.file, self.what) if self.world.is_main else None):
                return record  # of another program, which had just come to its end
            texts = (text for row in self.rows for text in self.kind.to_translate(row))
            plan_ = plan(texts, self.translator.length, self.translator.limit, self.how["batch_size"])
            self._translate(plan_, parts, progress)
            barrier()
            record = broadcast_value(self._write(plan_, parts) if self.world.is_main else {})
            if held:
                shutil.rmtree(parts, ignore_errors=True)  # another program may be looking for the lock
        finally:
            if held:
                held.release()
        return record

    def _translate(self, plan_: Plan, parts: Path, progress: OnProgress | None) -> None:
        done = broadcast_value(sorted(read(parts, plan_.sizes, tell=True)) if self.world.is_main else [])
        left = sorted(set(range(len(plan_.batches))) - set(done))
        title = f"translating {self.what['task']} {self.what['split']} {self.language}"
        per_turn = BATCHES_PER_TURN * self.world.size
        with appending(parts, self.world.rank) as append:
            for start in range(0, len(left), per_turn):
                turn = left[start : start + per_turn]
                for batch in turn[self.world.rank :: self.world.size]:
                    append(batch, self.translator(plan_.batches[batch], self.language))
                barrier()  # no rank runs ahead
                if progress:
                    progress(title, len(done) + start + len(turn), len(plan_.batches))

    def _write(self, plan_: Plan, parts: Path) -> dict[str, Any]:
        found = read(parts, plan_.sizes)
        if missing := len(plan_.batches) - len(found):
            raise UserError(
                f"{missing} of {len(plan_.batches)} batches are not in the folder",
                where=parts,
                fix="All hosts must see one output folder",
                everywhere=False,
            )
        pieces = {
            piece: one
            for number, batch in enumerate(plan_.batches)
            for piece, one in zip(batch, found[number], strict=True)
        }
        texts = {piece: one.text for piece, one in pieces.items()}
        counts: Counter[str] = Counter()
        say = partial(plan_.join, translations=texts, language=self.language)
        rows = [translated(self.kind, row, say, counts) for row in self.rows]
        lines = [json.dumps(row_to_json(row), ensure_ascii=False) + "\n" for row in rows if row]
        if not lines:
            raise UserError(f"none of {len(rows)} rows came through ({dict(counts)})", fix="Try another model")
        record = {
            **self.what,
            **self.how,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "counts": {
                "English rows": len(rows),
                "rows written": len(lines),
                **dict(sorted(counts.items())),
                "different texts": len(plan_.pieces),
                "texts translated in pieces": sum(len(some) > 1 for some in plan_.pieces.values()),
                "pieces that the model did not end": sum(one.cut for one in pieces.values()),
            },
        }
        record["content"] = checksums.of_text("".join(lines))
        # The rows last: where they are, their record is.
        write_text(translation_record(self.file), json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        write_text(self.file, "".join(lines))
        return record


def _require_room(request: Request, specs: Sequence[TaskSpec], languages: Sequence[str]) -> None:
    """UserError if a file that is not there yet cannot be written."""
    for spec in specs:
        for language in languages:
            file = translation_file(task_folder(spec, request.out), parse_split(request.split).name, language)
            if not file.is_file():
                for path in (file, translation_record(file)):
                    check_folder(path.parent)
                    check_file(path)


def _targets(languages: list[str]) -> list[str]:
    targets = list(dict.fromkeys(language.strip() for language in languages if language.strip()))
    if not targets or ENGLISH in targets:
        raise UserError("English is translated into other languages", fix="Write --to de,fr")
    return targets


def _translatable(spec: TaskSpec) -> list[TaskSpec]:
    if spec.family in RETRIEVAL:
        raise UserError(f"{spec.name} is a retrieval task: it has no English rows to translate")
    if not family_of(spec).translatable:
        raise UserError(
            f"{spec.name} cannot be translated: its tags are of words, and a translation has others",
            fix="Translate a task of whole texts",
        )
    return [get_task(name) for name in spec.parts] or [spec]


def _finished(file: Path, what: dict[str, Any]) -> dict[str, Any] | None:
    """The record of a file that holds what is asked for; None if there is no file.

    Raises:
        UserError: there is one, of something else.
    """
    if not file.is_file():
        return None
    fix = "Delete it, or choose another folder with --out"
    found = read_state(Record, translation_record(file), "the record of a translation", f"{fix}: {file} goes with it")
    if found is None:
        raise UserError("there is a file already, and no record of what made it", where=file, fix=fix)
    record = dict(found)
    if changes := differences({key: record.get(key) for key in what}, what):
        raise UserError(f"holds another translation ({', '.join(changes)})", where=file, fix=fix)
    require_translation(file)
    return record


def _digest(folder: Path) -> str:
    """What a model folder holds, wherever it is and whatever it is called."""
    files = sorted(path for path in folder.iterdir() if path.suffix in MODEL_FILES)
    return fingerprint([[path.name, sha256(path)] for path in files])


def _what(request: Request, spec: TaskSpec, language: str, english: str, weights: str) -> dict[str, Any]:
    """All that decides what the file says."""
    return {
        "task": spec.name,
        "split": request.split,
        "limit": request.limit,
        "language": language,
        "english": english,
        "weights": weights,
        "beams": request.beams,
        "max_length": request.max_length,
        "code": CODE_VERSION,
    }


def _how(request: Request, folder: Path, translator: Translator) -> dict[str, Any]:
    """Where the model came from, and what may change the last digits of its arithmetic."""
    commit = folder.name if folder.parent.name == "snapshots" else None
    return {
        "model": request.model,
        "revision": commit or request.revision,
        "dtype": translator.dtype,
        "batch_size": request.batch_size,
    }
