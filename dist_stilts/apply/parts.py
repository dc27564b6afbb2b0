"""What is predicted so far, on disk: whole chunks only, and of what they are; the file itself is whole or absent.

    <out>                   the predictions, there when they are whole
    <out>.json              what made them; stays
    .<out>.partial/         rows so far, and what they are of; gone at the end

A chunk counts once it is written and counted, so a kill loses no more than the chunks at work.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from dist_stilts import checksums
from dist_stilts.apply.outputs import Writer
from dist_stilts.config import differences
from dist_stilts.conventions import MIB, JsonObject
from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.once import hold
from dist_stilts.state_files import Count, Damaged, read_state
from dist_stilts.writing import naming, real, require_folder, write_text

log = logging.getLogger(__name__)

T = TypeVar("T")
OURS = {"model", "format", "code"}
"""What every record of predictions says."""


@dataclass(frozen=True)
class OutputFiles:
    """The paths that belong to one file of predictions; what is not finished lies where a link points to."""

    out: Path

    @property
    def path(self) -> Path:
        """The folder that they are in."""
        return real(self.out).parent

    @property
    def folders(self) -> tuple[Path, ...]:
        """What is a folder."""
        return (self.folder,)

    @property
    def files(self) -> tuple[Path, ...]:
        """What is a file."""
        return self.out, self.record, self.rows, self.state, self.lock

    @property
    def record(self) -> Path:
        """What made the file, in JSON."""
        return self.out.with_name(f"{self.out.name}.json")

    @property
    def folder(self) -> Path:
        """What is predicted so far."""
        return real(self.out).with_name(f".{self.out.name}.partial")

    @property
    def rows(self) -> Path:
        """The rows predicted so far."""
        return self.folder / "rows"

    @property
    def state(self) -> Path:
        """Of what these rows are, and how many chunks, rows and bytes there are, in JSON."""
        return self.folder / "state.json"

    @property
    def lock(self) -> Path:
        """Held by the program that works here."""
        return self.folder / ".lock"


@dataclass
class Progress:
    """How much is on the disk; ``content`` is the checksum of these bytes, where it was noted."""

    chunks: Count = 0
    rows: Count = 0
    bytes: Count = 0
    cut: Count = 0
    content: str = ""

    def add(self, rows: int, size: int, cut: int) -> None:
        """Count one more chunk."""
        self.chunks += 1
        self.rows += rows
        self.bytes += size
        self.cut += cut


@dataclass(frozen=True)
class Begun:
    """Of what the rows so far are, and how many there are."""

    what: JsonObject
    done: Progress


def finished(files: OutputFiles, what: Mapping[str, Any], overwrite: bool) -> JsonObject | None:
    """The record of a file that holds what is asked for; None if it is to be made.

    Raises:
        UserError: there is another file, which may be overwritten only if the user says so; or one that is no record
            of predictions where that is to be.
    """
    record = _or_none(JsonObject, files.record, "It counts as somebody else's")
    if not files.out.exists():
        if not overwrite and files.record.exists() and not (record and record.keys() >= OURS):
            fix = "Move it away, name another --out, or give --overwrite"
            raise UserError("is no record of predictions, which is to be written here", where=files.record, fix=fix)
        return None
    changes = differences({key: record.get(key) for key in what}, dict(what)) if record else []
    if record and not changes and _is_as_written(files.out, record):
        return record
    if overwrite:
        return None
    if changes:
        holds = f"holds other predictions ({', '.join(changes)})"
    else:
        same = record and record.get("bytes") == files.out.stat().st_size
        holds = "is no longer what was written" if same else "there is a file already"
    raise UserError(holds, where=files.out, fix="Name another with --out, or give --overwrite")


def _is_as_written(out: Path, record: JsonObject) -> bool:
    content = record.get("content")
    return record.get("bytes") == out.stat().st_size and not (content and checksums.damage(out, content))


def begun(files: OutputFiles, what: Mapping[str, Any], overwrite: bool) -> Progress:
    """How far an earlier process came with the same; nothing yet if there was none.

    Raises:
        UserError: what lies there is the beginning of something else.
    """
    state = _or_none(Begun, files.state, "The rows so far are predicted again")
    if state is None:
        return Progress()
    if changes := differences(state.what, dict(what)):
        if not overwrite:
            raise UserError(
                f"holds the beginning of other predictions ({', '.join(changes)})",
                where=files.folder,
                fix="Run the command of then to go on with these, or give --overwrite to begin anew",
            )
        return Progress()
    done = state.done
    if not files.rows.is_file() or files.rows.stat().st_size < done.bytes:
        return Progress()
    if done.content and _running(files.rows, done.bytes).value != done.content:
        log.warning("%s is damaged: its rows are predicted again", files.rows)
        return Progress()
    return done


def _running(file: Path, size: int) -> checksums.Running:
    """The checksum of a file's first bytes, to be gone on with."""
    running = checksums.Running()
    with file.open("rb") as handle:
        for start in range(0, size, MIB):
            running.add(handle.read(min(MIB, size - start)))
    return running


