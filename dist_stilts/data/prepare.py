"""Tokenise a split once per machine: read, tokenise, write an Arrow file, keyed by everything that shapes it.

    rows --tokenise--> <prepared>/<task>-<split>-<language>-<key>/{data.arrow, meta.json, COMPLETE}

Built by whichever process comes first, with as many workers as pay; others wait for it (see
:mod:`dist_stilts.once`). Ranks of a job do not build: they would hold GPUs while they wait.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from dist_stilts import once
from dist_stilts.config import plain
from dist_stilts.conventions import OnProgress, fingerprint
from dist_stilts.data.parallel_map import in_order
from dist_stilts.errors import UserError
from dist_stilts.families.encoding import Encoding, FeatureRow, QaLengths, feature_row
from dist_stilts.families.family import Family
from dist_stilts.families.features import Features, from_table, open_features, schema
from dist_stilts.families.kinds import family_of
from dist_stilts.layout import split_in_names
from dist_stilts.state_files import Amount, Count, Damaged, read_state
from dist_stilts.tasks.sources import data_revision, stream_rows
from dist_stilts.tasks.spec import Row, TaskSpec, TextRow

CODE_VERSION = 4
"""Raise it when tokenisation changes what it writes, or a reader what it makes of a file."""
EXAMPLES_PER_CHUNK = 2000
DATA, META = "data.arrow", "meta.json"


@dataclass(frozen=True)
class Wanted:
    """One thing to tokenise.

    Attributes:
        root: folder of local data, or None for the Hub.
        max_length, inputs, qa: see :class:`dist_stilts.families.encoding.Encoding`.
    """

    spec: TaskSpec
    root: Path | None
    split: str
    language: str
    max_length: int
    inputs: str = "full"
    qa: QaLengths = field(default_factory=QaLengths)

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"{self.spec.name} {self.split} {self.language}"


@dataclass(frozen=True)
class Meta:
    """What tokenising did: numbers of examples, rows, tokens and what was cut of them, quirks of the files, size of the
    Arrow file, and seconds."""

    examples: Count
    rows: Count
    tokens: Count
    truncated_rows: Count
    truncated_tokens: Count
    words: Count
    quirks: dict[str, Count]
    bytes: Count
    seconds: Amount


@dataclass(frozen=True)
class Prepared:
    """A tokenised split, its data revision, and what tokenising did."""

    features: Features
    revision: str
    meta: Meta


class NotPrepared(UserError):
    """Tokenised data are missing or incomplete where they may not be made; the verb knows what makes them."""


def prepare(
    wanted: Wanted, tokenizer: Any, folder: Path, progress: OnProgress | None = None, *, may_build: bool = True
) -> Prepared:
    """Open a tokenised split, building it first if need be; safe from many processes at once.

    Raises:
        UserError: missing, empty or broken data.
        NotPrepared: it is not there as a whole and ``may_build`` is not set.
    """
    revision = data_revision(wanted.spec, wanted.root, wanted.split, wanted.language)
    path = folder / cache_name(wanted, revision, tokenizer_digest(tokenizer))
    if not is_whole(path):
        if not may_build:
            state = "is incomplete" if path.exists() else "is not there"
            raise NotPrepared(f"tokenised {wanted.title} {state}", where=path)
        once.build(path, lambda temporary: _write(temporary, wanted, tokenizer, progress), is_whole)
    return Prepared(open_features(path / DATA), revision, _read_meta(path))


def facts(wanted: Wanted, prepared: Prepared, *, trained_on: bool = False) -> dict[str, Any]:
    """What there is to say of a tokenised split, for people and machines: what tokenising did; how often gold is each
    class, where these are not those that a benchmark is known to have; and, of rows that are trained on, why nothing
    can be learned of them, if so."""
    spec, kind, features = wanted.spec, family_of(wanted.spec), prepared.features
    told = {"task": spec.name, "split": wanted.split, "language": wanted.language, **asdict(prepared.meta)}
    if spec.open_labels or spec.is_own:
        told["classes"] = kind.classes(spec, features)
        told["alike"] = kind.alike(spec, features, np.arange(len(features))) if trained_on else None
    return told


def is_whole(path: Path) -> bool:
    """Whether a tokenised split is there to the last byte, as it was written: disks rot, and copies between machines
    break off."""
    try:
        size = _read_meta(path).bytes
    except Damaged:
        return False
    return once.is_whole(path) and (path / DATA).is_file() and (path / DATA).stat().st_size == size


def _read_meta(path: Path) -> Meta:
    fix = "Delete the folder; it is made again"
    meta = read_state(Meta, path / META, "a record of tokenised data", fix)
    if meta is None:
        raise Damaged("is not there", where=path / META, fix=fix)
    return meta


def cache_name(wanted: Wanted, revision: str, tokenizer_hash: str) -> str:
    """The folder's name: readable, and different whenever the content would be."""
    key = fingerprint(
        [
            wanted.spec.name,
            wanted.split,
            wanted.language,
            plain(wanted.qa) if family_of(wanted.spec).windowed else wanted.max_length,
            wanted.inputs,
            wanted.spec.labels,
            revision,
            tokenizer_hash,
            CODE_VERSION,
        ]
    )
    split = split_in_names(wanted.split)
    return f"{wanted.spec.name}-{split}-{wanted.language}-{key}"


