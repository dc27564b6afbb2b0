"""Checkpoints: whole or absent, with checksums, the newest good one found again (laws 2 and 9).

checkpoints/step-000500/engine/…          DeepSpeed: parameters, fp32 master weights, optimiser state, per rank
                        rank-0.pt         this rank's random generators
                        state.json        step, tokens, seconds, world size, identity of the data order
                        COMPLETE          SHA-256 of every file above, written last
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dist_stilts.errors import UserError
from dist_stilts.layout import COMPLETE, RunFolder, publish, write_text
from dist_stilts.parallel.collectives import barrier, broadcast_value
from dist_stilts.parallel.world import World
from dist_stilts.train.engine import load_engine, save_engine


@dataclass
class TrainState:
    """How far a phase has come.

    Attributes:
        step: optimiser steps taken.
        tokens: real tokens seen, all ranks.
        seconds: wall time spent, restarts included.
        data: identity of tasks, rows, order and batch size: a resumed run must have the same.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    data: str = ""


def save(run: RunFolder, engine: Any, state: TrainState, world: World, keep: int) -> None:
    """Write one checkpoint and remove the oldest beyond ``keep``; every rank must call it."""
    final = run.checkpoint(state.step)
    temporary = final.with_name(f".{final.name}.partial")
    if world.is_main:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    barrier()
    save_engine(engine, temporary)
    torch.save(_random_state(), temporary / f"rank-{world.rank}.pt")
    barrier()
    if world.is_main:
        write_text(temporary / "state.json", json.dumps({**asdict(state), "world_size": world.size}))
        publish(temporary, final, json.dumps(checksums(temporary)))
        for old in _all(run)[keep:]:
            shutil.rmtree(old)
    barrier()


def resume(run: RunFolder, engine: Any, data: str, world: World, warn: Callable[[str], None]) -> TrainState:
    """Load the newest undamaged checkpoint into the engine, or start at step 0; every rank must call it.

    Raises:
        UserError: the checkpoint is of other data, or of another world size.
    """
    folder = broadcast_value(_newest_good(run, warn) if world.is_main else None)
    if folder is None:
        return TrainState(data=data)
    content = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    size = content.pop("world_size")
    if size != world.size:
        raise UserError(
            f"the checkpoint was taken with {size} ranks, this job has {world.size}",
            where=folder,
            fix=f"Continue with --ranks {size}, or delete the run's checkpoints to start it afresh",
        )
    state = TrainState(**content)
    if state.data != data:
        raise UserError(
            "the checkpoint was trained on other rows or in another order",
            where=folder,
            fix="Delete the run's checkpoints, or bring the data back as it was",
        )
    load_engine(engine, folder)
    _set_random_state(torch.load(folder / f"rank-{world.rank}.pt", weights_only=False))
    return state


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, but for the marker."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != COMPLETE)
    return {str(path.relative_to(folder)): _sha256(path) for path in files}


def _newest_good(run: RunFolder, warn: Callable[[str], None]) -> Path | None:
    for folder in _all(run):
        if (folder / COMPLETE).read_bytes() == json.dumps(checksums(folder)).encode():
            return folder
        warn(f"{folder} is damaged (a checksum differs); using the one before")
    return None


def _all(run: RunFolder) -> list[Path]:
    """Finished checkpoints, newest first."""
    found = (path.parent for path in run.checkpoints.glob(f"step-*/{COMPLETE}"))
    return sorted(found, key=lambda folder: int(folder.name.removeprefix("step-")), reverse=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _random_state() -> dict[str, Any]:
    state = {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state()}
    return {**state, "cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else state


def _set_random_state(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
