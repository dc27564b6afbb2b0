"""The `auto` micro-batch: the most tokens that one rank can take through the model at once, found before training.

What is tried is the worst that the data holds (the longest rows), with the engine's own memory set aside. On a GPU rows
are really trained on until they do not fit. A CPU has no such error: the kernel ends a process that takes too much; so
what autograd keeps is counted at one and at two rows, and is a straight line from there. The model is left as it was.
"""

from __future__ import annotations

import json
import logging
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch.func import functional_call

from dist_stilts.conventions import GIB
from dist_stilts.data.batches import Stream, collate, padded_places, to_device
from dist_stilts.errors import UserError
from dist_stilts.families.family import Batch
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.parallel.collectives import broadcast_value, least
from dist_stilts.parallel.world import World
from dist_stilts.state_files import Damaged, Least, read_state
from dist_stilts.train.memory import free_bytes
from dist_stilts.writing import write_text

log = logging.getLogger(__name__)

GPU_SPARE = 0.05
"""Share of a GPU's memory that stays free: communication and matrix libraries take theirs past torch."""
CPU_SPARE = 0.2
"""Share of the host's free memory that stays free."""
MicroTokens = Annotated[int, Least(1)]
Works = Sequence[tuple[str, Stream]]
Weights = dict[str, torch.Tensor]


def probe(model: MultiTaskModel, works: Works, most: int, reserve_bytes: int, dtype: torch.dtype, world: World) -> int:
    """The most tokens per rank and forward pass that fit, the same on every rank; every rank must call it.

    Args:
        works: each task's head and stream.
        most: rows per rank and optimiser step.
        reserve_bytes: what the engine will take beside the parameters, see :func:`memory.engine_bytes`.
        dtype: of the parameters in training.

    Raises:
        UserError: one row does not fit on some rank.
    """
    free = least(free_bytes(world))  # no rank takes anything before all have looked
    longest = max(places(heaviest(stream, 1), stream) for _, stream in works)
    with _as_in_training(model, world.device):
        if world.device.type == "cuda":
            spare = int(GPU_SPARE * torch.cuda.get_device_properties(world.device).total_memory)
            fits = trier(model, works, reserve_bytes + spare, dtype, world.device)
        else:
            fits = counter(model, works, int(free * (1 - CPU_SPARE)) - reserve_bytes, dtype)
        tokens = least(largest(useful(most, longest), fits))
    if tokens == 0:
        raise UserError(
            f"not one row of {longest} tokens fits into memory: {free / GIB:.2f} GiB are free, of which the engine "
            f"takes {reserve_bytes / GIB:.2f} GiB",
            fix="Lower data.max_length, use more ranks, or a train.deepspeed that offloads",
        )
    return tokens


def remembered(file: Path, world: World, find: Callable[[], int]) -> int:
    """What was found when this run first started at this number of ranks; at first, ``find()``, kept in ``file``.

    Rows share a forward pass by the micro-batch, and with it dropout: a resumed run goes on as it began
    (law 2) whatever memory is free now. Every rank must call it.
    """
    known: dict[str, int] = broadcast_value(_read(file) if world.is_main else {})
    if (ranks := str(world.size)) not in known:
        known[ranks] = find()
        if world.is_main:
            write_text(file, json.dumps(known))
    return known[ranks]


def _read(file: Path) -> dict[str, int]:
    try:
        return read_state(dict[str, MicroTokens], file, "tokens per forward pass", "") or {}
    except Damaged as error:
        log.warning("%s; found anew", error)
        return {}


