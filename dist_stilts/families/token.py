"""Tagging: one tag per word, predicted at its first piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from dist_stilts.families.family import Batch, Family, named_outputs
from dist_stilts.families.sequence import class_loss_sum


class TokenClassification(Family):
    name = "token"
    auto_class = "AutoModelForTokenClassification"
    reads = "targets"
    pipeline_tag = "token-classification"
    has_labels = True

    def head_config(self, labels: Sequence[str]) -> dict[str, Any]:
        return named_outputs(labels)

    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        return class_loss_sum(logits, batch)
