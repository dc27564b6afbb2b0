"""Checkpoints: whole or absent, with checksums, the newest good one found again at any number of ranks (laws 2 and 9).

checkpoints/step-000500/shard-0.safetensors   what rank 0 owns: fp32 weights, moments, and the weights chosen so far;
                                              its header says which stretch of which parameter lies where
                        state.json            how far training was
                        COMPLETE              checksum of every file above, written last; any other file is nobody's

Nothing in it depends on the number of ranks or the ZeRO stage. Random generators have no place in it: each step seeds
its own.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError

from dist_stilts import checksums
from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.layout import RunFolder
from dist_stilts.parallel.collectives import any_rank, barrier, broadcast_value, gather_values
from dist_stilts.parallel.world import World
from dist_stilts.state_files import Amount, Count, Damaged, read_state
from dist_stilts.train.shards import first_not_finite, read_shards, write_shard
from dist_stilts.train.stability import refuse_not_finite
from dist_stilts.writing import COMPLETE, is_complete, publish, write_text

T = TypeVar("T")
STATE = "state.json"
STEP = re.compile(r"step-[0-9]+")


@dataclass
class TrainState:
    """How far a phase has come; the same on every rank.

    Attributes:
        step: optimiser steps gone through; skipped: those of them that were left out; trailing: of these the last ones,
            after which no step was taken.
        before: steps that the optimiser had taken when the phase began: it may go on with another's training.
        tokens: real tokens seen, all ranks; slots: padded places that they lay in.
        seconds, saving_seconds, scoring_seconds: wall time, earlier processes included: training, checkpoints, English
            dev; wall_seconds: all of it, as of the last checkpoint.
        losses: task to its training loss, smoothed over the last tenth of the steps.
        best, best_step: highest score on English dev; worse: scores in a row that were no better.
        dev: score on English dev, percent, of the weights that are exported (of the last ones for an average).
        averaged: how many points are in the average so far.
        collapsed: task to why the exported weights' predictions on English dev are those of no model.
        stopped: whether early stopping ended the phase.
        data: identity of tasks, rows, order and batch size: a resumed run must have the same.
    """

    step: Count = 0
    skipped: Count = 0
    trailing: Count = 0
    before: Count = 0
    tokens: Count = 0
    slots: Count = 0
    seconds: Amount = 0.0
    saving_seconds: Amount = 0.0
    scoring_seconds: Amount = 0.0
    wall_seconds: Amount = 0.0
    losses: dict[str, float] = field(default_factory=dict)
    dev: float | None = None
    best: float | None = None
    best_step: Count = 0
    worse: Count = 0
    averaged: Count = 0
    collapsed: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    data: str = ""

    @property
    def count(self) -> int:
        """Steps that the optimiser has taken in all."""
        return self.before + self.step - self.skipped


def save(
    run: RunFolder, engine: Any, state: TrainState, chosen: Sequence[torch.Tensor], world: World, keep: int
) -> None:
    """Write one checkpoint and remove the oldest beyond ``keep``; every rank must call it.

    Args:
        chosen: flat fp32 weights, laid out as the engine's, that may be exported in the place of the last; or none.

    Raises:
        UserError: weights that are not finite, or one rank could not write (on every rank alike); what was there before
            is untouched.
    """
    final = run.checkpoint(state.step)
    if broadcast_value(is_complete(final)):
        return
    refuse_not_finite(state.step, gather_values(first_not_finite(engine, chosen, own=True)))
    temporary = final.with_name(f".{final.name}.partial")
    here = f"cannot save the checkpoint of step {state.step}"
    together(lambda: _clear(temporary) if world.is_main else None, here)
    shard = temporary / f"shard-{world.rank}.safetensors"
    try:
        digests = together(lambda: (shard.name, write_shard(shard, engine, chosen)), here)
        together(lambda: _finish(temporary, final, state, dict(digests)) if world.is_main else None, here)
    except UserError:
        if world.is_main:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    if world.is_main:
        for old in finished(run)[keep:]:
            shutil.rmtree(old.rename(old.with_name(f".{old.name}.old")), ignore_errors=True)  # never seen half gone


def resume(
    run: RunFolder, engine: Any, data: str, world: World, warn: Callable[[str], None], before: Path | None = None
) -> tuple[TrainState, list[torch.Tensor]]:
    """Load the newest undamaged checkpoint into the engine, or start at step 0; every rank must call it.

    Args:
        before: checkpoint of another run whose weights, moments and count step 0 goes on with.

    Returns:
        The state, and the chosen weights laid out as the engine's, if the checkpoint has some.

    Raises:
        UserError: the checkpoint is of other data, or another version of this program; ``before`` is gone or damaged.
    """
    folder = _newest_good(run, world, warn)
    if folder is None:
        return TrainState(data=data, before=_take_over(before, engine, world) if before else 0), []
    state = _read_state(folder)
    if state.data != data:
        raise UserError(
            "the checkpoint was trained on other rows or in another order",
            where=folder,
            fix="Delete the run's checkpoints, or bring the data back as it was",
        )
    return state, _read(folder, engine, state.count)


def _read_state(folder: Path) -> TrainState:
    fix = "Delete the run's checkpoints, or go on with the version of dist_stilts that wrote them"
    state = read_state(TrainState, folder / STATE, "the state of a checkpoint", fix, exact=True)
    if state is None:
        raise UserError(f"the checkpoint has no {STATE}", where=folder, fix=fix)
    return state


def _take_over(folder: Path, engine: Any, world: World) -> int:
    """Load another run's last checkpoint into the engine; returns how many steps its optimiser had taken."""
    damage = [name for name in _shares(folder, world) if name]
    for names in gather_values(damage):
        if names:
            raise UserError(
                f"the optimiser's state to go on from is gone or damaged ({names[0]})",
                where=folder,
                fix="Delete the folder of that run; the same command trains it again",
            )
    count = _read_state(folder).count
    _read(folder, engine, count)
    return count


