"""Masked language modelling (Devlin et al. 2019, section 3.1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from dist_stilts.families.encoding import Encoding, FeatureRow, Marks, feature_row
from dist_stilts.families.family import Arrays, Batch, Family, Say
from dist_stilts.families.features import Features
from dist_stilts.families.masking import Masking, mask, number_of_targets
from dist_stilts.families.sequence import class_loss_sum
from dist_stilts.tasks.spec import IGNORED, Row, TextRow


class MaskedLanguageModelling(Family):
    name = "mlm"
    auto_class = "AutoModelForMaskedLM"
    reads = "targets"
    pipeline_tag = "fill-mask"
    has_gold = False
    predicts_words = True
    sampling = 0.3  # Conneau et al. 2020, section 3.1

    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        return class_loss_sum(logits, batch)

    def encode(self, rows: Sequence[TextRow], tokenizer: Any, how: Encoding) -> Iterator[FeatureRow]:
        """A line that does not fit becomes several rows."""
        room = how.max_length - tokenizer.num_special_tokens_to_add(pair=False)
        marks = Marks.of(tokenizer)
        encoded = tokenizer([row.text for row in rows], add_special_tokens=False)["input_ids"]
        for number, (row, ids) in enumerate(zip(rows, encoded, strict=True)):
            for start in range(0, max(1, len(ids)), room):
                yield feature_row(row, number, [marks.join_single(ids[start : start + room])])

    def collate(self, features: Features, rows: Sequence[int] | np.ndarray, lengths: Sequence[np.ndarray]) -> Arrays:
        return {}

    def in_training(self, batch: Batch, places: np.ndarray, epochs: np.ndarray, masking: Masking) -> Batch:
        """Masked; keyed by place and not by row: a row that an epoch holds several times is masked anew each time."""
        return masked(batch, places, epochs, masking)

    def targets(self, features: Features, rows: np.ndarray, masking: Masking) -> int:
        ordinary = np.array([masking.vocabulary.is_ordinary(features.input_ids[row]).sum() for row in rows])
        return int(number_of_targets(ordinary, masking.rate).sum())

    def texts(self, row: TextRow) -> tuple[str, ...]:
        return (row.text,)

    def translated(self, row: TextRow, say: Say, counts: Counter[str]) -> Row | None:
        return replace(row, text=say(row.text))


def masked(batch: Batch, places: np.ndarray, epochs: np.ndarray, masking: Masking) -> Batch:
    """Turn a batch of plain text into a masked-language-model batch."""
    flat, lengths, vocabulary = batch["input_ids"].numpy(), batch["lengths"].numpy(), masking.vocabulary
    real = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(real.shape, vocabulary.pad)
    ids[real] = flat
    ids, labels = mask(
        ids,
        vocabulary.is_ordinary(ids),
        places,
        epochs,
        seed=masking.seed,
        rate=masking.rate,
        mask_id=vocabulary.mask,
        ordinary_ids=vocabulary.ordinary,
    )
    targets = np.flatnonzero(labels[real] != IGNORED)
    made = {"input_ids": ids[real], "targets": targets, "labels": labels[real][targets]}
    return {**batch, **{name: torch.from_numpy(array) for name, array in made.items()}}
