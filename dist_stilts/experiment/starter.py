"""Commented recipes for somebody's own files: what was found by looking into them, as YAML that runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dist_stilts.conventions import ENGLISH
from dist_stilts.experiment.look import Look
from dist_stilts.tasks.own_pairs import LANGUAGE
from dist_stilts.tasks.read_own import OwnTask, own_spec
from dist_stilts.tasks.siblings import aligned, home
from dist_stilts.tasks.sources import load_bitext

PAIRS = "pairs"
ENCODER, SENTENCE_ENCODER = "FacebookAI/xlm-roberta-base", "intfloat/multilingual-e5-base"
MOST_LABELS = 100
"""Labels that are written down."""
FEW_ROWS = 1_000
"""Below so many rows batches are small, so that there are steps enough."""


def epochs(rows: int, batch_size: int) -> int:
    """Three passes over the rows, or as many as make 200 steps of few rows, up to twenty."""
    return min(20, max(3, math.ceil(200 * batch_size / rows)))


def recipe_text(kind: str, name: str, look: Look, encoder: str | None, command: str) -> str:
    """The recipe as YAML with comments."""
    batch_size = 8 if look.rows < FEW_ROWS else 16 if kind in ("qa", "choice") else 32
    rows = f"{look.rows:,}{'' if look.whole else ' or more'}"
    steps = math.ceil(look.rows * epochs(look.rows, batch_size) / batch_size)
    own: dict[str, Any] = {"family": look.own.family, "files": look.own.files, "columns": look.own.columns}
    own |= {"languages": look.own.languages}
    own |= {"no_answer": True} if look.own.no_answer else {}
    own |= {"labels": sorted(look.labels)} if _writes_labels(kind, look) else {}
    task = {"split": look.train, "dev": look.dev} if look.train != "train" else {}
    lengths = f"max_length: {128 if look.longest < 350 else 256}"
    if kind == "qa":
        lengths = "qa: {max_length: 384, stride: 128, max_question: 64}"
    return f"""\
# {TITLES[kind]}: {rows} training rows from {look.own.files["train"]}.
#
#   dist-stilts run {command} --dry-run    what it will do, and what is missing
#   dist-stilts run {command}              train, score, and write a page
#
# Made by looking into the files. Guesses, which you should check:
{"".join(f"#   - {note}" + chr(10) for note in look.notes)}#
# What every key means: `dist-stilts recipes keys`.

name: {_flow(name)}      # the runs go to the folder runs/{name}
seed: 0

data:
  root: {_flow(str(look.root.resolve()))}      # the names of the files are relative to this folder
  {lengths}      # most tokens of a text; `dist-stilts prepare` counts what is cut
  own_tasks:
    {_flow(name)}:
{_entry(own)}
encoder:
  # Any encoder of the Hub, or a folder: encoder.path=NAME. FacebookAI/xlm-roberta-large is better, and slower by three.
  path: {_flow(encoder or ENCODER)}

train:
  batch_size: {batch_size}      # rows per step, whatever the number of GPUs
  learning_rate: 2e-5
  epochs: {epochs(look.rows, batch_size)}      # about {steps:,} steps
  log_every: {max(1, steps // 20)}

phases:
  {_flow(name)}:
    tasks: {{{_flow(name)}: {_flow(task)}}}
    evaluate: {{{_flow(name)}: {{splits: {_flow(look.scored)}}}}}      # in all languages that have files
"""


TITLES = {
    "classify": "Classes of texts",
    "tagging": "Tags of words",
    "qa": "Answers in texts",
    "choice": "Multiple choice",
    "regression": "Numbers for texts",
    "multilabel": "Any number of labels for texts",
}
COMMENTS = {
    "files": "{lang} stands for the language",
    "languages": "English has the labels that are trained on; the others are only scored",
    "labels": "in the order of their ids",
}
"""What stands behind a key in a starter."""


def _entry(own: Mapping[str, Any]) -> str:
    """The entry of the task, a line for each key that says something."""
    needless = {"files"} if LANGUAGE not in str(own["files"]) else set()
    needless |= {"languages"} if own["languages"] == [ENGLISH] or "train" not in own["files"] else set()
    comments = {key: f"      # {text}" for key, text in COMMENTS.items() if key not in needless}
    return "".join(f"      {key}: {_flow(value)}{comments.get(key, '')}\n" for key, value in own.items() if value)


def pairs_text(name: str, files: Sequence[Path], encoder: str | None, command: str) -> tuple[str, list[str]]:
    """The recipe that searches two aligned files for each other's lines, and the guesses in it.

    Args:
        files: one, to which the others are found by their names, or the two sides.

    Raises:
        UserError: no other side; sides that are not aligned.
    """
    source, target, codes, notes = aligned(files)
    root = home(files[0]).resolve() if len(files) == 1 else files[0].resolve().parent
    own: dict[str, Any] = {"family": "tatoeba", "files": {"test": [source, target]}, "languages": codes}
    spec = own_spec(name, OwnTask(**own))
    sizes = {code: len(load_bitext(spec, root, "test", code).source) for code in codes}
    notes.append("lines: " + ", ".join(f"{code} {size:,}" for code, size in sizes.items()))
    text = f"""\
# Line n of one file translates line n of the other: accuracy of exact search in both directions.
#
#   dist-stilts run {command} --dry-run    what it will do, and what is missing
#   dist-stilts run {command}              embed, search, score; nothing is trained
#
# Made by looking into the files. Guesses, which you should check:
{"".join(f"#   - {note}" + chr(10) for note in notes)}#
# To find pairs in files that are not aligned: `dist-stilts mine --help`.
# What every key means: `dist-stilts recipes keys`.

name: {_flow(name)}      # the runs go to the folder runs/{name}
seed: 0

data:
  root: {_flow(str(root))}      # the names of the files are relative to this folder
  own_tasks:
    {_flow(name)}:
{_entry(own)}
encoder:
  path: {_flow(encoder or SENTENCE_ENCODER)}      # any encoder of the Hub, or a folder; best one trained for sentences

evaluation:
  retrieval: {{layer: last, pooling: mean}}      # a raw XLM-R is better in the middle: 7 of base, 14 of large

phases:
  {_flow(name)}:
    role: baseline
    start: [encoder]
    evaluate: {{{_flow(name)}: {{}}}}
"""
    return text, notes


def _writes_labels(kind: str, look: Look) -> bool:
    """Whether all labels are known and few: tags of other files may be ones that the training rows do not have."""
    return kind in ("classify", "multilabel") and look.whole and len(look.labels) <= MOST_LABELS


def _flow(value: Any) -> str:
    """A value on one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9)
    return text.removesuffix("\n").removesuffix("\n...")
