"""Embeddings on disk, one NumPy file per layer: written part by part, resumed after a kill, whole under its name.

A part counts once it is on the disk and the record beside the file says so, with its checksum; a finished file gets its
name last. What is no longer what was written is computed again. One program at a time writes to a folder (its lock is
the caller's affair); any number of them read.
"""

from __future__ import annotations

import io
import json
import logging
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dist_stilts import checksums
from dist_stilts.layout import EmbeddingFolder
from dist_stilts.state_files import Count, Damaged, read_state
from dist_stilts.writing import naming, write_text

log = logging.getLogger(__name__)
DTYPE = np.dtype("<f4")
Parts = list[tuple[Count, str]]
"""Number of the row after each part, and the part's checksum."""


@dataclass(frozen=True)
class Written:
    """How far a layer is: how many texts are done, how many of them were cut, and of which parts they are."""

    done: Count = 0
    truncated: Count = 0
    parts: Parts = field(default_factory=list)


@dataclass(frozen=True)
class EmbeddingFiles:
    """The files of one sequence of texts.

    Attributes:
        texts, width: shape of every layer's embeddings.
        made_of: what they depend on, for the records.
    """

    folder: EmbeddingFolder
    texts: int
    width: int
    made_of: dict[str, Any]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a file."""
        return self.texts, self.width

    def is_whole(self, layer: int) -> bool:
        """Whether a layer is there to the last byte, as it was written."""
        file = self.folder.vectors(layer)
        if not (file.is_file() and file.stat().st_size == self._bytes(self.texts)):
            return False
        return self._noted(layer) == self.texts and self._intact(layer, file) == self.texts

    def done(self, layer: int) -> int:
        """How many rows of a layer are computed and safe."""
        if self.is_whole(layer):
            return self.texts
        file, noted = self.folder.unfinished(layer), self._noted(layer)
        return self._intact(layer, file) if file.is_file() and file.stat().st_size >= self._bytes(noted) else 0

    def truncated(self, layer: int) -> int:
        """How many of the texts embedded so far were cut."""
        return self._record(layer).truncated

    def append(self, layer: int, start: int, rows: np.ndarray, truncated: int) -> None:
        """Add the rows from number ``start`` on, and give the file its name if they are the last.

        Args:
            rows: ``[n, width]`` fp32; truncated: how many of these texts were cut.
        """
        file = self.folder.unfinished(layer)
        before, parts = (self.truncated(layer), self._parts(layer)) if start else (0, [])
        content = np.ascontiguousarray(rows, DTYPE).data.cast("B")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        # Written, not mapped: a full disk is then an error and no signal that kills the process.
        with naming(file), file.open("r+b") as handle:
            handle.truncate(self._bytes(start) if start else 0)
            handle.seek(0, os.SEEK_END)
            handle.write(b"" if start else self._header)
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        done = start + len(rows)
        record = {**self.made_of, "layer": layer, "texts": self.texts, "done": done, "truncated": before + truncated}
        kept = [part for part in parts if part[0] <= start]
        if not start or (kept and kept[-1][0] == start):  # of rows of an older version there are none
            record["parts"] = [*kept, [done, checksums.of_bytes(content)]]
        write_text(self.folder.record(layer), json.dumps(checksums.sealed(record), indent=2) + "\n")
        if done == self.texts:
            file.replace(self.folder.vectors(layer))

    def open(self, layer: int) -> np.ndarray | None:
        """A finished layer as a read-only memory map ``[texts, width]`` fp32; None if it cannot be seen from here."""
        try:
            vectors: np.ndarray = np.load(self.folder.vectors(layer), mmap_mode="r")
        except (OSError, ValueError):
            return None
        return vectors if vectors.shape == self.shape else None

    @cached_property
    def _header(self) -> bytes:
        header = io.BytesIO()
        content = {"descr": DTYPE.str, "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(header, content)
        return header.getvalue()

    def _bytes(self, rows: int) -> int:
        return len(self._header) + rows * self.width * DTYPE.itemsize

    def _parts(self, layer: int) -> Parts:
        """The parts; none if an older version wrote them."""
        return self._record(layer).parts

    def _intact(self, layer: int, file: Path) -> int:
        """How many of the noted rows are what was written."""
        noted, parts = self._noted(layer), self._parts(layer)
        return checksums.once(file, ("rows", noted), lambda: self._read_parts(file, parts)) if parts else noted

    def _read_parts(self, file: Path, parts: Parts) -> int:
        start = 0
        with file.open("rb") as handle:
            good = handle.read(len(self._header)) == self._header
            for end, checksum in parts:
                size = (end - start) * self.width * DTYPE.itemsize
                if not good or checksums.of_bytes(handle.read(size)) != checksum:
                    log.warning("%s is damaged behind row %d, from where on it is computed again", file, start)
                    return start
                start = end
        return start

    def _noted(self, layer: int) -> int:
        return self._record(layer).done

    def _record(self, layer: int) -> Written:
        file = self.folder.record(layer)
        return checksums.once(file, "record", lambda: _read_record(file)) if file.exists() else Written()


def _read_record(file: Path) -> Written:
    """What is written of a layer; nothing where its record is damaged: it is computed anew."""
    try:
        return read_state(Written, file, "the record of embeddings", "What it is of is computed again") or Written()
    except Damaged as error:
        log.warning("damaged: %s", error)
        return Written()