def _read(folder: Path, engine: Any, count: int) -> list[torch.Tensor]:
    """The shards, which older versions wrote whatever was in them."""
    shards = [folder / name for name in _digests(folder) if name.startswith("shard-")]
    chosen = read_shards(shards, engine, count)
    if bad := [name for name in gather_values(first_not_finite(engine, chosen, own=True)) if name]:
        fix = "Delete it; the same command goes on from the one before, or from the start"
        raise UserError(f"the checkpoint holds NaN or infinity (first: {bad[0]})", where=folder, fix=fix)
    return chosen


def together(action: Callable[[], T], what: str) -> list[T]:
    """Do something with files on every rank; returns what each got. Where it fails on one, it fails on all (law 10)."""
    try:
        outcome: tuple[Any, str] = (action(), "")
    except (OSError, SafetensorError) as problem:
        outcome = (None, str(getattr(problem, "strerror", None) or problem))
    outcomes = gather_values(outcome)
    for rank, (_, said) in enumerate(outcomes):
        if said:
            raise UserError(
                f"{what}: {said} (rank {rank})",
                code=EXIT_FAILED,
                fix="Mend that; the same command continues from the checkpoint before",
            )
    return [result for result, _ in outcomes]


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _finish(temporary: Path, final: Path, state: TrainState, digests: dict[str, str]) -> None:
    """State and marker, last of all the name."""
    text = json.dumps(asdict(state), indent=2)
    write_text(temporary / STATE, text)
    digests[STATE] = checksums.of_text(text)
    publish(temporary, final, json.dumps(digests))


def _newest_good(run: RunFolder, world: World, warn: Callable[[str], None]) -> Path | None:
    """The newest checkpoint whose files are what was written; each rank reads its share of them.

    Damaged ones are renamed: they count no more, neither as the newest nor among those that are kept.
    """
    for folder in broadcast_value(finished(run) if world.is_main else []):
        damage = [name for name in _shares(folder, world) if name]
        if not any_rank(bool(damage)):
            return folder
        for names in gather_values(damage):
            for name in names if world.is_main else ():
                warn(f"{folder} is damaged ({name}); using the one before")
        if world.is_main:
            folder.rename(folder.with_name(f".{folder.name}.damaged"))
        barrier()
    return None


def _shares(folder: Path, world: World) -> Iterator[str]:
    """What is wrong with this rank's share of a checkpoint's files."""
    try:
        digests = _digests(folder)
    except Damaged as error:
        yield f"{COMPLETE}: {error.what}" if world.is_main else ""
        return
    if STATE not in digests or len(digests) == 1:
        yield f"{COMPLETE} is gone or does not name the files" if world.is_main else ""
        return
    for name in sorted(digests)[world.rank :: world.size]:
        yield checksums.damage(folder / name, digests[name]) or ""


def _digests(folder: Path) -> dict[str, str]:
    """The files of a checkpoint and their checksums; whatever else lies there is no part of it."""
    return read_state(dict[str, str], folder / COMPLETE, "the list of a checkpoint's files", "") or {}


def finished(run: RunFolder) -> list[Path]:
    """Finished checkpoints, newest first."""
    steps = {folder: STEP.fullmatch(folder.name) for folder in run.checkpoints.glob("step-*") if is_complete(folder)}
    return sorted((folder for folder in steps if steps[folder]), key=_step, reverse=True)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))
