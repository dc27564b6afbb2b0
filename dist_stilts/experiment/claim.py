"""Work at a run, alone: its folder is claimed, and its status says that it runs and in the end how that ended."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from dist_stilts.config import differences, dump
from dist_stilts.errors import EXIT_FAILED, UserError, exhausted
from dist_stilts.evaluate.suite import EvaluationConfig
from dist_stilts.experiment.identity import read_config, trained_content
from dist_stilts.experiment.plan import Run
from dist_stilts.experiment.status import RunStatus, State, evaluation_id, read_status, versions, write_status
from dist_stilts.layout import RunFolder
from dist_stilts.once import hold
from dist_stilts.parallel.collectives import any_rank, barrier, broadcast_value
from dist_stilts.parallel.preemption import Preempted
from dist_stilts.parallel.watch import last_words
from dist_stilts.parallel.world import World, lost_rank
from dist_stilts.writing import check_room, write_text

BUSY = "Wait for it, or choose another name=…"


class Busy(UserError):
    """Another program works at the run; on every rank alike."""


@dataclass
class Claim:
    """A run that this job works at, and what is known of it; rank 0 writes that down.

    Attributes:
        status: on every rank what all of them have noted; what only rank 0 notes is known there alone.
    """

    folder: RunFolder
    status: RunStatus
    world: World

    def __post_init__(self) -> None:
        self._began = time.monotonic() - self.status.seconds  # as if one program had done it all

    def note(self, **changes: Any) -> None:
        """Change some of the status's fields, and how long the work took; without any, it is a sign of life."""
        self.status = replace(self.status, seconds=round(time.monotonic() - self._began, 1), **changes)
        if self.world.is_main:
            write_status(self.folder, self.status)

    def stop(self, reason: str, code: int = EXIT_FAILED, state: State = State.FAILED, **changes: Any) -> None:
        """Note why the work stops here; a full disk is what the reason says, and must not hide it."""
        with suppress(OSError, UserError):
            self.note(state=state, reason=reason, code=code, **changes)


@contextmanager
def claimed(run: Run, folder: RunFolder, scoring: EvaluationConfig, world: World) -> Iterator[Claim]:
    """Work at a run while the block runs; every rank must enter it.

    The run is done if the block ends well, and queued again if all ranks were asked to stop. Any other error is noted
    as the reason why it failed, and so is the loss of another rank. Ctrl-C is left to the launcher, which knows of it.

    Raises:
        Busy: another program works at it.
        UserError: the folder holds another run.
    """
    lock = hold(folder.lock) if world.is_main else None
    if any_rank(world.is_main and lock is None):
        raise Busy("another program is working here", where=folder.path, fix=BUSY)
    try:
        before = broadcast_value(read_status(folder) if world.is_main else RunStatus())
        claim = Claim(folder, before, world)
        if world.is_main:
            take(run, folder)
        claim.note(
            state=State.RUNNING,
            reason=None,
            code=None,
            run_id=run.id,
            starts=before.starts + 1,
            world_size=world.size,
            versions=versions(),
            place=f"{socket.gethostname()}:{os.getpid()}",
        )
        barrier()
        try:
            with last_words(claim.stop):
                yield claim
        except Preempted as error:
            claim.stop(str(error), error.code, State.QUEUED, starts=before.starts)
            raise
        except Exception as error:
            claim.stop(str(lost_rank(error) or exhausted(error) or error), getattr(error, "code", EXIT_FAILED))
            raise
        claim.note(state=State.DONE, evaluated=evaluation_id(run, scoring), starts=0)
    finally:
        if lock:
            lock.release()
    barrier()


def take(run: Run, folder: RunFolder) -> None:
    """Write the run's config into its folder, once; UserError if the folder holds another run."""
    check_folder(run, folder)
    if not folder.config.exists():
        content = {"run_id": run.id, "name": run.name, "run": run.content, "versions": versions()}
        write_text(folder.config, dump(content))


def check_folder(run: Run, folder: RunFolder) -> None:
    """UserError if the folder holds another run, or something else lies where its files are to be written."""
    check_room(folder)
    there = read_config(folder)
    if there and there.run_id != run.id:
        before = trained_content(there.run) if there.run else {}
        changed = differences(before, json.loads(json.dumps(run.content)))
        raise UserError(
            f"the folder holds another run ({'; '.join(changed[:3]) or 'other content'})",
            where=folder.path,
            fix="Give this recipe a name of its own (`name:` in its file, or name=…) or another out=…, "
            "or delete the folder",
        )
