"""Sentence embeddings from hidden states: masked mean in fp32, L2-normalised (as XTREME's retrieval baseline does:
mean over all non-padding tokens, special tokens included)."""

from __future__ import annotations

import torch


def mean_pool(hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Mean of the hidden states over real tokens.

    Args:
        hidden: ``[rows, length, width]``, any float type; attention_mask: ``[rows, length]``.

    Returns:
        ``[rows, width]`` fp32: half precision would tie near-equal cosines.
    """
    weights = attention_mask.unsqueeze(-1).float()
    return (hidden.float() * weights).sum(1) / weights.sum(1).clamp(min=1.0)


def normalise(embeddings: torch.Tensor) -> torch.Tensor:
    """Scale rows to length one: ``[rows, width]``."""
    return torch.nn.functional.normalize(embeddings, dim=-1)
