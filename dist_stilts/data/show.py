"""One example of a task as a model reads it: its feature row, decoded."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from dist_stilts.data.features import Features, from_table, schema
from dist_stilts.data.tokenise import sentences, tokenise
from dist_stilts.tasks.sources import available_languages, load_bitext, stream_rows, task
from dist_stilts.tasks.spec import IGNORED, RETRIEVAL, UNSEEN, WITHHELD, TaskSpec

MAX_LENGTH = 256


def example(name: str, root: Path, split: str | None, language: str | None, tokenizer: Any) -> list[str]:
    """Describe the first example of a split: what it is, its tokens, and what its labels point to.

    Args:
        split: ``dev`` by default, or the task's last split if it has no dev; language: the first that is on disk.
    """
    import pyarrow as pa

    spec = task(name, root)
    split = split or ("dev" if "dev" in spec.splits else spec.splits[-1])
    language = language or next(iter(available_languages(spec, root, split)), spec.languages[0])
    if spec.family in RETRIEVAL:
        bitext = load_bitext(spec, root, split, language)
        rows, title = list(sentences([bitext.source[0], bitext.target[0]], tokenizer, MAX_LENGTH)), "first of each side"
    else:
        first = list(islice(stream_rows(spec, root, split, language, Counter()), 1))
        rows, title = list(tokenise(spec.family, spec.labels, first, tokenizer, MAX_LENGTH)), f"id {first[0].id}"
    features = from_table(pa.Table.from_pylist(rows, schema()))
    lines = [f"example ({split} {language}, {title}): {len(features)} rows, {int(features.tokens.sum())} tokens"]
    for row in range(len(features)):
        lines += _segments(features, row, tokenizer) + _targets(spec, features, row, tokenizer)
    return lines


def _segments(features: Features, row: int, tokenizer: Any) -> list[str]:
    ends = np.cumsum(features.lengths[row])[:-1]
    return [f"    text    {tokenizer.decode(part)}" for part in np.split(features.input_ids[row], ends)]


def _targets(spec: TaskSpec, features: Features, row: int, tokenizer: Any) -> list[str]:
    labels, ids = features.labels[row], features.input_ids[row]
    if spec.family == "span" and len(labels):
        answer = tokenizer.decode(ids[labels[0] : labels[1] + 1]) if labels[0] else "(not in this window)"
        return [f"    answer  {answer} (tokens {labels[0]} to {labels[1]})"]
    if spec.family == "token":
        places = np.flatnonzero(labels != IGNORED)
        marks = {UNSEEN: "(unseen)", WITHHELD: "(withheld)"}
        tags = [marks.get(label) or spec.labels[label] for label in labels[places].tolist()]
        words = [tokenizer.decode(part) for part in np.split(ids[:-1], places)[1:]]
        return ["    tags    " + "  ".join(f"{word}/{tag}" for word, tag in zip(words, tags, strict=True))]
    if spec.family in ("sequence", "choice") and len(labels):
        return [f"    label   {spec.labels[labels[0]] if spec.labels else labels[0]}"]
    return []
