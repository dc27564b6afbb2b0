"""Sharded prediction: each rank takes its own batches, rows carry their global numbers, one reduction at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dist_stilts.data.batches import Vocabulary, collate, scoring_batches, to_device
from dist_stilts.data.features import Features
from dist_stilts.errors import UserError
from dist_stilts.model.heads import head_name
from dist_stilts.parallel.collectives import sum_by_index
from dist_stilts.parallel.world import World
from dist_stilts.tasks.spec import TaskSpec


def predict(
    model: Any, spec: TaskSpec, features: Features, vocabulary: Vocabulary, world: World, batch_size: int
) -> np.ndarray:
    """Predict a whole split, the same on every rank and at every number of ranks.

    Returns:
        ``[examples]`` class or choice; for tagging ``[words]`` tags of all words in file order. int64.
    """
    values, places = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    model.eval()
    for rows in scoring_batches(features, batch_size, world.rank, world.size):
        batch = to_device(collate(features, rows, spec.family, vocabulary), world.device)
        values.append(model.predict(head_name(spec), batch).cpu().numpy())
        places.append(_places(features, rows, spec))
    size = features.words if spec.family == "token" else features.examples
    return sum_by_index(np.concatenate(values), np.concatenate(places), size)


def embed(
    model: Any, features: Features, vocabulary: Vocabulary, world: World, batch_size: int, layer: int | None
) -> np.ndarray:
    """Mean-pooled embeddings of a whole file: ``[examples, width]`` fp32, not yet normalised; on every rank."""
    width, layers = model.encoder.config.hidden_size, model.encoder.config.num_hidden_layers
    if layer is not None and not 0 <= layer <= layers:
        raise UserError(f"the encoder has no layer {layer}", fix=f"Set evaluation.layer to 0 (embeddings) to {layers}")
    values, places = [np.empty((0, width), np.float32)], [np.empty(0, np.int64)]
    model.eval()
    for rows in scoring_batches(features, batch_size, world.rank, world.size):
        batch = to_device(collate(features, rows, "mlm", vocabulary), world.device)
        values.append(model.embed(batch, layer).cpu().numpy())
        places.append(features.example[rows])
    return sum_by_index(np.concatenate(values), np.concatenate(places), features.examples)


def evaluation_dtype(name: str, device: torch.device) -> torch.dtype:
    """``auto`` is bf16 on a GPU and fp32 on a CPU; otherwise as named."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if name not in known:
        raise UserError(f"unknown evaluation.dtype '{name}'", fix=f"Known: auto, {', '.join(known)}")
    return known[name]


def _places(features: Features, rows: np.ndarray, spec: TaskSpec) -> np.ndarray:
    """Global number of each prediction of a batch, in the order in which the model gives them."""
    if spec.family != "token":
        return features.example[rows]
    words = [int((features.labels[row] >= 0).sum()) for row in rows]
    return np.concatenate([features.first_word[row] + np.arange(n) for row, n in zip(rows, words, strict=True)])
