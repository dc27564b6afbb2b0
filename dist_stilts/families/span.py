"""Extractive question answering: where in a window of the context the answer starts and ends."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from dist_stilts.families.family import Batch, Family
from dist_stilts.tasks.spec import IGNORED


class QuestionAnswering(Family):
    name = "span"
    auto_class = "AutoModelForQuestionAnswering"
    reads = "tokens"
    pipeline_tag = "question-answering"

    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """A window's loss is the mean of those of its start and end."""
        return cross_entropy(logits, batch["labels"], ignore_index=IGNORED, reduction="sum") / 2