def useful(rows: int, longest: int) -> list[int]:
    """The tokens per pass that sharing ``rows`` of the longest out to some number of passes leads to, ascending."""
    return sorted({-(-rows // passes) * longest for passes in range(1, rows + 1)})


def largest(sizes: Sequence[int], fits: Callable[[int], bool]) -> int:
    """The greatest of the ascending ``sizes`` that fits, 0 if none does; what is larger than a misfit is never tried.

    Sizes double until one does not fit, then the interval is halved: few tries, and none far beyond the memory.
    """
    good, bad = -1, len(sizes)  # places: up to ``good`` all fit, from ``bad`` on none does
    while bad - good > 1:
        trial = _doubled(sizes, good) if bad == len(sizes) else (good + bad) // 2
        if fits(sizes[trial]):
            good = trial
        else:
            bad = trial
    return sizes[good] if good >= 0 else 0


def _doubled(sizes: Sequence[int], good: int) -> int:
    """The place of the last size that is no more than twice the one at ``good``; always a later place."""
    return max(good + 1, bisect_right(sizes, 2 * sizes[good]) - 1) if good >= 0 else 0


def heaviest(stream: Stream, tokens: int) -> Batch:
    """A batch that takes as much as any of so many tokens: the row with the longest segment, over and over.

    Among rows with equally long segments it is the one of most tokens. There is at least one row.
    """
    features = stream.features
    longest = np.array([features.lengths[row].max() for row in stream.rows])
    worst = np.lexsort((features.tokens[stream.rows], longest))[-1]
    row = collate(features, stream.rows[[worst]], stream.kind)
    chosen = np.full(-(-tokens // places(row, stream)), worst)
    batch = collate(features, stream.rows[chosen], stream.kind)
    return stream.kind.in_training(batch, chosen, np.arange(len(chosen)), stream.masking)


def places(batch: Batch, stream: Stream) -> int:
    """What a batch of the stream counts as against ``max_micro_tokens``."""
    return len(batch["input_ids"]) if stream.packs else padded_places(batch)


def trier(
    model: MultiTaskModel, works: Works, held: int, dtype: torch.dtype, device: torch.device
) -> Callable[[int], bool]:
    """Whether so many tokens fit on a GPU while ``held`` bytes are taken: found by training on them."""

    def train(tokens: int) -> None:
        ballast = torch.empty(held, dtype=torch.uint8, device=device)
        weights = trial_weights(model, dtype, device)
        for head, stream in works:
            _loss(model, weights, head, to_device(heaviest(stream, tokens), device)).backward()
        del ballast

    def attempt(tokens: int) -> bool:
        try:
            train(tokens)
        except torch.OutOfMemoryError:
            return False
        return True

    def fits(tokens: int) -> bool:
        found = attempt(tokens)
        torch.cuda.empty_cache()  # out here the error is gone, and with it the frames that held tensors
        return found

    return fits


def counter(model: MultiTaskModel, works: Works, room: int, dtype: torch.dtype) -> Callable[[int], bool]:
    """Whether so many tokens fit into ``room`` bytes of a CPU's memory: counted."""
    weights = trial_weights(model, dtype, torch.device("cpu"))
    # Backward holds a whole gradient of tied embeddings from its first step to its last.
    gradient = max(weight.nbytes for weight in weights.values())
    lines = [_line(model, weights, head, stream) for head, stream in works]
    return lambda tokens: gradient + max(one + (tokens / each - 1) * more for one, more, each in lines) <= room


def _line(model: MultiTaskModel, weights: Weights, head: str, stream: Stream) -> tuple[int, int, int]:
    """Bytes of the heaviest row, bytes of each further one, and how many tokens it counts as."""
    each = places(heaviest(stream, 1), stream)
    one, two = (row_bytes(model, weights, head, heaviest(stream, rows * each)) for rows in (1, 2))
    return one, two - one, each


def row_bytes(model: MultiTaskModel, weights: Weights, head: str, batch: Batch) -> int:
    """Bytes that forward and backward of a batch take at their peak, parameters and their gradients not counted.

    That is what autograd saves for backward (each storage once), and twice the largest of it: the gradients that
    backward holds at a time, of an operation's output and of its input, are as large as what the operation saved.
    """
    own = {weight.untyped_storage().data_ptr() for weight in weights.values()}
    saved: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        _loss(model, weights, head, batch)
    return sum(saved.values()) + 2 * max(saved.values())


def _loss(model: MultiTaskModel, weights: Weights, head: str, batch: Batch) -> torch.Tensor:
    return functional_call(model, weights, (head, batch))


def trial_weights(model: MultiTaskModel, dtype: torch.dtype, device: torch.device) -> Weights:
    """Copies of all parameters and buffers as training has them; a gradient is gone as soon as it is there.

    So it is with ZeRO from stage 2 on, and what the engine keeps of gradients is set aside already.
    """
    weights = {name: buffer.to(device, copy=True) for name, buffer in model.named_buffers()}
    for name, parameter in model.named_parameters():
        weight = parameter.detach().to(device, dtype, copy=True).requires_grad_(parameter.requires_grad)
        if parameter.requires_grad:
            weight.register_post_accumulate_grad_hook(_drop_gradient)
        weights[name] = weight
    return weights


def _drop_gradient(weight: torch.Tensor) -> None:
    weight.grad = None


@contextmanager
def _as_in_training(model: MultiTaskModel, device: torch.device) -> Iterator[None]:
    """Dropout on; afterwards every module's mode and the random generators are as they were."""
    modes = [(module, module.training) for module in model.modules()]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            model.train()
            yield
        finally:
            for module, mode in modes:
                module.training = mode
