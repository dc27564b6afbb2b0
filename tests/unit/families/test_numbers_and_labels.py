"""Regression and classification with several labels per row: gold to batch to loss to score."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from models_made import features_of

from dist_stilts.data.batches import collate
from dist_stilts.errors import UserError
from dist_stilts.families.features import concatenated
from dist_stilts.families.kinds import KINDS, family_of
from dist_stilts.families.score import Decoding
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.spec import MultiLabelRow, RegressionRow

TOPICS = ("cats", "dogs", "lamps")
SIMILAR = replace(get_task("xnli"), name="similar", family="regression", labels=(), metric="pearson")
ABOUT = replace(get_task("xnli"), name="about", family="multilabel", labels=TOPICS, metric="f1")
NUMBERS, LABELS = KINDS["regression"], KINDS["multilabel"]


def numbers(values: list[float | None], tokenizer: Any) -> Any:
    rows = [RegressionRow(str(n), str(n), "the cat", "a lamp", value) for n, value in enumerate(values)]
    return features_of(SIMILAR, rows, tokenizer)


def labels(sets: list[tuple[str, ...] | None], tokenizer: Any) -> Any:
    rows = [MultiLabelRow(str(n), str(n), "the cat", "", given) for n, given in enumerate(sets)]
    return features_of(ABOUT, rows, tokenizer)


def test_numbers_reach_the_batch_and_lose_their_squared_error(tokenizer: Any) -> None:
    features = numbers([1.5, -2.0, None], tokenizer)
    batch = collate(features, [1, 0], NUMBERS)
    assert (batch["labels"].tolist(), batch["labels"].dtype) == ([-2.0, 1.5], torch.float32)
    assert NUMBERS.loss_sum(torch.tensor([[0.0], [1.0]]), batch).item() == pytest.approx(4.25)
    assert collate(features, [2], NUMBERS)["labels"].isnan().all()
    assert [NUMBERS.lacks_gold(part) for part in (features, numbers([1.0], tokenizer))] == [True, False]


def test_sets_of_labels_reach_the_batch_and_none_is_not_withheld(tokenizer: Any) -> None:
    features = labels([("dogs", "cats"), ()], tokenizer)
    batch = collate(features, [0, 1], LABELS)
    assert batch["labels"].tolist() == [[1, 1, 0], [0, 0, 0]]
    guessing = torch.zeros(2, 3)
    assert LABELS.loss_sum(guessing, batch).item() == pytest.approx(2 * math.log(2))
    assert not LABELS.lacks_gold(features)
    withheld = labels([None, None], tokenizer)
    assert LABELS.lacks_gold(withheld)
    assert LABELS.lacks_gold(concatenated([features, withheld]))
    assert len(collate(withheld, [0, 1], LABELS)["input_ids"])


def test_guessing_is_the_mean_of_numbers_and_the_share_of_each_label(tokenizer: Any) -> None:
    rows = np.arange(4)
    assert NUMBERS.loss_of_guessing(SIMILAR, numbers([0, 0, 2, 2], tokenizer), rows) == pytest.approx(1.0)
    assert NUMBERS.loss_of_guessing(SIMILAR, numbers([3, 3, 3, 3], tokenizer), rows) is None
    half = labels([("cats",), ("cats",), (), ()], tokenizer)
    assert LABELS.loss_of_guessing(ABOUT, half, rows) == pytest.approx(math.log(2) / 3)
    assert LABELS.loss_of_guessing(ABOUT, labels([()] * 4, tokenizer), rows) is None


def test_strata_are_fifths_of_the_numbers_and_the_rarest_label(tokenizer: Any) -> None:
    assert NUMBERS.strata(numbers([5, 1, 2, 3, 4, 9, 6, 7, 8, 10], tokenizer)) == [2, 0, 0, 1, 1, 4, 2, 3, 3, 4]
    assert NUMBERS.strata(numbers([7, 7, 7], tokenizer)) == [4, 4, 4]
    sets = [("cats",), ("cats", "lamps"), ("cats", "dogs"), ("dogs",), ()]
    assert LABELS.strata(labels(sets, tokenizer)) == [0, 2, 1, 1, 3]


def test_numbers_are_decoded_scored_and_written(tokenizer: Any) -> None:
    features = numbers([1.0, 2.0, 6.0], tokenizer)
    predicted = NUMBERS.decode(torch.tensor([[1.0], [2.0], [3.0]]), features, np.arange(3), Decoding())
    score = NUMBERS.score(SIMILAR, "en", features, predicted, list)
    assert list(score.values) == ["mse", "spearman", "pearson"]
    assert score.values["mse"] == pytest.approx(3.0)
    assert score.units == {"mse": "squared error"}
    assert (score.predictions, score.count) == (["1", "2", "3"], 3)
    withheld = NUMBERS.score(SIMILAR, "en", numbers([None] * 3, tokenizer), predicted, list)
    assert (withheld.values, withheld.count) == ({"pearson": None}, 0)
    with pytest.raises(UserError, match="3 predictions but 2 gold labels"):
        NUMBERS.score(SIMILAR, "en", numbers([1.0, None, 2.0], tokenizer), predicted, list)


def test_labels_are_decoded_scored_and_written_and_one_that_training_lacks_is_never_right(tokenizer: Any) -> None:
    features = labels([("cats", "dogs"), (), ("lamps",)], tokenizer)
    logits = torch.tensor([[2.0, -1.0, -3.0], [-1.0, -1.0, -1.0], [-1.0, -1.0, 0.5]])
    predicted = LABELS.decode(logits, features, np.arange(3), Decoding())
    assert predicted.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]
    score = LABELS.score(ABOUT, "en", features, predicted, list)
    expected = {"subset_accuracy": 2 / 3, "macro_f1": 2 / 3, "f1": 0.8}
    assert score.values == pytest.approx(expected)
    assert list(score.values)[-1] == "f1"
    assert score.predictions == ["cats", "", "lamps"]
    rows = LABELS.score(replace(ABOUT, metric="subset_accuracy"), "en", features, predicted, list)
    assert list(rows.beside.values()) == ["0\n1\n1\n"]
    unseen = labels([("cats", "dogs"), ("birds", "fish"), ("lamps",)], tokenizer)
    score = LABELS.score(ABOUT, "en", unseen, predicted, list)
    assert score.values == pytest.approx({"subset_accuracy": 1 / 3, "macro_f1": 0.5, "f1": 4 / 6})


def test_only_kinds_that_have_a_head_are_found() -> None:
    assert family_of(SIMILAR) is NUMBERS
    for kind in ("tatoeba", "made-up"):
        with pytest.raises(UserError, match=f"of kind '{kind}' have no head"):
            family_of(replace(SIMILAR, family=kind))
