"""Masked language modelling (Devlin et al. 2019, section 3.1)."""

from __future__ import annotations

import torch

from dist_stilts.families.family import Batch, Family
from dist_stilts.families.sequence import class_loss_sum


class MaskedLanguageModelling(Family):
    name = "mlm"
    auto_class = "AutoModelForMaskedLM"
    reads = "targets"
    pipeline_tag = "fill-mask"

    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        return class_loss_sum(logits, batch)
