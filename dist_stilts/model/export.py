"""What goes out is Hugging Face's (law 12): ``AutoModelFor…``, ``pipeline`` and sentence-transformers load it.

model/            the task's whole model, where the phase had one head
model/            the encoder, where it had none or several, and below it
  heads/<task>/   each task's whole model; the encoder's file is linked, not written again
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.model.encoder import quiet_transformers
from dist_stilts.model.finite import not_finite
from dist_stilts.model.heads import Head, joined
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.pooling_files import SentenceReading, write_pooling
from dist_stilts.model.provenance import Provenance, checksums_of_weights, write_provenance
from dist_stilts.model.saved_heads import folders_of_heads
from dist_stilts.writing import write_text

WEIGHTS = "model.safetensors"
SHARED, OWN = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
"""The files of one of several heads' models: the encoder's tensors, and its own."""
ONE_FILE = "1TB"
"""Most bytes of a file of weights, as transformers takes them."""


def export(folder: Path, model: MultiTaskModel, tokenizer: Any, provenance: Provenance) -> None:
    """Write a model folder: weights, configuration, tokenizer, provenance, and what sentence-transformers reads.

    Args:
        provenance: its ``heads`` say which tasks each of the model's heads is of.

    Raises:
        UserError: weights that are not finite.
    """
    if bad := not_finite(model.named_parameters()):
        raise UserError(
            f"{len(bad)} tensors hold NaN or infinity (first: {bad[0]}) and are not written as a model",
            where=folder,
            code=EXIT_FAILED,
        )
    quiet_transformers()
    tokenizer.backend_tokenizer.no_truncation()
    places = folders_of_heads(folder, {name: provenance.heads[name] for name in model.heads})
    if len(places) == 1:
        with joined(model.head(next(iter(places))), model.encoder) as task:
            task.save_pretrained(str(folder), max_shard_size=ONE_FILE)
    elif places:
        _write_several(folder, model, places)
    else:
        model.encoder.save_pretrained(str(folder), max_shard_size=ONE_FILE)
    for place in {folder, *places.values()}:
        tokenizer.save_pretrained(str(place))
    write_pooling(folder, SentenceReading())
    write_provenance(folder, replace(provenance, files=checksums_of_weights(folder)))


def _write_several(folder: Path, model: MultiTaskModel, places: Mapping[str, Path]) -> None:
    """Write the encoder once, by the names that it has in a task's model, and each head beside a link to it."""
    encoder = model.encoder
    for name, place in places.items():
        head = model.head(name)
        with joined(head, encoder) as task:
            inside = {f"{task.base_model_prefix}.{part}" for part in encoder.state_dict()} - _pooler(head)
            tensors = task.state_dict()
            shared = {part: tensors[part] for part in tensors if part in inside}
            if not (folder / WEIGHTS).exists():
                task.save_pretrained(str(folder), state_dict=dict(shared), max_shard_size=ONE_FILE)
            tied = {tensor.data_ptr() for tensor in shared.values()}
            own = {part: tensor for part, tensor in tensors.items() if part not in inside}
            own = {part: tensor for part, tensor in own.items() if tensor.data_ptr() not in tied}
            task.save_pretrained(str(place), state_dict=dict(own), max_shard_size=ONE_FILE)
        (place / WEIGHTS).rename(place / OWN)
        _link(folder / WEIGHTS, place / SHARED)
        _write_index(place, shared, own)
    encoder.config.architectures = [type(encoder).__name__]
    encoder.config.save_pretrained(str(folder))


def _pooler(head: Head) -> set[str]:
    """The pooler's tensors, which are a head's own, by their names in a task's model."""
    pooler = head.ready.pooler
    prefix = head.task.base_model_prefix
    return {f"{prefix}.pooler.{part}" for part in (pooler.state_dict() if pooler is not None else ())}


def _link(file: Path, name: Path) -> None:
    try:
        os.link(file, name)
    except OSError:  # file systems without links
        shutil.copyfile(file, name)


def _write_index(folder: Path, shared: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> None:
    """Say which tensor is in which file, as transformers reads it."""
    files = {**dict.fromkeys(shared, SHARED), **dict.fromkeys(own, OWN)}
    size = sum(tensor.nbytes for tensor in (*shared.values(), *own.values()))
    index = {"metadata": {"total_size": size}, "weight_map": files}
    write_text(folder / f"{WEIGHTS}.index.json", json.dumps(index, indent=2, sort_keys=True))
