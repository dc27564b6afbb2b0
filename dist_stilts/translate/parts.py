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

from dist_stilts import checksums

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Translation:
    """One piece of text in the other language; ``cut`` if the model was stopped before it had come to an end."""

    text: str
    cut: bool = False


Append = Callable[[int, Sequence[Translation]], None]
"""Adds a batch, by its number; it is on the disk when the call returns."""


def read(folder: Path, *, tell: bool = False) -> dict[int, list[Translation]]:
    """Every whole batch, by its number; ``tell``: warn of those that are damaged."""
    found = {}
    for path in sorted(folder.glob("rank-*.jsonl")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            try:
                record = json.loads(line)
                if not checksums.is_intact(record):
                    raise ValueError("checksum")
                found[record["batch"]] = [Translation(text, cut) for text, cut in record["translations"]]
            except (ValueError, TypeError, KeyError, AttributeError):
                if tell:
                    log.warning("%s is damaged: a batch is translated again", path)
    return found


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
            file.write(json.dumps(checksums.sealed(record), ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

        yield append
