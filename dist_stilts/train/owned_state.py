"""What each rank owns of the training state: stretches of parameters, with their fp32 weights and Adam moments.

ZeRO cuts parameters differently at each stage and number of ranks. Named stretches are what they have in common: a
checkpoint that says which stretch is which can be read at any stage and any number of ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from dist_stilts.parallel.collectives import any_rank, gather_tensor, gather_values
from dist_stilts.private_names import WEIGHTS


@dataclass(frozen=True)
class Piece:
    """A stretch of one parameter whose fp32 weights and moments this rank owns.

    Elements ``[start, start + size)`` of the flattened parameter lie at ``[offset, offset + size)`` of the rank's flat
    ``partition``. The pieces of all ranks together are every parameter once, at any number of ranks and ZeRO stage.
    """

    name: str
    start: int
    size: int
    partition: int
    offset: int


@dataclass(frozen=True)
class OwnedState:
    """What this rank owns of the training state, as views into the engine.

    Attributes:
        partitions: ``weights`` (fp32 master copies), ``exp_avg``, ``exp_avg_sq`` to flat fp32 tensors.
        steps: the optimiser's own count, by partition: steps taken, those left out not counted. Its bias correction
            depends on it.
    """

    pieces: list[Piece]
    partitions: dict[str, list[torch.Tensor]]
    steps: list[torch.Tensor]


MOMENTS = ("exp_avg", "exp_avg_sq")


def owned_state(engine: Any) -> OwnedState:
    """This rank's share of weights and moments; moments that no step has made yet are zero."""
    zero = engine.optimizer
    weights = list(next(getattr(zero, name) for name in WEIGHTS if hasattr(zero, name)))
    states = [zero.optimizer.state[flat] for flat in weights]
    for flat, state in zip(weights, states, strict=True):
        if not state:
            # A fused AdamW keeps its count beside the weights, the others on the CPU.
            state["step"] = torch.zeros((), device=flat.device if zero.optimizer.defaults["fused"] else "cpu")
            state |= {key: torch.zeros_like(flat) for key in MOMENTS}
    moments = {key: [state[key] for state in states] for key in MOMENTS}
    return OwnedState(_pieces(engine), {"weights": weights, **moments}, [state["step"] for state in states])


def _pieces(engine: Any) -> list[Piece]:
    found = []
    for name, parameter in engine.module.named_parameters():
        if hasattr(parameter, "ds_id"):  # stage 3 cuts every parameter into equal parts, the last one padded
            partition, offset, size = engine.optimizer.grad_position[engine.optimizer.get_param_id(parameter)]
            start = size * engine.global_rank
            size = min(size, parameter.ds_numel - start)
        elif (mapping := parameter._hp_mapping) is not None:  # stages 1 and 2 cut the flat group; None = not ours
            start, size = mapping.lp_fragment_address.start, mapping.lp_fragment_address.numel
            partition, offset = mapping.param_group_index, mapping.hp_fragment_address.start
        else:
            continue
        if size > 0:
            found.append(Piece(name, start, size, partition, offset))
    return found


def publish_weights(engine: Any) -> None:
    """Make the model's own parameters those of the fp32 weights, after these were changed; every rank must call it."""
    zero = engine.optimizer
    if engine.zero_optimization_stage() < 3:
        zero.update_lp_params()
        return
    kept_whole = zero.persistent_parameters
    if kept_whole:
        kept_whole[0].partition(kept_whole)
    for group in range(len(zero.fp32_partitioned_groups_flat)):
        zero._reassign_or_swap_out_partitioned_parameters(group)
    if kept_whole:
        kept_whole[0].all_gather(kept_whole)


def has_weights(engine: Any, expected: Mapping[str, torch.Tensor]) -> bool:
    """Whether the engine's fp32 weights are what rank 0 expects, bit by bit; every rank must call it."""
    owned = owned_state(engine)
    found = gather_weights(engine, owned.partitions["weights"], owned.pieces)
    return not any_rank(any(not torch.equal(tensor, expected[name]) for name, tensor in found.items()))


def gather_weights(engine: Any, partitions: Sequence[torch.Tensor], pieces: Sequence[Piece]) -> dict[str, torch.Tensor]:
    """Put whole fp32 parameters together on rank 0, on the CPU; every rank must call it, the others get nothing.

    Args:
        partitions: flat tensors laid out as the engine's; they need not be its own.
    """
    parts = [gather_tensor(flat.detach().cpu()) for flat in partitions]
    shapes = {name: getattr(p, "ds_shape", p.shape) for name, p in engine.module.named_parameters()}
    whole: dict[str, torch.Tensor] = {}
    for rank, owned in enumerate(gather_values(list(pieces))):
        for piece in owned if parts and parts[0] else ():
            full = whole.setdefault(piece.name, torch.empty(shapes[piece.name].numel()))
            there = parts[piece.partition][rank]
            full[piece.start : piece.start + piece.size] = there[piece.offset : piece.offset + piece.size]
    return {name: tensor.view(shapes[name]) for name, tensor in whole.items()}
