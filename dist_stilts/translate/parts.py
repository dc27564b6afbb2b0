"""What is translated so far, on disk: one file per rank, one line per batch, only ever appended.

A line counts once its end is written, so a kill loses no more than the batch at work; one that is no longer what was
written does not count. All files are read, however many ranks there were when they were written.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from dist_stilts import checksums
from dist_stilts.state_files import Count, parse_json, typed
from dist_stilts.writing import naming

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Translation:
    """One piece of text in the other language; ``cut`` if the model was stopped before it had come to an end."""

    text: str
    cut: bool = False


Append = Callable[[int, Sequence[Translation]], None]
"""Adds a batch, by its number; it is on the disk when the call returns."""


class _Batch(TypedDict):
    batch: Count
    translations: list[tuple[str, bool]]


def read(folder: Path, sizes: Sequence[int], *, tell: bool = False) -> dict[int, list[Translation]]:
    """Every whole batch, by its number; a line that says nothing of the kind is passed over.

    Args:
        sizes: texts in each batch; tell: warn of lines that are damaged.
    """
    found = {}
    for path in sorted(folder.glob("rank-*.jsonl")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            batch = _batch(line)
            if batch and batch["batch"] < len(sizes) and len(batch["translations"]) == sizes[batch["batch"]]:
                found[batch["batch"]] = [Translation(text, cut) for text, cut in batch["translations"]]
            elif tell:
                log.warning("%s is damaged: a batch is translated again", path)
    return found


def _batch(line: bytes) -> _Batch | None:
    try:
        record = parse_json(line)
        batch: _Batch = typed(_Batch, record)
    except (ValueError, RecursionError):
        return None
    return batch if checksums.is_intact(record) else None


@contextmanager
def appending(folder: Path, rank: int) -> Iterator[Append]:
    """Open this rank's file, without the torn last line of an earlier run."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rank-{rank}.jsonl"
    path.touch()
    with path.open("r+b") as file:
        file.truncate(file.read().rfind(b"\n") + 1)
        file.seek(0, os.SEEK_END)

        def append(batch: int, translations: Sequence[Translation]) -> None:
            record = {"batch": batch, "translations": [[one.text, one.cut] for one in translations]}
            with naming(path):
                file.write(json.dumps(checksums.sealed(record), ensure_ascii=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())

        yield append
