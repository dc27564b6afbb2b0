"""Feature rows to packed batches, and the training rows of one phase as a function of the step.

A batch is a dictionary of tensors, in which all segments lie one behind another without padding:

    input_ids   ``[tokens]`` int64
    lengths     ``[segments]`` int64 tokens of each; it stays on the host, where shapes are decided
    bounds      ``[segments + 1]`` int32 the first token of each, and the number of all
    token_types ``[tokens]`` int64, 1 from a segment's second text on; absent where all are 0
    labels      and whatever else the kind of task has beside them, by its ``collate`` in
                :mod:`dist_stilts.families`: ``[rows]`` class or choice, -100 = hidden; ``[rows]`` float32 number;
                ``[rows, labels]`` float32 yes or no; ``[targets]`` of the tokens that are predicted; ``[rows, 2]``
                first and last token of the answer
    targets     ``[targets]`` places of the tokens that are predicted
    segments    multiple choice only: ``[rows, choices]`` each choice's segment, -1 = no such choice
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from dist_stilts.data.order import deal, deal_by_length, global_batch
from dist_stilts.families.family import Batch, Family
from dist_stilts.families.features import Features
from dist_stilts.families.masking import Masking, Vocabulary


def collate(features: Features, rows: Sequence[int] | np.ndarray, kind: Family) -> Batch:
    """Pack rows one behind another."""
    lengths = [features.lengths[row] for row in rows]
    batch = _packed(np.concatenate([features.input_ids[row] for row in rows]), np.concatenate(lengths))
    if features.has_second:
        batch["token_types"] = _token_types(batch, np.concatenate([features.second[row] for row in rows]))
    batch |= kind.collate(features, rows, lengths)
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def _token_types(batch: dict[str, np.ndarray], second: np.ndarray) -> np.ndarray:
    """0 in the first text of a segment, 1 from its second on."""
    begins = batch["bounds"][:-1] + second
    return (np.arange(len(batch["input_ids"])) >= np.repeat(begins, batch["lengths"])).astype(np.int64)


def plain(flat: np.ndarray, lengths: np.ndarray) -> Batch:
    """A batch of token ids ``[tokens]`` that nobody predicts anything of."""
    return {name: torch.from_numpy(array) for name, array in _packed(flat, lengths).items()}


def _packed(flat: np.ndarray, lengths: np.ndarray) -> dict[str, np.ndarray]:
    lengths = lengths.astype(np.int64)
    bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return {"input_ids": flat.astype(np.int64), "lengths": lengths, "bounds": bounds}


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device, but for the lengths."""
    return {name: value if name == "lengths" else value.to(device, non_blocking=True) for name, value in batch.items()}


def pinned(batch: Batch) -> Batch:
    """The batch in memory that a GPU reads by itself, so that nobody waits for the copy."""
    return {name: value if name == "lengths" else value.pin_memory() for name, value in batch.items()}


@dataclass(frozen=True)
class Step:
    """What one rank does in one optimiser step.

    Attributes:
        micro_batches: this rank's share.
        targets: predictions that the whole global batch asks for, all ranks together: the loss is their mean.
        tokens, slots: in this rank's share, real tokens, and places that the encoder computes.
    """

    micro_batches: list[Batch]
    targets: int
    tokens: int
    slots: int


@dataclass(frozen=True)
class Stream:
    """The training rows of one task.

    Attributes:
        rows: ``[n]`` which feature rows are trained on (the subset of the run); one may be there several times.
        micro_tokens: most places that a micro-batch may have, unless it is a single row.
        mlm_rate: share of tokens that masked language modelling predicts.
        packs: whether the encoder reads packed batches, or needs padding.
    """

    task: str
    kind: Family
    features: Features
    rows: np.ndarray
    vocabulary: Vocabulary
    batch_size: int
    micro_tokens: int
    seed: int
    mlm_rate: float
    packs: bool = True

    @cached_property
    def masking(self) -> Masking:
        """How masked language modelling chooses tokens."""
        return Masking(self.vocabulary, self.seed, self.mlm_rate)

    def step(self, turn: int, rank: int, ranks: int) -> Step:
        """The ``turn``-th batch of this task as rank ``rank`` of ``ranks`` sees it; pure."""
        places, epochs = global_batch(self.seed, len(self.rows), self.batch_size, turn)
        rows = self.rows[places]
        own = self._dealt(rows, ranks)[rank]
        batches = [self._batch(places[share], epochs[share]) for share in own]
        tokens = [len(batch["input_ids"]) for batch in batches]
        slots = tokens if self.packs else [padded_places(batch) for batch in batches]
        targets = self.kind.targets(self.features, rows, self.masking)  # known without asking the other ranks
        return Step(batches, targets, sum(tokens), sum(slots))

    def _dealt(self, rows: np.ndarray, ranks: int) -> list[list[np.ndarray]]:
        """For each rank and micro-batch, positions in the global batch."""
        if self.packs:
            return deal(self.features.tokens[rows], ranks, self.micro_tokens)
        lengths = [self.features.lengths[row] for row in rows]
        places = np.array([(len(own), own.max()) for own in lengths], np.int64)
        return deal_by_length(places, ranks, self.micro_tokens)

    def _batch(self, places: np.ndarray, epochs: np.ndarray) -> Batch:
        batch = collate(self.features, self.rows[places], self.kind)
        return self.kind.in_training(batch, places, epochs, self.masking)


def padded_places(batch: Batch) -> int:
    """What a batch would hold if each segment were padded to the longest."""
    return len(batch["lengths"]) * int(batch["lengths"].max())


def words_used(features: Sequence[Features], rows: Sequence[np.ndarray], vocabulary: int) -> np.ndarray:
    """Which words occur in these rows of each task: ``[vocabulary]`` bool."""
    used = np.zeros(vocabulary, bool)
    for of_task, chosen in zip(features, rows, strict=True):
        for row in np.unique(chosen):
            used[of_task.input_ids[row]] = True
    return used


def scoring_batches(features: Features, batch_size: int, rank: int, ranks: int) -> Iterator[np.ndarray]:
    """The rows that one rank scores, batch by batch; every rank gets equally many batches, the last may be empty.

    Batches are cut from all rows in order of length and dealt out whole, so each has the same rows whatever the number
    of ranks: the same padding, the same arithmetic, the same scores (law 3).
    """
    by_length = np.argsort(-features.tokens, kind="stable")
    for start in range(0, len(by_length), ranks * batch_size):
        yield by_length[start + rank * batch_size : start + (rank + 1) * batch_size]
