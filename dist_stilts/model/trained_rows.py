"""Word embeddings of which only the rows that the training data use are parameters; the result is that of training all.

A word that never occurs has a gradient of zero, so AdamW only ever shrinks its row: by the same factor as any other
weight without a gradient. One parameter of one element that nothing uses is that factor, whatever the schedule, the
steps left out, or which step's weights are exported. XLM-R Large has 256 of its 560 million parameters in 250,002 rows,
of which English task data use a fraction: the others need no gradient, no moments, no master copy and no exchange.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.functional import embedding

MOST = 0.8
"""Share of the rows in use above which the table is left whole."""


class TrainedRows(nn.Module):
    """Looks up like the ``nn.Embedding`` in whose place it stands.

    Attributes:
        weight: ``[used, width]`` the rows that are trained; scale: ``[1, 1]`` what the others are multiplied by.
        rest: ``[vocabulary, width]`` all rows as they were.
        place: ``[vocabulary]`` each row's number in ``weight``, -1 = it is not trained.
        padding: number in ``weight`` of the padding's row, whose gradient is zero, if it is used.
    """

    rest: torch.Tensor
    place: torch.Tensor

    def __init__(self, whole: nn.Embedding, used: torch.Tensor) -> None:
        super().__init__()
        table = whole.weight.detach()
        self.weight = nn.Parameter(table[used].clone())
        self.scale = nn.Parameter(torch.ones(1, 1, dtype=table.dtype))  # two dimensions, as all that decays
        place = torch.full((len(table),), -1)
        place[used] = torch.arange(len(self.weight))
        pad = whole.padding_idx
        self.padding = int(place[pad]) if pad is not None and used[pad] else None
        self.register_buffer("rest", table, persistent=False)
        self.register_buffer("place", place, persistent=False)

    @property
    def num_embeddings(self) -> int:
        """Rows of the whole table, as ``nn.Embedding`` calls it."""
        return len(self.rest)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """``[...]`` ids to ``[..., width]``; in training, all must be of rows that are trained."""
        place = self.place[ids]
        if self.training:
            return embedding(place, self.weight, padding_idx=self.padding)
        trained = embedding(place.clamp(min=0), self.weight)
        others = (embedding(ids, self.rest) * self.scale).to(trained.dtype)  # engines round parameters, not buffers
        return torch.where((place >= 0)[..., None], trained, others)


def train_only(encoder: Any, used: torch.Tensor) -> nn.Embedding | None:
    """Make these rows of an encoder's word embeddings parameters, and no others.

    Args:
        used: ``[vocabulary]`` bool.

    Returns:
        The embeddings as they were, for :func:`all_rows`; None if most rows are used, and nothing was changed.
    """
    whole: nn.Embedding = encoder.get_input_embeddings()
    if used.float().mean() > MOST:
        return None
    encoder.set_input_embeddings(TrainedRows(whole, used))
    return whole


def all_rows(
    model: nn.Module, encoder: Any, whole: nn.Embedding, weights: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Give the encoder ordinary embeddings again.

    Args:
        model: what the encoder is part of; whole: as :func:`train_only` returned it.
        weights: the model's parameters as trained, by name, on the host.

    Returns:
        The parameters by their old names, with all rows.
    """
    trained: TrainedRows = encoder.get_input_embeddings()
    name = next(name for name, module in model.named_modules() if module is trained)
    encoder.set_input_embeddings(whole)
    others = dict(weights)
    rows, scale = others.pop(f"{name}.weight"), others.pop(f"{name}.scale")
    table, place = whole.weight.detach() * scale, trained.place.cpu()
    table[place >= 0] = rows[place[place >= 0]]
    return {**others, f"{name}.weight": table}
