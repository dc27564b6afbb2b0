"""Whether texts fit an encoder: each token has an embedding, and each place a position; asked before hours of work."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from dist_stilts.errors import UserError
from dist_stilts.model.encoder import most_tokens

NO_LIMIT = 1 << 30
"""So many tokens no encoder reads."""


def allowed_tokens(said: Any) -> int:
    """Most tokens by a tokenizer's ``model_max_length``, which is 10^30 where it knows no limit."""
    known = isinstance(said, int | float) and 0 < said < NO_LIMIT
    return int(said) if known else sys.maxsize


def require_embeddings(tokens: Iterable[np.ndarray], encoder: Any) -> None:
    """See that the encoder has an embedding for every token.

    Args:
        tokens: ids, in as many parts as there are.

    Raises:
        UserError: it does not: the tokenizer is another model's.
    """
    words = encoder.get_input_embeddings().num_embeddings
    highest = max((int(ids.max()) for ids in tokens if len(ids)), default=0)
    if highest >= words:
        raise UserError(
            f"the tokenizer gives token {highest}, and the encoder has {words} embeddings",
            fix="Put the tokenizer that the model was trained with into its folder",
        )


def require_positions(length: int, encoder: Any, setting: str) -> None:
    """See that the encoder has a position for every token of a text of the greatest length.

    Args:
        setting: what says how long texts may be.

    Raises:
        UserError: it has fewer.
    """
    most = most_tokens(encoder)
    if length > most:
        raise UserError(f"{setting}={length}: the encoder reads {most} tokens at most", fix=f"Set {setting}={most}")
