"""Classification with any number of labels per row: each label is a yes or no of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from dist_stilts.families.family import Batch, Family, named_outputs


class MultiLabel(Family):
    name = "multilabel"
    auto_class = "AutoModelForSequenceClassification"
    reads = "rows"
    pipeline_tag = "text-classification"
    has_labels = True

    def head_config(self, labels: Sequence[str]) -> dict[str, Any]:
        return {**named_outputs(labels), "problem_type": "multi_label_classification"}

    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The mean over a row's labels, as Hugging Face's loss is, summed over rows."""
        return binary_cross_entropy_with_logits(logits, batch["labels"], reduction="sum") / logits.shape[1]
