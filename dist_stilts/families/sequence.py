"""Classification of a text or a pair of texts: one label per row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from dist_stilts.families.family import Arrays, Batch, Family, counted, main_last, named_outputs, only_one
from dist_stilts.families.features import Features
from dist_stilts.families.pairs import TextPairs
from dist_stilts.families.score import Score, check_gold, outcomes
from dist_stilts.scoring.classify import accuracy, binary_f1, degenerate_reason
from dist_stilts.tasks.spec import IGNORED, UNSEEN, WITHHELD, PairRow, Row, TaskSpec


class OneClass(Family):
    """A kind with one class per row, the row's only label."""

    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        return class_loss_sum(logits, batch)

    def collate(self, features: Features, rows: Sequence[int] | np.ndarray, lengths: Sequence[np.ndarray]) -> Arrays:
        labels = [features.labels[row] for row in rows]
        return {"labels": np.array([label[0] if len(label) else IGNORED for label in labels], np.int64)}

    def strata(self, features: Features) -> list[int]:
        _, first_row = np.unique(features.example, return_index=True)
        labels = [features.labels[row] for row in first_row]
        return [int(label[0]) if len(label) else 0 for label in labels]

    def gold_lines(self, spec: TaskSpec, features: Features, row: int, tokenizer: Any) -> list[str]:
        labels = features.labels[row]
        return [f"    label   {spec.labels[labels[0]] if spec.labels else labels[0]}"] if len(labels) else []

    def score(
        self,
        spec: TaskSpec,
        language: str,
        features: Features,
        predicted: np.ndarray,
        rows: Callable[[], Sequence[Row]],
    ) -> Score:
        gold = np.concatenate(list(features.labels))
        check_gold(spec.name, len(gold), len(predicted))
        highest = max(gold.max(initial=0), predicted.max())
        names = spec.labels or tuple(str(choice) for choice in range(int(highest) + 1))
        lines = [names[label] for label in predicted]
        collapsed = degenerate_reason(predicted, len(names))
        if not len(gold):
            return Score({spec.metric: None}, lines, 0, collapsed)
        beside = outcomes(predicted == gold) if spec.metric == "accuracy" else {}
        values = {"accuracy": accuracy(predicted, gold)}
        if spec.metric == "acc_and_f1":
            f1 = binary_f1(predicted, gold)
            values |= {"f1": f1, "acc_and_f1": (values["accuracy"] + f1) / 2}
        unseen = int((gold == UNSEEN).sum())
        return Score(main_last(values, spec.metric), lines, len(gold), collapsed, beside, unseen=unseen)


class SequenceClassification(TextPairs, OneClass):
    name = "sequence"
    has_labels = True

    def head_config(self, labels: Sequence[str]) -> dict[str, Any]:
        return {**named_outputs(labels), "problem_type": "single_label_classification"}

    def gold(self, row: PairRow, number_of: dict[str, int]) -> dict[str, Any]:
        return {"labels": [] if row.label is None else [number_of.get(row.label, UNSEEN)]}

    def classes(self, spec: TaskSpec, features: Features) -> dict[str, int]:
        return counted(spec.labels, np.concatenate([np.empty(0, np.int32), *features.labels.flat]))

    def alike(self, spec: TaskSpec, features: Features, rows: np.ndarray) -> str | None:
        return only_one("label", spec.labels, np.concatenate([features.labels[row] for row in rows]))

    def loss_of_guessing(self, spec: TaskSpec, features: Features, rows: np.ndarray) -> float | None:
        return math.log(len(spec.labels))


def class_loss_sum(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Summed cross-entropy over the rows or tokens that have a class in training."""
    labels = batch["labels"]
    labels = labels.masked_fill((labels == UNSEEN) | (labels == WITHHELD), IGNORED)
    return cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
