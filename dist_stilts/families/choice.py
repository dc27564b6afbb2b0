"""Multiple choice: each candidate answer is read with the prompt and gets one score."""

from __future__ import annotations

import torch

from dist_stilts.families.family import Batch, Family
from dist_stilts.families.sequence import class_loss_sum


class MultipleChoice(Family):
    name = "choice"
    auto_class = "AutoModelForMultipleChoice"
    reads = "choices"
    pipeline_tag = "multiple-choice"

    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        return class_loss_sum(logits, batch)
