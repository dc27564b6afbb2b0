"""Feature rows to padded batches, and the training rows of one phase as a function of the step.

A batch is a dictionary of tensors:

    input_ids, attention_mask   ``[segments, length]`` int64
    labels                      ``[rows]`` class or choice; ``[rows, length]`` per token (-100 = not predicted);
                                ``[rows, 2]`` first and last token of the answer
    segments                    multiple choice only: ``[rows, choices]`` each choice's segment, -1 = no such choice
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from dist_stilts.data.features import Features
from dist_stilts.data.masking import mask, number_of_targets
from dist_stilts.data.order import deal, global_batch
from dist_stilts.tasks.spec import IGNORED, Family

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Vocabulary:
    """The ids that padding and masking need."""

    pad: int
    mask: int
    ordinary: np.ndarray

    @classmethod
    def of(cls, tokenizer: object) -> Vocabulary:
        """Read them off a Hugging Face tokenizer."""
        special = tokenizer.all_special_ids  # type: ignore[attr-defined]
        ordinary = np.setdiff1d(np.arange(len(tokenizer)), special)  # type: ignore[arg-type]
        return cls(tokenizer.pad_token_id, tokenizer.mask_token_id, ordinary)  # type: ignore[attr-defined]

    def is_ordinary(self, ids: np.ndarray) -> np.ndarray:
        """Whether each id is neither special nor padding; a table look-up, for it is asked at every step."""
        return self._table[np.minimum(ids, len(self._table) - 1)]

    @cached_property
    def _table(self) -> np.ndarray:
        table = np.zeros(self.ordinary.max() + 2, bool)  # the last place stands for all ids above
        table[self.ordinary] = True
        return table


def collate(features: Features, rows: Sequence[int] | np.ndarray, family: Family, vocabulary: Vocabulary) -> Batch:
    """Pad rows to the longest of them."""
    flat = np.concatenate([features.input_ids[row] for row in rows])
    lengths = [features.lengths[row] for row in rows]
    per_segment = np.concatenate(lengths)
    real = np.arange(per_segment.max()) < per_segment[:, None]
    input_ids = np.full(real.shape, vocabulary.pad, np.int64)
    input_ids[real] = flat
    batch = {"input_ids": input_ids, "attention_mask": real.astype(np.int64)}
    if family == "token":
        batch["labels"] = np.full(real.shape, IGNORED, np.int64)
        batch["labels"][real] = np.concatenate([features.labels[row] for row in rows])
    elif family == "span":
        hidden = np.full(2, IGNORED)
        batch["labels"] = np.array([found if len(found := features.labels[row]) else hidden for row in rows], np.int64)
    elif family in ("sequence", "choice"):
        labels = [features.labels[row] for row in rows]
        batch["labels"] = np.array([label[0] if len(label) else IGNORED for label in labels], np.int64)
    if family == "choice":
        counts = np.array([len(row_lengths) for row_lengths in lengths])
        offsets = np.cumsum(counts) - counts
        choice = np.arange(counts.max())
        batch["segments"] = np.where(choice < counts[:, None], offsets[:, None] + choice, -1)
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def masked(
    batch: Batch, places: np.ndarray, epochs: np.ndarray, vocabulary: Vocabulary, seed: int, rate: float
) -> Batch:
    """Turn a batch of plain text into a masked-language-model batch."""
    ids = batch["input_ids"].numpy()
    ordinary = vocabulary.is_ordinary(ids)
    ids, labels = mask(
        ids, ordinary, places, epochs, seed=seed, rate=rate, mask_id=vocabulary.mask, ordinary_ids=vocabulary.ordinary
    )
    return {**batch, "input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device."""
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


@dataclass(frozen=True)
class Step:
    """What one rank does in one optimiser step.

    Attributes:
        micro_batches: this rank's share.
        targets: predictions that the whole global batch asks for, all ranks together: the loss is their mean.
        tokens, slots: real tokens and padded places in this rank's share.
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
        micro_batches: accumulation steps per optimiser step.
        mlm_rate: share of tokens that masked language modelling predicts.
    """

    task: str
    family: Family
    features: Features
    rows: np.ndarray
    vocabulary: Vocabulary
    batch_size: int
    micro_batches: int
    seed: int
    mlm_rate: float

    def step(self, turn: int, rank: int, ranks: int) -> Step:
        """The ``turn``-th batch of this task as rank ``rank`` of ``ranks`` sees it; pure."""
        places, epochs = global_batch(self.seed, len(self.rows), self.batch_size, turn)
        rows = self.rows[places]
        tokens = self.features.tokens[rows]
        shares = deal(tokens, ranks, self.micro_batches)[rank]
        batches = [self._batch(places[share], epochs[share]) for share in shares]
        slots = sum(batch["input_ids"].numel() for batch in batches)
        return Step(batches, self._targets(rows), int(tokens[np.concatenate(shares)].sum()), slots)

    def _batch(self, places: np.ndarray, epochs: np.ndarray) -> Batch:
        batch = collate(self.features, self.rows[places], self.family, self.vocabulary)
        if self.family != "mlm":
            return batch
        # Keyed by place and not by row: a row that an epoch holds several times is masked anew each time.
        return masked(batch, places, epochs, self.vocabulary, self.seed, self.mlm_rate)

    def _targets(self, rows: np.ndarray) -> int:
        """Predictions in the global batch, known to every rank without asking the others."""
        if self.family == "mlm":
            ordinary = np.array([self.vocabulary.is_ordinary(self.features.input_ids[row]).sum() for row in rows])
            return int(number_of_targets(ordinary, self.mlm_rate).sum())
        if self.family == "token":
            return int(sum((self.features.labels[row] >= 0).sum() for row in rows))
        return sum(int((self.features.labels[row] >= 0).any()) for row in rows)


def scoring_batches(features: Features, batch_size: int, rank: int, ranks: int) -> Iterator[np.ndarray]:
    """The rows that one rank scores, batch by batch; every rank gets equally many batches, the last may be empty.

    Batches are cut from all rows in order of length and dealt out whole, so each has the same rows whatever the number
    of ranks: the same padding, the same arithmetic, the same scores (law 3).
    """
    by_length = np.argsort(-features.tokens, kind="stable")
    for start in range(0, len(by_length), ranks * batch_size):
        yield by_length[start + rank * batch_size : start + (rank + 1) * batch_size]
