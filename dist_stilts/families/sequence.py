"""Classification of a text or a pair of texts: one label per row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from dist_stilts.families.family import Batch, Family, named_outputs
from dist_stilts.tasks.spec import IGNORED, UNSEEN, WITHHELD


class SequenceClassification(Family):
    name = "sequence"
    auto_class = "AutoModelForSequenceClassification"
    reads = "rows"
    pipeline_tag = "text-classification"
    has_labels = True

    def head_config(self, labels: Sequence[str]) -> dict[str, Any]:
        return {**named_outputs(labels), "problem_type": "single_label_classification"}

    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        return class_loss_sum(logits, batch)


def class_loss_sum(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Summed cross-entropy over the rows or tokens that have a class in training."""
    labels = batch["labels"]
    labels = labels.masked_fill((labels == UNSEEN) | (labels == WITHHELD), IGNORED)
    return cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
