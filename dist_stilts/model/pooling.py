"""Sentence embeddings from hidden states: a masked mean in fp32, or the first token; L2-normalised.

XTREME's retrieval baseline is the mean over all tokens that are no padding, special tokens included.
"""

from __future__ import annotations

import torch

POOLINGS = ("mean", "cls")


def pool(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """One vector per text: ``[rows, width]`` fp32.

    Args:
        hidden: ``[rows, length, width]``, any float type.
        mask: ``[rows, length]``, 1 for the tokens that the mean is of; `cls` is the first token whatever it says.
        pooling: one of :data:`POOLINGS`.
    """
    return hidden[:, 0].float() if pooling == "cls" else mean_pool(hidden, mask)


def mean_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of the hidden states over the tokens of the mask; of no token, zero.

    Args:
        hidden: ``[rows, length, width]``, any float type; mask: ``[rows, length]``.

    Returns:
        ``[rows, width]`` fp32: half precision would tie near-equal cosines.
    """
    weights = mask.unsqueeze(-1).float()
    return (hidden.float() * weights).sum(1) / weights.sum(1).clamp(min=1.0)


def normalise(embeddings: torch.Tensor) -> torch.Tensor:
    """Scale rows to length one, and leave a row of zeros as it is: ``[rows, width]``."""
    return torch.nn.functional.normalize(embeddings, dim=-1)
