"""Regression: one number per text or pair of texts; mean squared error, as Hugging Face's heads are trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import mse_loss

from dist_stilts.families.family import Batch, Family


class Regression(Family):
    name = "regression"
    auto_class = "AutoModelForSequenceClassification"
    reads = "rows"
    pipeline_tag = "text-classification"

    def head_config(self, labels: Sequence[str]) -> dict[str, Any]:
        return {"num_labels": 1, "problem_type": "regression"}

    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        return mse_loss(logits[:, 0], batch["labels"], reduction="sum")
