"""Packed batches through an encoder: as they are where it can read them, padded for it where it cannot.

A packed batch holds all segments one behind another, ``input_ids`` ``[tokens]``, with ``lengths`` ``[segments]`` on the
host and ``bounds`` ``[segments + 1]`` beside the tokens (see :mod:`dist_stilts.data.batches`). Hidden states come back
in the same order, ``[tokens, width]``.
"""

from __future__ import annotations

from typing import Any

import torch

from dist_stilts.families.family import Batch
from dist_stilts.model.packed_attention import NAME, Segments, register
from dist_stilts.private_names import ENCODER_CONFIG, require_names

TRIAL = (5, 1, 3, 2)
"""Lengths of the sequences by which an encoder is tried."""
TOLERANCE = 1e-3
"""Greatest difference in the trial, against hidden states of order one: rounding is a thousand times less."""


def segments_of(batch: Batch) -> Segments:
    """Where the batch's segments begin and end."""
    return Segments(batch["lengths"], batch["bounds"])


def packs(encoder: Any) -> bool:
    """Whether a Hugging Face encoder has been found to read packed batches."""
    found: bool = encoder.config._attn_implementation == NAME
    return found


def start_packing(encoder: Any) -> bool:
    """Have the encoder read packed batches, if it can; it is tried on a few tokens, packed and padded.

    An encoder whose attention is its own code, is local, or adds terms to its scores is left as it was.
    """
    register()
    device, training = next(encoder.parameters()).device, encoder.training
    lengths = torch.tensor(TRIAL)
    count, pad = int(lengths.sum()), encoder.config.pad_token_id or 0
    bounds = torch.cat([torch.zeros(1), lengths.cumsum(0)]).int().to(device)
    trial = {"input_ids": torch.arange(count, device=device) % 3 + pad + 1, "lengths": lengths, "bounds": bounds}
    require_names("transformers", encoder.config, ENCODER_CONFIG, "an encoder's configuration")
    own = encoder.config._attn_implementation
    encoder.eval()
    try:
        with torch.no_grad():
            padded = encode(encoder, trial)
            encoder.set_attn_implementation(NAME)
            works = packs(encoder) and torch.allclose(encode(encoder, trial), padded, atol=TOLERANCE)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):  # architectures fail variously
        works = False
    encoder.train(training)
    if not works:
        encoder.set_attn_implementation(own)
    return works


def encode(encoder: Any, batch: Batch) -> torch.Tensor:
    """The encoder's last hidden state of a packed batch: ``[tokens, width]``."""
    segments = segments_of(batch)
    return flat(encoder(**inputs(encoder, batch, segments)).last_hidden_state, segments)


def inputs(encoder: Any, batch: Batch, segments: Segments) -> dict[str, Any]:
    """What the encoder is called with: all in one row if it packs, else a padded row per segment."""
    tokens = {"input_ids": batch["input_ids"]}
    if "token_types" in batch and has_token_types(encoder):
        tokens["token_type_ids"] = batch["token_types"]
    if packs(encoder):
        tokens["position_ids"] = segments.within + first_position(encoder)
        return {**{name: values[None] for name, values in tokens.items()}, "packed": segments}
    fill = {"input_ids": encoder.config.pad_token_id or 0}
    grids = {name: to_grid(values, segments, fill.get(name, 0)) for name, values in tokens.items()}
    return {**grids, "attention_mask": is_real(segments).long()}


def has_token_types(encoder: Any) -> bool:
    """Whether the encoder tells the second text of a pair from the first, as BERT's kind does."""
    return getattr(encoder.config, "type_vocab_size", 0) > 1


def flat(hidden: torch.Tensor, segments: Segments) -> torch.Tensor:
    """``[tokens, width]`` of what an encoder gave for :func:`inputs`."""
    return hidden[0] if len(hidden) == 1 else hidden[segments.number, segments.within]


def to_grid(values: torch.Tensor, segments: Segments, fill: float) -> torch.Tensor:
    """``[tokens, ...]`` to ``[segments, longest, ...]``; ``fill`` where there is no token."""
    starts = segments.bounds[:-1, None].long()
    places = (starts + torch.arange(segments.longest, device=values.device)).clamp(max=len(values) - 1)
    absent = ~is_real(segments)
    return values[places].masked_fill(absent.view(*absent.shape, *[1] * (values.ndim - 1)), fill)


def is_real(segments: Segments) -> torch.Tensor:
    """``[segments, longest]`` whether there is a token."""
    place = torch.arange(segments.longest, device=segments.bounds.device)
    return place < segments.bounds.diff()[:, None]


def first_position(encoder: Any) -> int:
    """The number of a sequence's first position; RoBERTa's kind counts from behind the padding's."""
    table = getattr(getattr(encoder, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return 0 if padding is None else padding + 1
