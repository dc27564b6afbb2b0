"""Predict anyone's files with a model; every rank calls :func:`predict_files`, each predicts its own chunks.

    inputs --survey--> columns, count --chunks of records--> ranks --encode, forward, decode--> bytes --rank 0--> output

Promises: rows keep their order and all that they have; a chunk is the same bytes whoever predicts it, so the file is
the same at any number of ranks; a run that was killed goes on after its last chunk; memory does not grow with files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dist_stilts.apply.inputs import Input, Record, check_names, chunks, open_inputs, records_of
from dist_stilts.apply.model import Applied, opened
from dist_stilts.apply.outputs import Writer, output_format
from dist_stilts.apply.parts import Kept, OutputFiles, Progress, Shown, alone, begun, finished
from dist_stilts.apply.predictions import Shape, Wish, our_names
from dist_stilts.apply.survey import Survey, survey
from dist_stilts.apply.together import on_main, while_waiting
from dist_stilts.conventions import JsonObject, OnProgress
from dist_stilts.errors import UserError
from dist_stilts.families.features import Features
from dist_stilts.parallel import preemption
from dist_stilts.parallel.collectives import gather_on_main, scatter_values
from dist_stilts.parallel.world import World
from dist_stilts.tasks.spec import Row
from dist_stilts.writing import require_file, require_room, require_stream, stream_of

CODE_VERSION = 1
"""Raise it when the same request would give other bytes."""
Made = tuple[int, bytes, int]
"""Of a chunk: number of rows, the bytes that they are written as, number of rows that were cut."""


@dataclass(frozen=True)
class Request:
    """What to predict, and how.

    Attributes:
        inputs: files, or ``-`` for standard input; out: the file, or ``-`` for standard output.
        open_model: opens the model, on every rank.
        format: of the inputs, where their names do not say.
        columns: see :func:`dist_stilts.apply.columns.choose_columns`.
        overwrite: whether other predictions may be overwritten.
        max_length: most tokens per row; None = what the model was made for.
        stride: tokens from window to window, question answering only.
    """

    model: str
    inputs: Sequence[str]
    out: str
    open_model: Callable[[], Any]
    format: str | None = None
    columns: Sequence[str] = ()
    wish: Wish = field(default_factory=Wish)
    overwrite: bool = False
    max_length: int | None = None
    stride: int = 128
    batch_tokens: int | None = None
    batch_size: int | None = None
    dtype: str = "auto"

    @property
    def stream(self) -> int | None:
        """The number of the open file that is written to, if no file of a name is."""
        return stream_of(self.out)

    def check(self) -> None:
        """Refuse what can be seen at once.

        Raises:
            UserError: missing inputs, formats that nobody knows, an output that is an input or cannot be written.
        """
        check_names(self.inputs, self.format)
        output_format(self.out)
        if self.stream is not None:
            require_stream(self.stream)
        else:
            files = OutputFiles(Path(self.out))
            require_file(files.out)
            require_room(files)
            inputs = {Path(name).resolve() for name in self.inputs}
            for written in (files.out, files.record):
                if written.resolve() in inputs:
                    raise UserError("is an input, and would be overwritten", where=written, fix="Name another --out")


@dataclass(frozen=True)
class Plan:
    """What all ranks know before the first chunk.

    Attributes:
        ours: our columns by what they are called in the output.
        what: all that the output depends on.
        record: of an output that is there already.
    """

    survey: Survey
    shape: Shape
    ours: dict[str, str]
    writer: Writer
    what: dict[str, Any]
    record: JsonObject | None

    def notes(self) -> list[str]:
        """What people should know before it starts."""
        clashes = [
            f"the input has a column '{mine}': ours is '{name}'" for mine, name in self.ours.items() if mine != name
        ]
        blank = [f"{self.survey.blank} rows have no text; they are predicted, for what it is worth"]
        return [self.survey.columns.said(), *clashes, *(blank if self.survey.blank else [])]


def predict_files(
    request: Request, world: World, say: Callable[[str], None], progress: OnProgress | None = None
) -> JsonObject:
    """Write the predictions of all inputs into one file.

    Args:
        say, progress: called on rank 0.

    Returns:
        the file's record: what made it, and counts; on rank 0.

    Raises:
        UserError: bad inputs, a model that cannot be applied, another file in the output's place.
    """
    on_main(world, request.check)
    applied = opened(
        request.open_model(),
        world,
        request.dtype,
        request.max_length,
        request.stride,
        request.batch_tokens,
        request.batch_size,
    )
    with ExitStack() as stack:
        inputs: list[Input] = []
        spool = Path(stack.enter_context(TemporaryDirectory(prefix="dist-stilts-"))) if world.is_main else Path()

        def prepare() -> Plan:
            inputs.extend(open_inputs(request.inputs, request.format, spool))
            count = None if progress is None else lambda done, total: progress("checking the input", done, total)
            return plan(request, applied, inputs, count)

        planned = while_waiting(world, prepare)
        if planned.record is not None:
            return {**planned.record, "made": False}
        return Work(request, applied, planned, inputs, world, say, progress).run(stack)


def plan(request: Request, applied: Applied, inputs: Sequence[Input], count: Any = None) -> Plan:
    """Read the inputs once, and decide what is written."""
    form = output_format(request.out)
    found = survey(inputs, applied.kind.name, request.columns, form != ".jsonl", form == ".parquet", count)
    words = found.columns.of.get("words", ())
    shape = Shape(applied.kind.name, tuple(applied.found.labels), request.wish, bool(words) and words != ("words",))
    ours = our_names(shape.names(), found.names)
    names = (*found.names, *ours.values())
    types = found.types | {ours[name]: kind for name, kind in shape.types().items()} if form == ".parquet" else {}
    what = _what(request, applied, found, form)
    record = None if request.stream is not None else finished(OutputFiles(Path(request.out)), what, request.overwrite)
    return Plan(found, shape, ours, Writer(form, names, types, frozenset(ours.values())), what, record)


def _what(request: Request, applied: Applied, found: Survey, form: str) -> dict[str, Any]:
    """All that decides the bytes of the output, in words for people."""
    return {
        **{f"content of input {number}": digest[:12] for number, digest in enumerate(found.digests, 1)},
        "columns": {name: list(columns) for name, columns in found.columns.of.items()},
        "model": applied.digest(),
        "format": form,
        **vars(request.wish),
        "max_length": applied.max_length,
        "stride": applied.stride if applied.kind.windowed else None,
        "batch_tokens": applied.batch_tokens,
        "batch_size": applied.batch_size,
        "code": CODE_VERSION,
    }


@dataclass(frozen=True)
class Work:
    """The chunks of one output: read by rank 0, predicted by all, written by rank 0."""

    request: Request
    applied: Applied
    plan: Plan
    inputs: Sequence[Input]
    world: World
    say: Callable[[str], None]
    progress: OnProgress | None

    def run(self, stack: ExitStack) -> JsonObject:
        """Predict all that is not yet there, and give the output its name; returns its record."""
        sink = on_main(self.world, lambda: self._open(stack), share=False)
        started = time.perf_counter()
        before = sink.done.rows if sink else 0
        rounds = self._rounds(sink.done.chunks) if sink else None
        for parts in self._predicted(rounds, before):
            if sink:
                sink.append(parts)
        if not sink:
            return {}
        seconds = round(time.perf_counter() - started, 3)
        record = {**self.plan.what, **self._how(), **vars(sink.done), "predicted_now": sink.done.rows - before}
        return {**sink.publish({**record, "seconds": seconds}), "made": True}

    def _open(self, stack: ExitStack) -> Kept | Shown:
        """Where the chunks go."""
        if self.request.stream is not None:
            sink: Kept | Shown = Shown(self.request.stream, Progress(), self.plan.writer)
        else:
            files = OutputFiles(Path(self.request.out))
            stack.enter_context(alone(files))
            if finished(files, self.plan.what, self.request.overwrite):  # since we looked
                raise UserError("another program has just written this", where=files.out, fix="Read it")
            done = begun(files, self.plan.what, self.request.overwrite)
            sink = Kept(files, self.plan.what, done, self.plan.writer)
        for note in self.plan.notes():
            self.say(note)
        if sink.done.rows:
            self.say(f"going on after {sink.done.rows} of {self.plan.survey.rows} rows")
        return sink

    def _how(self) -> JsonObject:
        """What the record says beside that."""
        return {
            "model_path": self.request.model,
            "inputs": list(self.request.inputs),
            "labels": list(self.plan.shape.labels),
            "our_columns": list(self.plan.ours.values()),
            "blank": self.plan.survey.blank,
            "ranks": self.world.size,
        }

    def _rounds(self, done: int) -> Iterator[list[tuple[bool, list[Record]]]]:
        """For each round, whether there is one, and a chunk for every rank; the next is read meanwhile."""
        size = self.world.size
        left = islice(chunks(records_of(self.inputs)), done, None)

        def read() -> list[list[Record]]:
            return list(islice(left, size))

        with ThreadPoolExecutor(1) as reader:
            following = reader.submit(read)
            while chosen := following.result():
                following = reader.submit(read)
                yield [(True, chunk) for chunk in chosen] + [(True, [])] * (size - len(chosen))
        yield [(False, [])] * size

    def _predicted(self, rounds: Iterator[Any] | None, before: int) -> Iterator[list[Made]]:
        """Predict round by round; rank 0 is given what all ranks made. The next chunk is encoded meanwhile."""
        pending: Future[_Encoded] | None = None
        with ThreadPoolExecutor(1) as encoder:
            more = True
            while more:
                preemption.check()
                more, chunk = scatter_values(next(rounds) if rounds else None)
                following = encoder.submit(self._encode, chunk) if more else None
                if pending is not None:
                    made = gather_on_main(self._finish(pending, before))
                    before += sum(rows for rows, _, _ in made)
                    yield made
                    self._count(before)
                pending = following

    def _encode(self, chunk: list[Record]) -> _Encoded:
        """A chunk as the model reads it."""
        columns = self.plan.survey.columns
        rows = [columns.row(record, number, where) for number, (where, record) in enumerate(chunk)]
        return _Encoded(chunk, rows, self.applied.encode(rows) if rows else None)

    def _finish(self, pending: Future[_Encoded], before: int) -> Made:
        """Predict an encoded chunk, and write its rows as bytes. All ranks stop here if one is asked to."""
        encoded = _own_errors(pending)
        outputs: list[Any] | None = []
        if encoded.features is not None:
            per_row = self.world.size * len(encoded.rows) / len(encoded.features)

            def on_batch(done: int) -> bool:
                self._count(min(before + round(done * per_row), self.plan.survey.rows - 1))  # not done until written
                return preemption.requested()

            outputs = self.applied.outputs(encoded.features, on_batch)
        preemption.check()
        assert outputs is not None
        made = [
            record | {self.plan.ours[name]: value for name, value in self.plan.shape.row(row, found).items()}
            for (_, record), row, found in zip(encoded.chunk, encoded.rows, outputs, strict=True)
        ]
        return len(made), self.plan.writer.rows(made), encoded.cut

    def _count(self, done: int) -> None:
        if self.progress and self.world.is_main:
            total = self.plan.survey.rows
            self.progress("predicting", done, total)


@dataclass(frozen=True)
class _Encoded:
    """A chunk of records, its rows, and these as features."""

    chunk: list[Record]
    rows: list[Row]
    features: Features | None

    @property
    def cut(self) -> int:
        """How many rows did not fit."""
        if self.features is None:
            return 0
        return len(set(self.features.example[self.features.truncated > 0].tolist()))


def _own_errors(pending: Future[_Encoded]) -> _Encoded:
    """What a thread of this rank made; other ranks do not meet its error."""
    try:
        return pending.result()
    except UserError as error:
        error.everywhere = False
        raise
