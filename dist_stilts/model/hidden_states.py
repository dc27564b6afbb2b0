"""Chosen hidden states of any encoder from one forward pass, which ends where the highest of them is reached.

Layers are numbered as in Hugging Face's ``hidden_states``: 0 enters the first block, the last leaves the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from dist_stilts.families.family import Batch
from dist_stilts.model.packing import flat, inputs, segments_of


class _Reached(Exception):
    """Ends a forward pass: all that is wanted has been seen."""


def hidden_states(encoder: nn.Module, batch: Batch, layers: Sequence[int]) -> list[torch.Tensor]:
    """The hidden states of ``layers`` of a packed batch: each ``[tokens, width]``.

    Args:
        encoder: a Hugging Face encoder.
        layers: numbers from 0 to the encoder's number of blocks.
    """
    segments = segments_of(batch)
    given = inputs(encoder, batch, segments)
    blocks = _blocks(encoder)
    if blocks is None:
        states = encoder(**given, output_hidden_states=True).hidden_states
        return [flat(states[layer], segments) for layer in layers]
    found: dict[int, torch.Tensor] = {}
    hooks = [
        blocks[layer].register_forward_pre_hook(partial(_note, found, layer, layer == max(layers)), with_kwargs=True)
        for layer in set(layers) - {len(blocks)}
    ]
    try:
        found[len(blocks)] = encoder(**given).last_hidden_state
    except _Reached:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return [flat(found[layer], segments) for layer in layers]


def _note(
    found: dict[int, torch.Tensor], layer: int, is_last: bool, _: nn.Module, args: Any, kwargs: dict[str, Any]
) -> None:
    found[layer] = args[0] if args else kwargs["hidden_states"]
    if is_last:
        raise _Reached


def _blocks(encoder: nn.Module) -> nn.ModuleList | None:
    """The encoder's list of blocks; None where it has not exactly one such list (ALBERT's blocks are one block)."""
    number: Any = encoder.config.num_hidden_layers  # type: ignore[union-attr]
    lists = [module for module in encoder.modules() if isinstance(module, nn.ModuleList) and len(module) == number]
    return lists[0] if len(lists) == 1 else None
