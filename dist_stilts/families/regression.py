"""Regression: one number per text or pair of texts; mean squared error, as Hugging Face's heads are trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import mse_loss

from dist_stilts.families.family import Arrays, Batch, main_last
from dist_stilts.families.features import Features
from dist_stilts.families.masking import Masking
from dist_stilts.families.pairs import TextPairs
from dist_stilts.families.score import Decoding, Score, check_gold
from dist_stilts.scoring.numbers import constant_reason, number_scores
from dist_stilts.tasks.spec import RegressionRow, Row, TaskSpec

STRATA = 5
"""Subsets have their share of each fifth of the numbers, from the lowest to the highest."""


class Regression(TextPairs):
    name = "regression"
    prediction_dtype = np.float64

    def head_config(self, labels: Sequence[str]) -> dict[str, Any]:
        return {"num_labels": 1, "problem_type": "regression"}

    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        return mse_loss(logits[:, 0], batch["labels"], reduction="sum")

    def gold(self, row: RegressionRow, number_of: dict[str, int]) -> dict[str, Any]:
        return {"values": [] if row.value is None else [row.value]}

    def collate(self, features: Features, rows: Sequence[int] | np.ndarray, lengths: Sequence[np.ndarray]) -> Arrays:
        """Numbers ``[rows]`` float32; nan where gold is withheld."""
        values = [features.values[row] for row in rows]
        return {"labels": np.array([value[0] if len(value) else np.nan for value in values], np.float32)}

    def targets(self, features: Features, rows: np.ndarray, masking: Masking) -> int:
        return len(rows)

    def lacks_gold(self, features: Features) -> bool:
        return bool((features.values.sizes == 0).any())

    def strata(self, features: Features) -> list[int]:
        values = _by_example(features)
        edges = np.quantile(values, np.arange(1, STRATA) / STRATA) if len(values) else values
        fifths: list[int] = np.searchsorted(edges, values, side="right").tolist()
        return fifths or [0] * features.examples

    def alike(self, spec: TaskSpec, features: Features, rows: np.ndarray) -> str | None:
        values = np.concatenate([features.values[row] for row in rows])
        return f"the number of all its training rows is {values[0]:g}" if len(values) and not np.ptp(values) else None

    def loss_of_guessing(self, spec: TaskSpec, features: Features, rows: np.ndarray) -> float | None:
        """That of always saying the mean: the variance. None where all numbers are the same."""
        return float(np.var(np.concatenate([features.values[row] for row in rows]))) or None

    def gold_lines(self, spec: TaskSpec, features: Features, row: int, tokenizer: Any) -> list[str]:
        return [f"    number  {value:g}" for value in features.values[row]]

    def decode(self, logits: torch.Tensor, features: Features, rows: np.ndarray, decoding: Decoding) -> np.ndarray:
        """The number that the head gives each row."""
        numbers: np.ndarray = logits[:, 0].double().cpu().numpy()
        return numbers

    def score(
        self,
        spec: TaskSpec,
        language: str,
        features: Features,
        predicted: np.ndarray,
        rows: Callable[[], Sequence[Row]],
    ) -> Score:
        gold = _by_example(features)
        check_gold(spec.name, len(gold), len(predicted))
        lines, collapsed = [f"{number:.7g}" for number in predicted], constant_reason(predicted, gold)
        if not len(gold):
            return Score({spec.metric: None}, lines, 0, collapsed)
        values = main_last(number_scores(predicted, gold), spec.metric)
        return Score(values, lines, len(gold), collapsed, units={"mse": "squared error"})


def _by_example(features: Features) -> np.ndarray:
    """The numbers of all examples that have one; a row is an example."""
    return np.concatenate([np.empty(0), *features.values.flat])
