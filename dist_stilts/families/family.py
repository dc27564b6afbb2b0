"""What a kind of task is: all that the rest of the product needs to know of it, in one class per kind.

    rows --encode--> feature rows --collate--> packed batch --(encoder, Hugging Face head)--> logits
         --loss_sum--> training            --decode--> predictions --score--> Score

A new kind is one file here and one entry in :data:`dist_stilts.families.kinds.KINDS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from dist_stilts.errors import UserError
from dist_stilts.families.encoding import Encoding, FeatureRow
from dist_stilts.families.features import Features
from dist_stilts.families.masking import Masking
from dist_stilts.families.score import Decoding, Score
from dist_stilts.tasks.spec import Row, TaskSpec

Batch = dict[str, torch.Tensor]
"""See :mod:`dist_stilts.data.batches` for its keys and shapes."""
Arrays = dict[str, np.ndarray]
"""Parts of a batch that is being made."""
Reads = Literal["rows", "choices", "targets", "tokens"]
"""What a head is given of a packed batch, and what it gives back:

    rows      one vector per row as the head itself pools it   logits ``[rows, outputs]``
    choices   one vector per choice, pooled likewise           logits ``[rows, choices]``, -inf where there is no choice
    targets   the tokens in ``batch["targets"]``               logits ``[targets, outputs]``
    tokens    all tokens; start and end of a span are scored   logits ``[rows, longest, 2]``, -inf in padding
