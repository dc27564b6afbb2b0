"""Classification with any number of labels per row: each label is a yes or no of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.special import entr
from torch.nn.functional import binary_cross_entropy_with_logits

from dist_stilts.families.family import Arrays, Batch, main_last, named_outputs
from dist_stilts.families.features import Features
from dist_stilts.families.masking import Masking
from dist_stilts.families.pairs import TextPairs
from dist_stilts.families.score import Decoding, Score, check_gold, outcomes
from dist_stilts.scoring.multilabel import multilabel_scores, one_answer_reason
from dist_stilts.tasks.spec import MultiLabelRow, Row, TaskSpec

SEPARATOR = "\t"
"""Between the labels of a row in a prediction file."""


class MultiLabel(TextPairs):
    """Gold is, for each label in id order, 1 or 0, and at last how many labels the row has that training lacks."""

    name = "multilabel"
    has_labels = True

    def head_config(self, labels: Sequence[str]) -> dict[str, Any]:
        return {**named_outputs(labels), "problem_type": "multi_label_classification"}

    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The mean over a row's labels, as Hugging Face's loss is, summed over rows."""
        return binary_cross_entropy_with_logits(logits, batch["labels"], reduction="sum") / logits.shape[1]

    def gold(self, row: MultiLabelRow, number_of: dict[str, int]) -> dict[str, Any]:
        if row.labels is None:
            return {}
        known = {number_of[label] for label in row.labels if label in number_of}
        unseen = len(set(row.labels) - set(number_of))
        return {"labels": [*(int(number in known) for number in range(len(number_of))), unseen]}

    def collate(self, features: Features, rows: Sequence[int] | np.ndarray, lengths: Sequence[np.ndarray]) -> Arrays:
        """One number per row and label, ``[rows, labels]`` float32; no column where gold is withheld."""
        return {"labels": np.stack([features.labels[row][:-1] for row in rows]).astype(np.float32)}

    def targets(self, features: Features, rows: np.ndarray, masking: Masking) -> int:
        return len(rows)

    def strata(self, features: Features) -> list[int]:
        """The rarest of a row's labels: that of which a subset could most easily have none."""
        gold = _by_example(features)[:, :-1]
        if not gold.size:
            return super().strata(features)
        rarity = np.where(gold > 0, gold.sum(0), len(gold) + 1)
        rarest = np.where(gold.any(1), rarity.argmin(1), gold.shape[1])
        return [int(label) for label in rarest]

    def classes(self, spec: TaskSpec, features: Features) -> dict[str, int]:
        return dict(zip(spec.labels, _by_example(features)[:, :-1].sum(0).tolist(), strict=False))

    def alike(self, spec: TaskSpec, features: Features, rows: np.ndarray) -> str | None:
        gold = np.stack([features.labels[row][:-1] for row in rows])
        same = ", ".join(_named(gold[0], spec.labels)) or "none"
        return f"all of its training rows have the same labels: {same}" if (gold == gold[0]).all() else None

    def loss_of_guessing(self, spec: TaskSpec, features: Features, rows: np.ndarray) -> float | None:
        """That of giving each label the probability with which rows have it; None where all rows are alike."""
        share = np.mean([features.labels[row][:-1] > 0 for row in rows], axis=0)
        return float(np.mean(entr(share) + entr(1 - share))) or None

    def gold_lines(self, spec: TaskSpec, features: Features, row: int, tokenizer: Any) -> list[str]:
        gold = features.labels[row]
        return ["    labels  " + (", ".join(_named(gold[:-1], spec.labels)) or "(none)")] if len(gold) else []

    def shape(self, spec: TaskSpec, decoding: Decoding) -> tuple[int, ...]:
        return (len(spec.labels),)

    def decode(self, logits: torch.Tensor, features: Features, rows: np.ndarray, decoding: Decoding) -> np.ndarray:
        """``[rows, labels]``: 1 for labels that are likelier than not."""
        given: np.ndarray = (logits > 0).long().cpu().numpy()
        return given

    def score(
        self,
        spec: TaskSpec,
        language: str,
        features: Features,
        predicted: np.ndarray,
        rows: Callable[[], Sequence[Row]],
    ) -> Score:
        lines = [SEPARATOR.join(_named(given, spec.labels)) for given in predicted]
        collapsed = one_answer_reason(predicted)
        gold = _by_example(features)
        check_gold(spec.name, len(gold), len(predicted))
        if not len(gold):
            return Score({spec.metric: None}, lines, 0, collapsed)
        unseen = int(gold[:, -1].sum())
        if unseen:  # labels that training lacks are one more, which is never predicted
            predicted = np.pad(predicted, ((0, 0), (0, 1)))
        else:
            gold = gold[:, :-1]
        values = main_last(multilabel_scores(predicted, gold), spec.metric)
        right = (predicted > 0) == (gold > 0)
        beside = outcomes(right.all(1)) if spec.metric == "subset_accuracy" else {}
        return Score(values, lines, len(gold), collapsed, beside, unseen=unseen)


def _by_example(features: Features) -> np.ndarray:
    """``[examples with gold, labels + 1]``; a row is an example."""
    gold = [labels for labels in features.labels if len(labels)]
    return np.stack(gold) if gold else np.empty((0, 1), np.int32)


def _named(given: np.ndarray, labels: Sequence[str]) -> list[str]:
    return [labels[number] for number in np.flatnonzero(given).tolist()]
