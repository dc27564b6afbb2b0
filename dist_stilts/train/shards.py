"""One rank's share of a checkpoint as a file, and all shares read back at any number of ranks and any ZeRO stage."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from dist_stilts import checksums
from dist_stilts.errors import UserError
from dist_stilts.model.finite import not_finite
from dist_stilts.train.owned_state import Piece, owned_state, publish_weights

CHOSEN = "chosen"


def write_shard(path: Path, engine: Any, chosen: Sequence[torch.Tensor]) -> str:
    """Write what this rank owns, and the header that says where which stretch lies; returns the file's checksum."""
    owned = owned_state(engine)
    kinds = {**owned.partitions, CHOSEN: chosen}
    tensors = {f"{kind}.{i}": flat.detach().cpu() for kind, flats in kinds.items() for i, flat in enumerate(flats)}
    pieces = json.dumps([asdict(piece) for piece in owned.pieces])
    save_file(tensors, path, metadata={"pieces": pieces})
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return checksums.of_file(path)


def first_not_finite(engine: Any, flats: Sequence[torch.Tensor], *, own: bool = False) -> str:
    """The first parameter of which this rank has a stretch with NaN or infinity; empty if there is none.

    Args:
        flats: tensors laid out as the engine's; own: look at its own weights and moments as well.
    """
    owned = owned_state(engine)
    layouts = [flats, *(owned.partitions.values() if own else ())]
    if not not_finite(("", flat) for layout in layouts for flat in layout):
        return ""
    stretches = (
        (piece.name, layout[piece.partition][piece.offset : piece.offset + piece.size])
        for layout in layouts
        for piece in (owned.pieces if layout else ())
    )
    return next(iter(not_finite(stretches)), "")


@torch.no_grad()
def read_shards(files: Sequence[Path], engine: Any, steps: int) -> list[torch.Tensor]:
    """Read a checkpoint into the engine, whatever number of ranks wrote it; every rank must call it.

    Args:
        files: the shards of all ranks that wrote it; steps: what the optimiser's own count becomes.

    Returns:
        The chosen weights, laid out as the engine's; none if the checkpoint has none.
    """
    owned = owned_state(engine)
    with ExitStack() as stack:
        read = _reader(files, stack)
        chosen = [torch.zeros_like(flat, device="cpu") for flat in owned.partitions["weights"]]
        kinds: Mapping[str, Sequence[torch.Tensor]] = {**owned.partitions, CHOSEN: chosen}
        missing = {kind for kind, flats in kinds.items() if not all(read(kind, p, flats) for p in owned.pieces)}
    if missing - {CHOSEN}:
        where = files[0].parent if files else None
        raise UserError("the checkpoint lacks parameters of this model", where=where, fix="Delete it")
    for count in owned.steps:
        count.fill_(steps)
    publish_weights(engine)
    return [] if CHOSEN in missing else chosen


def _reader(files: Sequence[Path], stack: ExitStack) -> Callable[[str, Piece, Sequence[torch.Tensor]], bool]:
    """A function that fills a piece from whichever shards hold parts of it, and says whether it found them all."""
    where: dict[str, list[tuple[Any, Piece]]] = {}
    for path in sorted(files):
        shard = stack.enter_context(safe_open(path, framework="pt"))
        for content in json.loads(shard.metadata()["pieces"]):
            where.setdefault(content["name"], []).append((shard, Piece(**content)))

    def read(kind: str, wanted: Piece, into: Sequence[torch.Tensor]) -> bool:
        found = 0
        for shard, there in where.get(wanted.name, []):
            key = f"{kind}.{there.partition}"
            first, last = max(wanted.start, there.start), min(wanted.start + wanted.size, there.start + there.size)
            if first >= last or key not in shard.keys():  # noqa: SIM118 - it is no dictionary
                continue
            source, target = there.offset + first - there.start, wanted.offset + first - wanted.start
            size = last - first
            into[wanted.partition][target : target + size] = shard.get_slice(key)[source : source + size]
            found += size
        return found == wanted.size

    return read
