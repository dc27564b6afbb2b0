"""Sharded prediction: each rank takes its own batches, rows carry their global numbers, one reduction at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from dist_stilts.data.batches import collate, scoring_batches, to_device
from dist_stilts.errors import UserError, nearest
from dist_stilts.families.features import Features
from dist_stilts.families.kinds import family_of
from dist_stilts.families.score import Decoding
from dist_stilts.model.heads import head_name
from dist_stilts.parallel import preemption
from dist_stilts.parallel.collectives import sum_by_index
from dist_stilts.parallel.world import World
from dist_stilts.tasks.spec import TaskSpec

DECODING = Decoding()
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Of weights and activations, by name."""


@torch.no_grad()
def predict(
    model: Any, spec: TaskSpec, features: Features, world: World, batch_size: int, decoding: Decoding = DECODING
) -> np.ndarray:
    """Predict a whole split, the same on every rank and at every number of ranks.

    Returns:
        ``[predictions, *shape]`` in file order, as the task's kind decodes them (:mod:`dist_stilts.families`): a class
        or choice per example, a tag per word, the best answers of each window.
    """
    kind = family_of(spec)
    values = [np.empty((0, *kind.shape(spec, decoding)), kind.prediction_dtype)]
    places = [np.empty(0, np.int64)]
    model.eval()
    for rows in _own_batches(features, batch_size, world):
        batch = to_device(collate(features, rows, kind), world.device)
        values.append(kind.decode(model.logits(head_name(spec), batch), features, rows, decoding))
        places.append(kind.places(features, rows))
    return sum_by_index(np.concatenate(values), np.concatenate(places), kind.predictions(features))


def evaluation_dtype(name: str, device: torch.device) -> torch.dtype:
    """``auto`` is bf16 on a GPU and fp32 on a CPU; otherwise as named."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if name not in DTYPES:
        raise UserError(f"unknown dtype '{name}'", fix=nearest(name, ("auto", *DTYPES)))
    return DTYPES[name]


def _own_batches(features: Features, batch_size: int, world: World) -> Iterator[np.ndarray]:
    """This rank's batches; before each and after the last all ranks may agree to stop."""
    for rows in scoring_batches(features, batch_size, world.rank, world.size):
        preemption.check()
        if len(rows):
            yield rows
    preemption.check()
