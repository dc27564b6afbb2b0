"""The `auto` micro-batch: the most rows that one rank can take through the model at once, found before training.

What is tried is the worst that the data holds (the longest rows), with the engine's own memory set aside. On a GPU rows
are really trained on until they do not fit. A CPU has no such error: the kernel ends a process that takes too much; so
what autograd keeps is counted at one and at two rows, and is a straight line from there. The model is left as it was.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch.func import functional_call
from torch.nn.functional import pad

from dist_stilts.data.batches import Batch, Stream, collate, masked, to_device
from dist_stilts.errors import UserError
from dist_stilts.layout import write_text
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.parallel.collectives import broadcast_value, least
from dist_stilts.parallel.world import World
from dist_stilts.train.memory import GIB, free_bytes

GPU_SPARE = 0.05
"""Share of a GPU's memory that stays free: communication and matrix libraries take theirs past torch."""
CPU_SPARE = 0.2
"""Share of the host's free memory that stays free."""
Works = Sequence[tuple[str, Stream]]
Weights = dict[str, torch.Tensor]


def probe(model: MultiTaskModel, works: Works, most: int, reserve_bytes: int, dtype: torch.dtype, world: World) -> int:
    """The most rows per rank and forward pass that fit, the same on every rank; every rank must call it.

    Args:
        works: each task's head and stream.
        most: rows per rank and optimiser step.
        reserve_bytes: what the engine will take beside the parameters, see :func:`memory.engine_bytes`.
        dtype: of the parameters in training.

    Raises:
        UserError: one row does not fit on some rank.
    """
    free = least(free_bytes(world))  # no rank takes anything before all have looked
    with _as_in_training(model, world.device):
        if world.device.type == "cuda":
            spare = int(GPU_SPARE * torch.cuda.get_device_properties(world.device).total_memory)
            fits = trier(model, works, reserve_bytes + spare, dtype, world.device)
        else:
            fits = counter(model, works, int(free * (1 - CPU_SPARE)) - reserve_bytes, dtype)
        rows = least(largest(useful(most), fits))
    if rows == 0:
        tokens = max(heaviest(stream, 1)["input_ids"].numel() for _, stream in works)
        raise UserError(
            f"not one row of {tokens} tokens fits into memory: {free / GIB:.2f} GiB are free, of which the engine "
            f"takes {reserve_bytes / GIB:.2f} GiB",
            fix="Lower data.max_length, use more ranks, or a train.deepspeed that offloads",
        )
    return rows


def remembered(file: Path, world: World, find: Callable[[], int]) -> int:
    """What was found when this run first started at this number of ranks; at first, ``find()``, kept in ``file``.

    Rows share a forward pass by the micro-batch, and with it padding and dropout: a resumed run goes on as it began
    (law 2) whatever memory is free now. Every rank must call it.
    """
    known: dict[str, int] = broadcast_value(_read(file) if world.is_main else {})
    if (ranks := str(world.size)) not in known:
        known[ranks] = find()
        if world.is_main:
            write_text(file, json.dumps(known))
    return known[ranks]


def _read(file: Path) -> dict[str, int]:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def useful(rows: int) -> list[int]:
    """The micro-batches that sharing ``rows`` out to some number of passes leads to, ascending."""
    return sorted({-(-rows // passes) for passes in range(1, rows + 1)})


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


def heaviest(stream: Stream, rows: int) -> Batch:
    """A batch that takes as much as any so many rows of the stream: the largest over and over, padded to the longest.

    The largest row is the one of most segments, and among these the one of most tokens.
    """
    features = stream.features
    segments, tokens = features.lengths.sizes[stream.rows], features.tokens[stream.rows]
    places = np.full(rows, np.lexsort((tokens, segments))[-1])
    batch = collate(features, stream.rows[places], stream.family, stream.vocabulary)
    if stream.family == "mlm":
        return masked(batch, places, np.arange(rows), stream.vocabulary, stream.seed, stream.mlm_rate)
    if stream.family == "choice":
        missing = max(int(features.lengths[row].max()) for row in stream.rows) - batch["input_ids"].shape[1]
        batch["input_ids"] = pad(batch["input_ids"], (0, missing), value=stream.vocabulary.pad)
        batch["attention_mask"] = pad(batch["attention_mask"], (0, missing))
    return batch


def trier(
    model: MultiTaskModel, works: Works, held: int, dtype: torch.dtype, device: torch.device
) -> Callable[[int], bool]:
    """Whether so many rows fit on a GPU while ``held`` bytes are taken: found by training on them."""

    def train(rows: int) -> None:
        ballast = torch.empty(held, dtype=torch.uint8, device=device)
        weights = _trial_weights(model, dtype, device)
        for head, stream in works:
            _loss(model, weights, head, to_device(heaviest(stream, rows), device)).backward()
        del ballast

    def attempt(rows: int) -> bool:
        try:
            train(rows)
        except torch.OutOfMemoryError:
            return False
        return True

    def fits(rows: int) -> bool:
        found = attempt(rows)
        torch.cuda.empty_cache()  # out here the error is gone, and with it the frames that held tensors
        return found

    return fits


def counter(model: MultiTaskModel, works: Works, room: int, dtype: torch.dtype) -> Callable[[int], bool]:
    """Whether so many rows fit into ``room`` bytes of a CPU's memory: counted."""
    weights = _trial_weights(model, dtype, torch.device("cpu"))
    # Backward holds a whole gradient of tied embeddings from its first step to its last.
    gradient = max(weight.nbytes for weight in weights.values())
    lines = [[row_bytes(model, weights, head, heaviest(stream, rows)) for rows in (1, 2)] for head, stream in works]
    return lambda rows: gradient + max(one + (rows - 1) * (two - one) for one, two in lines) <= room


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


def _trial_weights(model: MultiTaskModel, dtype: torch.dtype, device: torch.device) -> Weights:
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
