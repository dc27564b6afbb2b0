"""Tokenise a split once per machine: read, tokenise, write an Arrow file, keyed by everything that shapes it.

    rows --tokenise--> <prepared>/<task>-<split>-<language>-<key>/{data.arrow, meta.json, COMPLETE}

Built by whichever process comes first; the others wait for it (see :mod:`dist_stilts.parallel.once`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dist_stilts.config import identity
from dist_stilts.data.features import Features, from_table, open_features, schema
from dist_stilts.data.tokenise import tokenise
from dist_stilts.layout import is_complete, split_in_names
from dist_stilts.parallel.once import build
from dist_stilts.tasks.sources import data_revision, load_rows
from dist_stilts.tasks.spec import TaskSpec, TextRow

CODE_VERSION = 1
"""Raise it when tokenisation changes what it writes."""
EXAMPLES_PER_CHUNK = 2000
META = "meta.json"

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``."""


@dataclass(frozen=True)
class Wanted:
    """One thing to tokenise.

    Attributes:
        root: folder of local data, or None for the Hub.
        inputs: ``full`` or ``hypothesis``; see :func:`dist_stilts.data.tokenise.tokenise`.
    """

    spec: TaskSpec
    root: Path | None
    split: str
    language: str
    max_length: int
    inputs: str = "full"


@dataclass(frozen=True)
class Prepared:
    """A tokenised split, its data revision, and what tokenising did (counts of examples, tokens, truncations)."""

    features: Features
    revision: str
    meta: dict[str, Any]


def prepare(wanted: Wanted, tokenizer: Any, folder: Path, progress: Progress | None = None) -> Prepared:
    """Open a tokenised split, building it first if need be; safe from many processes at once.

    Raises:
        UserError: missing, empty or broken data.
    """
    revision = data_revision(wanted.spec, wanted.root, wanted.split, wanted.language)
    path = folder / cache_name(wanted, revision, tokenizer_digest(tokenizer))
    if not is_complete(path):
        build(path, lambda temporary: _write(temporary, wanted, tokenizer, progress))
    return Prepared(open_features(path / "data.arrow"), revision, json.loads((path / META).read_text(encoding="utf-8")))


def cache_name(wanted: Wanted, revision: str, tokenizer_hash: str) -> str:
    """The folder's name: readable, and different whenever the content would be."""
    key = identity(
        [
            wanted.spec.name,
            wanted.split,
            wanted.language,
            wanted.max_length,
            wanted.inputs,
            wanted.spec.labels,
            revision,
            tokenizer_hash,
            CODE_VERSION,
        ]
    )
    split = split_in_names(wanted.split)
    return f"{wanted.spec.name}-{split}-{wanted.language}-{key}"


@lru_cache(maxsize=8)
def tokenizer_digest(tokenizer: Any) -> str:
    """Hash of all that a fast tokenizer does, wherever it was loaded from."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    rest = {key: value for key, value in content.items() if key not in ("truncation", "padding")}
    return identity(rest)


def encode_texts(texts: Sequence[str], tokenizer: Any, max_length: int) -> Features:
    """Tokenise plain sentences in memory, for embedding."""
    import pyarrow as pa

    rows = [TextRow(str(number), str(number), text) for number, text in enumerate(texts)]
    return from_table(pa.Table.from_pylist(list(tokenise("mlm", (), rows, tokenizer, max_length)), schema()))


def _write(folder: Path, wanted: Wanted, tokenizer: Any, progress: Progress | None) -> None:
    import pyarrow as pa

    examples = load_rows(wanted.spec, wanted.root, wanted.split, wanted.language)
    what = f"tokenising {wanted.spec.name} {wanted.split} {wanted.language}"
    counts = dict.fromkeys(("examples", "rows", "tokens", "truncated_rows", "truncated_tokens"), 0)
    words = 0
    with pa.OSFile(str(folder / "data.arrow"), "wb") as sink, pa.ipc.new_stream(sink, schema()) as writer:
        for start in range(0, len(examples), EXAMPLES_PER_CHUNK):
            chunk = examples[start : start + EXAMPLES_PER_CHUNK]
            rows = list(
                tokenise(wanted.spec.family, wanted.spec.labels, chunk, tokenizer, wanted.max_length, wanted.inputs)
            )
            for row in rows:  # numbers run on through the whole file
                row["example"] += start
                row["first_word"] += words
            writer.write_table(pa.Table.from_pylist(rows, schema()))
            words += sum(len(getattr(example, "words", ())) for example in chunk)
            _count(counts, len(chunk), rows)
            if progress:
                progress(what, counts["examples"], len(examples))
    (folder / META).write_text(json.dumps(counts), encoding="utf-8")


def _count(counts: dict[str, int], examples: int, rows: list[dict[str, Any]]) -> None:
    counts["examples"] += examples
    counts["rows"] += len(rows)
    counts["tokens"] += sum(len(row["input_ids"]) for row in rows)
    counts["truncated_rows"] += sum(row["truncated"] > 0 for row in rows)
    counts["truncated_tokens"] += sum(row["truncated"] for row in rows)
