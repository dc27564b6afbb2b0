"""The trained module: one encoder, one head per kind of task; and a whole model loaded back from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from dist_stilts.errors import UserError
from dist_stilts.model.carry_over import load_head, read_heads
from dist_stilts.model.encoder import Provenance, load_encoder, load_tokenizer, read_provenance
from dist_stilts.model.heads import MLM, head_name, loss_sum, make_head
from dist_stilts.model.packing import Batch, encode, start_packing
from dist_stilts.tasks.spec import TaskSpec


class MultiTaskModel(nn.Module):
    """A shared encoder with heads.

    Args:
        encoder: a Hugging Face encoder; tasks: those that it is trained or scored on.
    """

    def __init__(self, encoder: nn.Module, tasks: list[TaskSpec]) -> None:
        super().__init__()
        self.encoder = encoder
        start_packing(encoder)
        heads = {head_name(spec): spec for spec in tasks}
        self.heads = nn.ModuleDict({name: make_head(spec, encoder.config) for name, spec in heads.items()})

    def forward(self, head: str, batch: Batch) -> torch.Tensor:
        """Summed loss of a batch, fp32 scalar."""
        return loss_sum(self.logits(head, batch), batch)

    def logits(self, head: str, batch: Batch) -> torch.Tensor:
        """Logits of a batch, fp32; see the heads for shapes."""
        hidden = encode(self.encoder, batch)
        if head == MLM:
            embeddings = self.encoder.get_input_embeddings().weight  # type: ignore[operator]
            return self.heads[head](hidden, batch, embeddings)
        return self.heads[head](hidden, batch)


def load_model(
    folder: str, tasks: list[TaskSpec], revision: str | None = None
) -> tuple[MultiTaskModel, Any, Provenance | None]:
    """Load a model folder with trained heads for ``tasks`` (none for retrieval), its tokenizer and its provenance.

    Raises:
        UserError: a task whose head the folder does not have whole; weights that are not what its provenance says.
    """
    provenance = read_provenance(Path(folder))
    encoder, _ = load_encoder(folder, revision, provenance.digest if provenance else None)
    model = MultiTaskModel(encoder, tasks)
    trained = read_heads(Path(folder))
    for spec in tasks:
        if head_name(spec) not in trained:
            known = sorted({task for names in (provenance.heads if provenance else {}).values() for task in names})
            raise UserError(
                f"the model has no trained head for '{spec.name}' (heads: {', '.join(known) or 'none'})",
                where=folder,
                fix="Train it on the task first",
            )
        load_head(model.heads[head_name(spec)], trained[head_name(spec)], head_name(spec), Path(folder))
    return model, load_tokenizer(folder, revision), provenance