_DIGESTS: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
"""Of tokenizers that somebody still uses: one of 250,000 pieces takes a quarter of a GiB, and runs load their own."""


def tokenizer_digest(tokenizer: Any) -> str:
    """Hash of all that a fast tokenizer does, wherever it was loaded from."""
    if tokenizer not in _DIGESTS:
        content = json.loads(tokenizer.backend_tokenizer.to_str())
        rest = {key: value for key, value in content.items() if key not in ("truncation", "padding")}
        _DIGESTS[tokenizer] = fingerprint(rest)
    return _DIGESTS[tokenizer]


def encode_texts(texts: Sequence[str], tokenizer: Any, max_length: int) -> Features:
    """Tokenise plain sentences in memory, for embedding; one row each. What does not fit is cut off and counted."""
    return in_memory(_sentences(texts, tokenizer, max_length))


def in_memory(rows: Iterable[FeatureRow]) -> Features:
    """Feature rows that are not kept."""
    import pyarrow as pa

    return from_table(pa.Table.from_pylist(list(rows), schema()))


def _sentences(texts: Sequence[str], tokenizer: Any, max_length: int) -> Iterator[FeatureRow]:
    for number, ids in enumerate(tokenizer(list(texts), truncation=False)["input_ids"]):
        cut = ids if len(ids) <= max_length else [*ids[: max_length - 1], ids[-1]]
        yield feature_row(TextRow(str(number), str(number), ""), number, [cut], truncated=len(ids) - len(cut))


@dataclass(frozen=True)
class _Tokenise:
    """Chunks of examples to Arrow tables, whose numbers begin at 0; goes to the workers as a whole."""

    kind: Family
    tokenizer: Any
    how: Encoding

    def __call__(self, chunk: Sequence[Row]) -> Any:
        import pyarrow as pa

        return pa.Table.from_pylist(list(self.kind.encode(chunk, self.tokenizer, self.how)), schema())


def _write(folder: Path, wanted: Wanted, tokenizer: Any, progress: OnProgress | None) -> None:
    import pyarrow as pa

    started, quirks = time.perf_counter(), Counter[str]()
    rows, total = _examples(wanted, quirks)
    kind, how = family_of(wanted.spec), Encoding(wanted.spec.labels, wanted.max_length, wanted.inputs, wanted.qa)
    work = _Tokenise(kind, tokenizer, how)
    counts = dict.fromkeys(("examples", "rows", "tokens", "truncated_rows", "truncated_tokens", "words"), 0)
    with pa.OSFile(str(folder / DATA), "wb") as sink, pa.ipc.new_stream(sink, schema()) as writer:
        for table, size in in_order(work, _chunks(rows)):
            writer.write_table(_numbered(table, counts["examples"], counts["words"]))
            _count(counts, table, size, kind)
            if progress:
                progress(f"tokenising {wanted.title}", counts["examples"], total)
    if progress and not total:
        progress(f"tokenising {wanted.title}", counts["examples"], counts["examples"])
    size = (folder / DATA).stat().st_size
    meta = {**counts, "quirks": dict(quirks), "bytes": size, "seconds": round(time.perf_counter() - started, 3)}
    (folder / META).write_text(json.dumps(meta), encoding="utf-8")


def _examples(wanted: Wanted, quirks: Counter[str]) -> tuple[Iterator[Row], int]:
    """The examples and their number; plain text may be larger than memory: it is streamed, its number not known (0)."""
    rows = stream_rows(wanted.spec, wanted.root, wanted.split, wanted.language, quirks)
    if not family_of(wanted.spec).has_gold:
        return rows, 0
    known = list(rows)
    return iter(known), len(known)


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == EXAMPLES_PER_CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _numbered(table: Any, examples: int, words: int) -> Any:
    """Let the numbers of a chunk run on through the whole file."""
    import pyarrow.compute as pc

    for name, start in (("example", examples), ("first_word", words)):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), pc.add(table.column(name), start))
    return table


def _count(counts: dict[str, int], table: Any, examples: int, kind: Family) -> None:
    features = from_table(table)
    counts["examples"] += examples
    counts["rows"] += len(features)
    counts["tokens"] += int(features.tokens.sum())
    counts["truncated_rows"] += int((features.truncated > 0).sum())
    counts["truncated_tokens"] += int(features.truncated.sum())
    counts["words"] += kind.words(features)
