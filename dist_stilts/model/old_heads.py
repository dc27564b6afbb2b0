"""Heads of exports of version 0.7 and before: private modules, in one file beside the encoder.

    classes, choices   <head>.dense.*, <head>.out.*   dense, tanh, linear on the first token
    tags, spans        <head>.out.*                   linear on every token
    masked words       <head>.dense.*, <head>.layer_norm.*, <head>.bias   dense, gelu, norm, word embeddings

Their tensors are put into Hugging Face's head for the architecture. Whether it then computes what the old one did is
tried and not assumed: a library's head with another activation, or with more layers, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import gelu, layer_norm, linear

from dist_stilts.errors import UserError
from dist_stilts.families.family import Batch, Family
from dist_stilts.families.kinds import KINDS
from dist_stilts.model.encoder import load_encoder
from dist_stilts.model.heads import MLM, Head, head_name, join, new_head
from dist_stilts.model.packing import segments_of, to_grid
from dist_stilts.model.trial import batch_on_trial
from dist_stilts.tasks.registry import find_task

FILE = "heads.safetensors"
NUMBERED = re.compile(r"-(\d+)-[0-9a-f]{6}")
"""How the name of a head with labels ends: their number and digest."""
TOLERANCE = 1e-5
"""Greatest difference from the old head, against the largest of its logits."""
OUT = ("out.weight", "out.bias")
DENSE = ("dense.weight", "dense.bias")
PARTS = {
    frozenset(OUT): ("span", "token"),
    frozenset(DENSE + OUT): ("choice", "sequence"),
    frozenset((*DENSE, "layer_norm.weight", "layer_norm.bias", "bias")): (MLM, MLM),
}
"""The tensors of a head to its kind: the former if its name numbers no labels, the latter if it does."""
Tensors = dict[str, torch.Tensor]


def is_old(folder: Path) -> bool:
    """Whether a model folder is such an export."""
    return (folder / FILE).is_file()


def old_heads(folder: Path, heads: Mapping[str, list[str]]) -> dict[str, tuple[Family, tuple[str, ...]]]:
    """The kind and the labels of each head, by name; labels that no known task has are ``LABEL_0``, ``LABEL_1``, ...

    Args:
        heads: their names to the tasks that trained them, as the provenance has them.

    Raises:
        UserError: a file that is damaged, or lacks a head.
    """
    found = {}
    for name, tasks in heads.items():
        tensors = _read(folder, name)
        family = KINDS[PARTS[frozenset(tensors)][NUMBERED.search(name) is not None]]
        found[name] = family, _labels(name, tasks, len(tensors["out.bias"])) if family.has_labels else ()
    return found


def old_task_model(folder: Path, name: str, family: Family, labels: tuple[str, ...]) -> Any:
    """Hugging Face's whole task model with the folder's encoder and one of its old heads.

    Raises:
        UserError: no such model computes what the old head did.
    """
    encoder: Any
    encoder, _ = load_encoder(str(folder))
    with torch.random.fork_rng(devices=[]):  # what is drawn is overwritten
        head = new_head(family, labels, encoder)
    tensors = _read(folder, name)
    for wanted in _ways(head, tensors):
        with torch.no_grad():
            for part, parameter in wanted.items():
                parameter.copy_(tensors[part])
        if _computes_alike(head, tensors, encoder):
            return join(head, encoder)
    raise UserError(
        f"the head '{name}' is of an older version and is none that a {type(head.task).__name__} can have",
        where=folder / FILE,
        fix="Train its task again from this encoder",
    )


def _read(folder: Path, name: str) -> Tensors:
    from safetensors import SafetensorError, safe_open

    start = f"{name}."
    try:
        with safe_open(folder / FILE, "pt") as file:
            names = [key for key in file.keys() if key.startswith(start)]  # noqa: SIM118  it is no dictionary
            found = {key.removeprefix(start): file.get_tensor(key).float() for key in names}
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot be read ({error})", where=folder / FILE, fix="Run its recipe again") from None
    if frozenset(found) not in PARTS:
        raise UserError(f"not all of the head '{name}' is there", where=folder / FILE, fix="Run its recipe again")
    return found


def _labels(name: str, tasks: list[str], count: int) -> tuple[str, ...]:
    """Those of a task that trained the head, if they are still the ones that its name has the digest of."""
    for spec in filter(None, map(find_task, tasks)):
        if head_name(spec) == name:
            return spec.labels
    return tuple(f"LABEL_{number}" for number in range(count))


def _ways(head: Head, tensors: Tensors) -> Iterator[dict[str, torch.Tensor]]:
    """Each way to give every old tensor a parameter of the new head that has its shape: ``{part: parameter}``."""
    layers = [module for module in head.modules() if isinstance(module, nn.Linear | nn.LayerNorm)]
    parts = [part.rpartition(".") for part in tensors]
    places = sorted({place for place, _, _ in parts if place})
    for chosen in permutations(layers, len(places)):
        layer = dict(zip(places, chosen, strict=True))
        wanted = {f"{place}.{leaf}": getattr(layer[place], leaf) for place, _, leaf in parts if place}
        if "bias" in tensors:  # of the words; their weights are tied to the embeddings
            wanted["bias"] = next((one.bias for one in layers if len(one.weight) == len(tensors["bias"])), None)
        if all(there is not None and there.shape == tensors[part].shape for part, there in wanted.items()):
            yield wanted


@torch.no_grad()
def _computes_alike(head: Head, tensors: Tensors, encoder: Any) -> bool:
    """Whether the head gives what the old one gave, on random states; not so if it has layers that none of the old
    tensors filled."""
    head.eval()
    head.try_pooling()
    batch = batch_on_trial(encoder.config, head.family)
    draw = torch.Generator().manual_seed(0)
    states = torch.randn(len(batch["input_ids"]), encoder.config.hidden_size, generator=draw)
    expected = _FORMULAS[head.family.name](tensors, states, batch, encoder)
    found = head(states, batch)
    largest = expected[expected.isfinite()].abs().max().item()
    return found.shape == expected.shape and torch.allclose(found, expected, rtol=0, atol=TOLERANCE * max(1.0, largest))


def _classes(tensors: Tensors, states: torch.Tensor, batch: Batch, _: Any) -> torch.Tensor:
    first = states[batch["bounds"][:-1].long()]
    dense = torch.tanh(linear(first, tensors["dense.weight"], tensors["dense.bias"]))
    return linear(dense, tensors["out.weight"], tensors["out.bias"])


def _choices(tensors: Tensors, states: torch.Tensor, batch: Batch, encoder: Any) -> torch.Tensor:
    return _classes(tensors, states, batch, encoder)[batch["segments"], 0]


def _tags(tensors: Tensors, states: torch.Tensor, *_: Any) -> torch.Tensor:
    return linear(states, tensors["out.weight"], tensors["out.bias"])


def _spans(tensors: Tensors, states: torch.Tensor, batch: Batch, _: Any) -> torch.Tensor:
    return to_grid(_tags(tensors, states), segments_of(batch), float("-inf"))


def _words(tensors: Tensors, states: torch.Tensor, _: Batch, encoder: Any) -> torch.Tensor:
    dense = gelu(linear(states, tensors["dense.weight"], tensors["dense.bias"]))
    scale, shift = tensors["layer_norm.weight"], tensors["layer_norm.bias"]
    normed = layer_norm(dense, dense.shape[-1:], scale, shift, encoder.config.layer_norm_eps)
    return linear(normed, encoder.get_input_embeddings().weight, tensors["bias"])


_FORMULAS: dict[str, Callable[[Tensors, torch.Tensor, Batch, Any], torch.Tensor]] = {
    "sequence": _classes,
    "choice": _choices,
    "token": _tags,
    "span": _spans,
    MLM: _words,
}
"""What the old heads computed outside training, on every token of a batch."""
