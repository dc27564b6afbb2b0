"""Attention over sequences that lie one behind another without padding; each token sees its own sequence only.

Registered with transformers' attention interface, so that an encoder keeps its own weights and code. On a GPU torch's
variable-length kernels do the work; on a CPU sequences of like length are padded to a small block for this one
operation, in which a mask keeps the padding out: exact, and faster than one sequence at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

NAME = "packed"
"""Of this attention in an encoder's configuration."""
LIKE_LENGTH = 0.75
"""On a CPU: the shortest sequence of a block against its longest."""


class Block(NamedTuple):
    """Sequences of like length, for attention on a CPU.

    Attributes:
        places: ``[sequences * longest]`` the token in each place; in padding, the first of its sequence.
        shape: sequences, longest.
        mask: ``[sequences, 1, 1, longest]`` true where a token is; None if there is no padding.
    """

    places: torch.Tensor
    shape: tuple[int, int]
    mask: torch.Tensor | None


@dataclass(frozen=True)
class Segments:
    """Where sequences begin and end in a packed batch.

    Attributes:
        lengths: ``[segments]`` int64 on the host.
        bounds: ``[segments + 1]`` int32 on the device: the first token of each, and the number of all tokens.
    """

    lengths: torch.Tensor
    bounds: torch.Tensor

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest."""
        return int(self.lengths.max())

    @cached_property
    def number(self) -> torch.Tensor:
        """``[tokens]`` the sequence that each token is in."""
        numbers = torch.arange(len(self.lengths), device=self.bounds.device)
        # Told the size, a GPU need not be waited for.
        return numbers.repeat_interleave(self.bounds.diff(), output_size=int(self.lengths.sum()))

    @cached_property
    def within(self) -> torch.Tensor:
        """``[tokens]`` each token's place in its own sequence."""
        return torch.arange(len(self.number), device=self.bounds.device) - self.bounds[self.number]

    @cached_property
    def blocks(self) -> tuple[list[Block], torch.Tensor]:
        """Blocks of like length, and for each token its place in all of them one after another."""
        lengths = self.lengths.numpy()
        starts = np.cumsum(lengths) - lengths
        made, order, filled = [], np.empty(lengths.sum(), np.int64), 0
        for chosen in like_length(lengths, LIKE_LENGTH):
            place = np.arange(lengths[chosen].max())
            real = place < lengths[chosen, None]
            tokens = np.where(real, starts[chosen, None] + place, starts[chosen, None])
            order[tokens[real]] = filled + np.flatnonzero(real)
            filled += real.size
            mask = None if real.all() else torch.from_numpy(real)[:, None, None]
            made.append(Block(torch.from_numpy(tokens.ravel()), real.shape, mask))
        return made, torch.from_numpy(order)


def like_length(lengths: np.ndarray, ratio: float) -> list[np.ndarray]:
    """Numbers of sequences, longest first, cut where one is shorter than ``ratio`` times the longest of its part."""
    order = np.argsort(-lengths, kind="stable")
    ascending = -lengths[order]
    parts, start = [], 0
    while start < len(order):
        end = int(np.searchsorted(ascending, ratio * ascending[start], side="right"))
        parts.append(order[start:end])
        start = end
    return parts


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    packed: Segments | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **unread: Any,
) -> tuple[torch.Tensor, None]:
    """Attention within each sequence, as transformers calls it.

    Args:
        query, key, value: ``[1, heads, tokens, d]``.
        packed: reaches here through the encoder's keyword arguments; without it, the batch is an ordinary one.

    Returns:
        ``[1, tokens, heads, d]``; no weights.

    Raises:
        ValueError: attention that sees less than the whole sequence, or adds something to its scores.
    """
    if packed is None:
        return ordinary_attention(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **unread)
    if attention_mask is not None or unread.get("sliding_window") or getattr(module, "is_causal", False):
        raise ValueError("only full attention can be packed")
    if scaling is not None:  # the kernels divide by the root of d
        query = query * (scaling * query.shape[-1] ** 0.5)
    kernel = _on_gpu if query.is_cuda else _on_cpu
    query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))
    return kernel(query, key, value, packed, dropout)[None], None


def ordinary_attention(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, None]:
    """What transformers does with padded batches."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    found: tuple[torch.Tensor, None] = ALL_ATTENTION_FUNCTIONS["sdpa"](*args, **kwargs)
    return found


def register() -> None:
    """Make the attention known to transformers by its name, with masks for ordinary batches."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
    from transformers.modeling_utils import AttentionInterface

    AttentionInterface.register(NAME, packed_attention)
    AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])


def _on_gpu(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, packed: Segments, dropout: float
) -> torch.Tensor:
    """``[tokens, heads, d]`` by the kernels that take bounds; that of torch.nn.attention knows no dropout."""
    if dropout == 0 and query.dtype in (torch.bfloat16, torch.float16) and query.shape[-1] % 8 == 0:
        from torch.nn.attention.varlen import varlen_attn

        bounds, longest = packed.bounds, packed.longest
        found = varlen_attn(query, key, value, bounds, bounds, longest, longest)
        assert isinstance(found, torch.Tensor)  # and not two, as one may ask for
        return found
    return nested_attention(query, key, value, packed, dropout)


def nested_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, packed: Segments, dropout: float
) -> torch.Tensor:
    """``[tokens, heads, d]`` by torch's fused attention on jagged tensors; told their sizes, it waits for no device."""
    bounds, shortest = packed.bounds, int(packed.lengths.min())
    query, key, value = (
        torch.nested.nested_tensor_from_jagged(
            part.contiguous(), bounds, min_seqlen=shortest, max_seqlen=packed.longest
        ).transpose(1, 2)
        for part in (query, key, value)
    )
    return scaled_dot_product_attention(query, key, value, dropout_p=dropout).transpose(1, 2).values()


def _on_cpu(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, packed: Segments, dropout: float
) -> torch.Tensor:
    """``[tokens, heads, d]`` block by block."""
    blocks, order = packed.blocks
    width = query.shape[1:]
    flat = [part.reshape(len(order), -1) for part in (query, key, value)]
    found = []
    for block in blocks:
        q, k, v = (part.index_select(0, block.places).view(*block.shape, *width).transpose(1, 2) for part in flat)
        found.append(_attend(q, k, v, block.mask, dropout).transpose(1, 2).reshape(-1, *width))
    return torch.cat(found).index_select(0, order)


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, dropout: float
) -> torch.Tensor:
    """``[sequences, heads, longest, d]``; torch's fused attention on a CPU is slow in bf16, and with dropout."""
    if query.dtype == torch.float32 and dropout == 0:
        return scaled_dot_product_attention(query, key, value, attn_mask=mask)
    scores = (query @ key.transpose(2, 3)) * query.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return torch.dropout(scores.softmax(-1), dropout, dropout > 0) @ value
