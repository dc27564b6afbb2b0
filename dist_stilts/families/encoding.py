"""What every kind's tokenisation makes: feature rows, and pairs of texts with the tokenizer's own marks and types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dist_stilts.errors import UserError
from dist_stilts.ranges import at_least, key
from dist_stilts.tasks.spec import Row

SPECIAL = 4
"""Most tokens that a tokenizer puts around two texts."""
LEAST_LENGTH = SPECIAL + 2
"""Tokens in which there is room for something of both texts."""
FeatureRow = dict[str, Any]
"""See :data:`dist_stilts.families.features.COLUMNS`."""


@dataclass
class QaLengths:
    """How questions and their contexts are cut into windows."""

    max_length: int = key(384, at_least(LEAST_LENGTH))
    """Most tokens per window, question and special tokens included."""
    stride: int = key(128, at_least(1))
    """Context tokens from the start of one window to the start of the next."""
    max_question: int = key(64, at_least(1))
    """Most tokens of the question; what is cut is counted."""

    def check(self) -> None:
        """UserError for windows that have no room beside a question, or that leave gaps between them."""
        if self.max_length < self.max_question + SPECIAL + 1:
            what = f"windows of {self.max_length} tokens have no room beside questions of {self.max_question}"
            fix = f"Raise it to {self.max_question + SPECIAL + 1} or more, or lower max_question"
            raise UserError(what, where="max_length", fix=fix)
        if self.stride >= self.max_length:
            what = f"a stride of {self.stride} tokens leaves gaps between windows of {self.max_length}"
            raise UserError(what, where="stride", fix="Lower it")


@dataclass(frozen=True)
class Encoding:
    """How the rows of a task become tokens.

    Attributes:
        labels: the task's classes or tags, in id order.
        max_length: most tokens per segment, special tokens included; qa: the lengths that question answering has
            instead.
        inputs: ``full``, or ``hypothesis`` to hide the first text of pairs (the hypothesis-only control of Poliak et
            al. 2018).
    """

    labels: Sequence[str]
    max_length: int
    inputs: str = "full"
    qa: QaLengths = field(default_factory=QaLengths)


def feature_row(
    row: Row,
    number: int,
    segments: list[list[int]],
    labels: Sequence[int] = (),
    *,
    second: Sequence[int] | None = None,
    values: Sequence[float] = (),
    offsets: Sequence[int] = (),
    truncated: int = 0,
    first_word: int = 0,
) -> FeatureRow:
    """Make the feature row of example ``number``; without ``second`` all its token types are 0."""
    lengths = [len(segment) for segment in segments]
    return {
        "input_ids": np.concatenate(segments),
        "lengths": lengths,
        "second": lengths if second is None else second,
        "labels": labels,
        "values": values,
        "offsets": offsets,
        "example": number,
        "first_word": first_word,
        "truncated": truncated,
        "id": row.id,
        "group": row.group,
    }


def seconds(encoded: Mapping[str, Any]) -> list[int]:
    """Where the second text of each sequence begins by the types that its tokenizer gave; its length where all are 0,
    or where the tokenizer gives none."""
    types = encoded.get("token_type_ids") or encoded["input_ids"]
    if types is encoded["input_ids"]:
        return [len(ids) for ids in types]
    return [ids.index(1) if 1 in ids else len(ids) for ids in types]


@dataclass(frozen=True)
class Marks:
    """The special tokens that a tokenizer puts around texts: ``<s> a </s></s> b </s>`` for XLM-R, ``[CLS] a [SEP] b
    [SEP]`` for BERT, ``<s> a b`` for some that know no end.

    Attributes:
        single: those before and behind a text; pair: those before, between and behind two.
        typed: whether the second text of a pair, and what is behind it, have another type than the first.
    """

    single: tuple[list[int], list[int]]
    pair: tuple[list[int], list[int], list[int]]
    typed: bool

    @classmethod
    def of(cls, tokenizer: Any) -> Marks:
        """Read off what a Hugging Face tokenizer makes of short texts."""
        one, two = tokenizer("a"), tokenizer("a", "b")
        types = two.get("token_type_ids") or [0]
        return cls(_runs(one), _runs(two), types[0] == 0 and types[-1] == 1)

    @property
    def first(self) -> int:
        """Tokens in front of the first text of a pair and between the two."""
        return len(self.pair[0]) + len(self.pair[1])

    def join_pair(self, first: Sequence[int], second: Sequence[int]) -> list[int]:
        """Two texts as one sequence."""
        before, between, behind = self.pair
        return [*before, *first, *between, *second, *behind]

    def join_single(self, ids: Sequence[int]) -> list[int]:
        """One text as a sequence."""
        before, behind = self.single
        return [*before, *ids, *behind]


def _runs(encoded: Any) -> tuple[Any, ...]:
    """The special tokens before, between and behind the texts of an encoding."""
    of = encoded.sequence_ids()
    runs: list[list[int]] = [[] for _ in range(2 + max(number for number in of if number is not None))]
    place = 0
    for token, number in zip(encoded["input_ids"], of, strict=True):
        if number is None:
            runs[place].append(token)
        else:
            place = number + 1
    return tuple(runs)
