"""Sharded prediction: each rank takes its own batches, rows carry their global numbers, one reduction at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from dist_stilts.data.batches import collate, scoring_batches, to_device
from dist_stilts.data.features import Features
from dist_stilts.errors import UserError
from dist_stilts.model.heads import head_name
from dist_stilts.parallel import preemption
from dist_stilts.parallel.collectives import sum_by_index
from dist_stilts.parallel.world import World
from dist_stilts.tasks.spec import IGNORED, TaskSpec


def predict(model: Any, spec: TaskSpec, features: Features, world: World, batch_size: int) -> np.ndarray:
    """Predict a whole split, the same on every rank and at every number of ranks.

    Returns:
        ``[examples]`` class or choice; for tagging ``[words]`` tags of all words in file order. int64. Questions have
        answers instead: :func:`predict_answers`.
    """
    values, places = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    model.eval()
    for rows in _own_batches(features, batch_size, world):
        batch = to_device(collate(features, rows, spec.family), world.device)
        values.append(model.predict(head_name(spec), batch).cpu().numpy())
        places.append(_places(features, rows, spec))
    size = features.words if spec.family == "token" else features.examples
    return sum_by_index(np.concatenate(values), np.concatenate(places), size)


def predict_answers(
    model: Any,
    spec: TaskSpec,
    features: Features,
    world: World,
    batch_size: int,
    n_best: int,
    longest: int,
) -> np.ndarray:
    """Find the best answers in every window of a split, the same on every rank and at every number of ranks.

    Returns:
        ``[windows, 1 + 3 n_best]`` float64 as of :func:`dist_stilts.model.answers.best_spans`, but with the first
        character of each answer and the one after its last in the place of tokens.
    """
    values, places = [np.empty((0, 1 + 3 * n_best))], [np.empty(0, np.int64)]
    model.eval()
    for rows in _own_batches(features, batch_size, world):
        batch = to_device(collate(features, rows, spec.family), world.device)
        offsets = np.full((len(rows), int(batch["lengths"].max()), 2), -1)
        for place, row in enumerate(rows):
            offsets[place, : len(features.offsets[row]) // 2] = features.offsets[row].reshape(-1, 2)
        context = torch.from_numpy(offsets[..., 0] >= 0).to(world.device)
        found = model.answers(head_name(spec), batch, context, n_best, longest).cpu().numpy()
        values.append(_in_characters(found, offsets))
        places.append(rows)
    return sum_by_index(np.concatenate(values), np.concatenate(places), len(features))


def _in_characters(found: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    spans = found[:, 1:].reshape(len(found), -1, 3)
    real = np.isfinite(spans[..., 2])
    tokens = np.where(real[..., None], spans[..., :2], 0).astype(np.int64)
    window = np.arange(len(found))[:, None]
    first = np.where(real, offsets[window, tokens[..., 0], 0], 0)
    after = np.where(real, offsets[window, tokens[..., 1], 1], 0)
    spans = np.stack([first, after, spans[..., 2]], axis=2)
    return np.concatenate([found[:, :1], spans.reshape(len(found), -1)], axis=1)


def evaluation_dtype(name: str, device: torch.device) -> torch.dtype:
    """``auto`` is bf16 on a GPU and fp32 on a CPU; otherwise as named."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if name not in known:
        raise UserError(f"unknown evaluation.dtype '{name}'", fix=f"Known: auto, {', '.join(known)}")
    return known[name]


def _own_batches(features: Features, batch_size: int, world: World) -> Iterator[np.ndarray]:
    """This rank's batches; before each and after the last all ranks may agree to stop."""
    for rows in scoring_batches(features, batch_size, world.rank, world.size):
        preemption.check()
        if len(rows):
            yield rows
    preemption.check()


def _places(features: Features, rows: np.ndarray, spec: TaskSpec) -> np.ndarray:
    """Global number of each prediction of a batch, in the order in which the model gives them."""
    if spec.family != "token":
        return features.example[rows]
    words = [int((features.labels[row] != IGNORED).sum()) for row in rows]
    return np.concatenate([features.first_word[row] + np.arange(n) for row, n in zip(rows, words, strict=True)])
