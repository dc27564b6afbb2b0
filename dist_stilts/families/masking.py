"""Masked-language-model targets: dynamic masking as a pure function of (seed, epoch, row, position).

Of each row's ordinary tokens a fixed share is chosen; 80 % of those become the mask token, 10 % a random ordinary
token, 10 % stay (Devlin et al. 2019, section 3.1; redrawn every epoch as in Liu et al. 2019). Because no generator
state is involved, a token's fate depends neither on ranks nor on the rows beside it, and a resumed run masks alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dist_stilts.tasks.spec import IGNORED


@dataclass(frozen=True)
class Vocabulary:
    """The ids that masking needs."""

    pad: int
    mask: int
    ordinary: np.ndarray

    @classmethod
    def of(cls, tokenizer: object) -> Vocabulary:
        """Read them off a Hugging Face tokenizer."""
        special = tokenizer.all_special_ids  # type: ignore[attr-defined]
        ordinary = np.setdiff1d(np.arange(len(tokenizer)), special)  # type: ignore[arg-type]
        return cls(tokenizer.pad_token_id, tokenizer.mask_token_id, ordinary)  # type: ignore[attr-defined]

    def is_ordinary(self, ids: np.ndarray) -> np.ndarray:
        """Whether each id is neither special nor padding; a table look-up, for it is asked at every step."""
        return self._table[np.minimum(ids, len(self._table) - 1)]

    @cached_property
    def _table(self) -> np.ndarray:
        table = np.zeros(self.ordinary.max() + 2, bool)  # the last place stands for all ids above
        table[self.ordinary] = True
        return table


@dataclass(frozen=True)
class Masking:
    """How tokens are chosen to be predicted, and what stands in their place; ``rate``: the share of tokens."""

    vocabulary: Vocabulary
    seed: int
    rate: float


def uniform(seed: int, epochs: np.ndarray, rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Counter-based random numbers in [0, 1): splitmix64 (Steele et al. 2014) of the mixed arguments, broadcast."""
    with np.errstate(over="ignore"):
        state = _splitmix(np.asarray(seed, np.uint64))
        for part in (epochs, rows, positions):
            state = _splitmix(state + np.asarray(part).astype(np.uint64))
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def number_of_targets(ordinary_tokens: np.ndarray, rate: float) -> np.ndarray:
    """How many tokens of each row are predicted: the nearest whole number to rate * tokens, at least one of any."""
    return np.minimum(ordinary_tokens, np.maximum(1, np.rint(ordinary_tokens * rate))).astype(np.int64)


def mask(
    input_ids: np.ndarray,
    ordinary: np.ndarray,
    rows: np.ndarray,
    epochs: np.ndarray,
    *,
    seed: int,
    rate: float,
    mask_id: int,
    ordinary_ids: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Mask a padded batch.

    Args:
        input_ids: ``[n, length]``; ordinary: ``[n, length]`` true where a token is neither special nor padding.
        rows, epochs: ``[n]`` row number in the data set and epoch in which it is drawn.
        ordinary_ids: ids that a random replacement may take.

    Returns:
        masked input ids and labels, both ``[n, length]``; labels are ``IGNORED`` where nothing is predicted.
    """
    positions = np.arange(input_ids.shape[1])
    draw = [uniform(seed, epochs[:, None], rows[:, None], 3 * positions + stream) for stream in range(3)]
    order = np.argsort(np.where(ordinary, draw[0], 2.0), axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    chosen = ordinary & (rank < number_of_targets(ordinary.sum(1), rate)[:, None])
    masked = np.where(chosen & (draw[1] < 0.8), mask_id, input_ids)
    random_ids = ordinary_ids[(draw[2] * len(ordinary_ids)).astype(np.int64)]
    masked = np.where(chosen & (draw[1] >= 0.9), random_ids, masked)
    return masked, np.where(chosen, input_ids, IGNORED)


def _splitmix(state: np.ndarray) -> np.ndarray:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