def _or_none(kind: type[T], path: Path, fate: str) -> T | None:
    """What a file says; None where it is gone or, with a warning that says what follows, damaged."""
    try:
        return read_state(kind, path, "the record of predictions", fate)
    except Damaged as error:
        log.warning("%s", error)
        return None


@contextmanager
def alone(files: OutputFiles) -> Iterator[None]:
    """Be the only program that writes here.

    Raises:
        UserError: there is another.
    """
    require_folder(files.folder)
    held = hold(files.lock)
    if held is None:
        raise UserError("another program is writing this", where=files.out, fix="Wait for it, or name another --out")
    try:
        yield
    finally:
        held.release()


class Kept:
    """Chunks appended to the unfinished file, on the disk when the call returns."""

    def __init__(self, files: OutputFiles, what: Mapping[str, Any], done: Progress, writer: Writer) -> None:
        self.files, self.what, self.done, self.writer = files, dict(what), done, writer
        if not done.chunks:
            files.state.unlink(missing_ok=True)  # of other rows, which are lost from here on
        files.rows.touch()
        self.file: IO[bytes] = files.rows.open("r+b")
        self.file.truncate(done.bytes)  # a torn chunk of an earlier process
        self.file.seek(done.bytes)
        self.running = _running(files.rows, done.bytes)
        if not done.chunks:
            done.bytes = self._write(writer.header())

    def append(self, chunks: list[tuple[int, bytes, int]]) -> None:
        """Add chunks in their order: number of rows, bytes, rows that were cut."""
        with naming(self.files.rows):
            for rows, content, cut in chunks:
                self._write(content)
                self.done.add(rows, len(content), cut)
            self.file.flush()
            os.fsync(self.file.fileno())
        self.done.content = self.running.value
        state = {"what": self.what, "done": vars(self.done)}
        write_text(self.files.state, json.dumps(checksums.sealed(state)))

    def _write(self, content: bytes) -> int:
        self.running.add(content)
        return self.file.write(content)

    def publish(self, record: JsonObject) -> JsonObject:
        """Give the finished file its name; returns its record, which lies beside it before."""
        self.file.close()
        whole = self.writer.finish(self.files.rows)
        record = {**record, "bytes": whole.stat().st_size, "content": checksums.of_file(whole)}
        write_text(self.files.record, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        with whole.open("rb") as file:
            os.fsync(file.fileno())
        whole.replace(real(self.files.out))
        shutil.rmtree(self.files.folder, ignore_errors=True)  # another program may be looking for the lock
        return record


class Shown:
    """Chunks written to an open stream, such as standard output, as they come; nothing is kept."""

    def __init__(self, number: int, done: Progress, writer: Writer) -> None:
        self.number, self.done = number, done
        self.stream: IO[bytes] = sys.stdout.buffer if number == 1 else os.fdopen(os.dup(number), "wb")

    def append(self, chunks: list[tuple[int, bytes, int]]) -> None:
        """Add chunks in their order.

        Raises:
            UserError: nobody reads any more.
        """
        try:
            for rows, content, cut in chunks:
                self.stream.write(content)
                self.done.add(rows, len(content), cut)
            self.stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())  # else Python complains at its end
            raise UserError(f"nobody reads {self._called} any more", code=EXIT_FAILED) from None
        except OSError as error:
            raise UserError(f"{self._called} cannot be written: {error.strerror}", code=EXIT_FAILED) from None

    @property
    def _called(self) -> str:
        return "standard output" if self.number == 1 else f"stream {self.number}"

    def publish(self, record: JsonObject) -> JsonObject:
        """Nothing is left to be done."""
        return record