"""
Say = Callable[[str], str]
"""From an English text to its translation."""


class Family(ABC):
    """A kind of task.

    Attributes:
        name: as :attr:`dist_stilts.tasks.spec.TaskSpec.family` has it.
        auto_class: the class of transformers that has the head, and loads what we export.
        reads: what its head reads.
        pipeline_tag: the task's name on the Hub.
        has_labels: whether the task names its outputs (classes, tags).
        has_gold: whether people labelled its rows; rows without gold are not trained on, and it has scores.
        predicts_words: whether an output is a score of every word of the vocabulary, which takes memory and time.
        windowed: whether texts beyond the limit are read through overlapping windows; their lengths are ``data.qa``.
        one_sequence: whether a row is one sequence, so that the limit of one bounds it.
        translatable: whether its rows can be translated with their gold.
        sampling: exponent by which languages share the rows of an epoch, where the recipe names none.
        prediction_suffix: of its prediction files; prediction_dtype: of the numbers that are gathered for them.
    """

    name: ClassVar[str]
    auto_class: ClassVar[str]
    reads: ClassVar[Reads]
    pipeline_tag: ClassVar[str]
    has_labels: ClassVar[bool] = False
    has_gold: ClassVar[bool] = True
    predicts_words: ClassVar[bool] = False
    windowed: ClassVar[bool] = False
    one_sequence: ClassVar[bool] = True
    translatable: ClassVar[bool] = True
    sampling: ClassVar[float] = 1.0
    prediction_suffix: ClassVar[str] = "tsv"
    prediction_dtype: ClassVar[type[np.generic]] = np.int64

    # The head

    def head_config(self, labels: Sequence[str]) -> dict[str, Any]:
        """What the configuration of a model with this head says of its outputs, in Hugging Face's keys."""
        return {}

    @abstractmethod
    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Summed loss over the batch's targets, fp32 scalar; the loop divides by the targets of the global batch."""

    # Rows to batches

    @abstractmethod
    def encode(self, rows: Sequence[Any], tokenizer: Any, how: Encoding) -> Iterator[FeatureRow]:
        """Turn examples into feature rows, in order; nothing is lost silently: tokens that do not fit are counted.

        Args:
            rows: of the kind's own type; tokenizer: a fast Hugging Face tokenizer.
        """

    @abstractmethod
    def collate(self, features: Features, rows: Sequence[int] | np.ndarray, lengths: Sequence[np.ndarray]) -> Arrays:
        """What a batch of these rows has beside its packed tokens: labels, and places that are predicted.

        Args:
            lengths: tokens of each segment, by row.
        """

    def in_training(self, batch: Batch, places: np.ndarray, epochs: np.ndarray, masking: Masking) -> Batch:
        """The batch as it is trained on in these epochs; ``places``: of its rows among all that are trained on."""
        return batch

    def targets(self, features: Features, rows: np.ndarray, masking: Masking) -> int:
        """Predictions that these rows ask for in training: the loss is their mean."""
        return sum(int((features.labels[row] >= 0).any()) for row in rows)

    def lacks_gold(self, features: Features) -> bool:
        """Whether there are rows without gold, as of a test set that withholds it."""
        return bool((features.labels.sizes == 0).any())

    def words(self, features: Features) -> int:
        """Words that are predicted one by one, if they are."""
        return 0

    def strata(self, features: Features) -> list[int]:
        """What subsets of the examples are stratified by: one class per example, all equal where there are none."""
        return [0] * features.examples

    def classes(self, spec: TaskSpec, features: Features) -> dict[str, int]:
        """How often gold is each class, label or tag, in id order; none where it has no names. Gold that no training
        row has is not among them."""
        return {}

    def alike(self, spec: TaskSpec, features: Features, rows: np.ndarray) -> str | None:
        """Say that these rows all have the same gold, from which nothing can be learned but to give it always."""
        return None

    def loss_of_guessing(self, spec: TaskSpec, features: Features, rows: np.ndarray) -> float | None:
        """The mean training loss, in nats, of who knows nothing of the texts; None where it says little."""
        return None

    def gold_lines(self, spec: TaskSpec, features: Features, row: int, tokenizer: Any) -> list[str]:
        """What the gold of a feature row is, for people."""
        return []

    # Logits to scores

    def shape(self, spec: TaskSpec, decoding: Decoding) -> tuple[int, ...]:
        """Of one prediction."""
        return ()

    def decode(self, logits: torch.Tensor, features: Features, rows: np.ndarray, decoding: Decoding) -> np.ndarray:
        """Predictions of a batch of these rows, ``[predictions, *shape]``: the likeliest class, choice or tag."""
        best: np.ndarray = logits.argmax(-1).cpu().numpy()
        return best

    def places(self, features: Features, rows: np.ndarray) -> np.ndarray:
        """Global number of each prediction of a batch, in the order of :meth:`decode`."""
        return features.example[rows]

    def predictions(self, features: Features) -> int:
        """How many predictions a whole split has."""
        return features.examples

    def score(
        self,
        spec: TaskSpec,
        language: str,
        features: Features,
        predicted: np.ndarray,
        rows: Callable[[], Sequence[Row]],
    ) -> Score:
        """Score the predictions of a split (see :func:`dist_stilts.evaluate.predict.predict`).

        Args:
            rows: reads the examples that ``features`` were made from.

        Raises:
            UserError: some rows have gold and some do not; a kind without scores.
        """
        raise UserError(f"{self.name} has no score to evaluate", fix="Leave it out of evaluate")

    # Texts

    @abstractmethod
    def texts(self, row: Any) -> tuple[str, ...]:
        """All that is written in a row."""

    def to_translate(self, row: Any) -> tuple[str, ...]:
        """The texts of a row that are translated, each by itself."""
        return self.texts(row)

    def translated(self, row: Any, say: Say, counts: Counter[str]) -> Row | None:
        """The row in the other language, with the same id, group and gold; None if it is lost.

        Args:
            counts: why rows were dropped (keys that begin with ``dropped``) and what else happened to their gold.

        Raises:
            TypeError: rows of a kind that cannot be translated.
        """
        raise TypeError(f"a {type(row).__name__} cannot be translated")


def named_outputs(labels: Sequence[str]) -> dict[str, Any]:
    """Labels in id order, in the keys of a Hugging Face configuration."""
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
    }


def counted(labels: Sequence[str], gold: np.ndarray) -> dict[str, int]:
    """How often each label is gold.

    Args:
        gold: their ids; negative ones are not counted.
    """
    return dict(zip(labels, np.bincount(gold[gold >= 0], minlength=len(labels)).tolist(), strict=True))


def only_one(what: str, labels: Sequence[str], gold: np.ndarray) -> str | None:
    """Say that gold is always the same one, if it is.

    Args:
        what: what gold is, such as ``label``; gold: ids of labels; negative ones are not counted.
    """
    found = np.unique(gold[gold >= 0])
    return f"the only {what} of its training rows is '{labels[found[0]]}'" if len(found) == 1 else None


def main_last(values: Mapping[str, float], metric: str) -> dict[str, float | None]:
    """The scores with the task's own last: when it is recorded, all are."""
    return {**{name: value for name, value in values.items() if name != metric}, metric: values[metric]}
