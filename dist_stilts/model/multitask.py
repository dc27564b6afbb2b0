"""The trained module: one encoder, one head per kind of task; and a whole model loaded back from its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from dist_stilts.families.family import Batch
from dist_stilts.model.heads import Head, fresh_head, head_name
from dist_stilts.model.packing import encode, start_packing
from dist_stilts.model.trial import on_trial
from dist_stilts.tasks.spec import TaskSpec


class MultiTaskModel(nn.Module):
    """A shared encoder with heads.

    Args:
        encoder: a Hugging Face encoder; tasks: those that it is trained on, whose heads are fresh.
        heads: heads that there are already, by name.
    """

    def __init__(self, encoder: Any, tasks: Sequence[TaskSpec], heads: Mapping[str, Head] = {}) -> None:
        super().__init__()
        self.encoder = encoder
        start_packing(encoder)
        specs = {head_name(spec): spec for spec in tasks}
        with on_trial(type(encoder).__name__, encoder.name_or_path or "encoder.config"):
            fresh = {name: fresh_head(spec, encoder) for name, spec in specs.items() if name not in heads}
        self.heads = nn.ModuleDict({**fresh, **heads})

    def forward(self, head: str, batch: Batch) -> torch.Tensor:
        """Summed loss of a batch, fp32 scalar."""
        return self.head(head).family.loss_sum(self.logits(head, batch), batch)

    def head(self, name: str) -> Head:
        """The head of that name."""
        found = self.heads[name]
        assert isinstance(found, Head)
        return found

    def logits(self, head: str, batch: Batch) -> torch.Tensor:
        """Logits of a batch, fp32; see :data:`dist_stilts.families.family.Reads` for their shapes."""
        logits: torch.Tensor = self.head(head)(encode(self.encoder, batch), batch)
        return logits
