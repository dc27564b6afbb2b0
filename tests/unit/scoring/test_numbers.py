from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from dist_stilts.scoring.multilabel import multilabel_scores, one_answer_reason
from dist_stilts.scoring.numbers import constant_reason, number_scores


def test_numbers_are_scored_by_error_correlation_and_order() -> None:
    # Deviations from the means 2 and 3: -1 0 1 and -2 -1 3, so r = 5 / sqrt(2 * 14); the order is the same.
    scores = number_scores([1, 2, 3], [1, 2, 6])
    assert scores == pytest.approx({"mse": 3.0, "spearman": 1.0, "pearson": 5 / math.sqrt(28)})
    assert list(scores) == ["mse", "spearman", "pearson"]
    assert number_scores([3, 2, 1], [1, 2, 6])["spearman"] == pytest.approx(-1.0)


@pytest.mark.parametrize(("pred", "gold"), [([2, 2, 2], [1, 2, 3]), ([1, 2], [5, 5]), ([1], [3])])
def test_a_correlation_that_is_not_defined_is_0_without_a_warning(pred: list[float], gold: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = number_scores(pred, gold)
    assert (scores["pearson"], scores["spearman"]) == (0.0, 0.0)
    assert scores["mse"] > 0


def test_predictions_that_hardly_differ_are_degenerate_if_they_are_enough_and_gold_differs() -> None:
    gold = np.linspace(0, 5, 40)
    assert constant_reason(gold, gold) is None
    assert constant_reason(2.5 + gold / 50, gold) is None  # 2 % of gold's spread
    assert "all 40 predictions are near 2.5" in str(constant_reason(2.5 + (gold - 2.5) / 500, gold))
    assert constant_reason(np.full(19, 1.0), gold[:19]) is None
    assert constant_reason(np.full(40, 5.0), np.full(40, 5.0)) is None, "there is nothing to tell apart"
    withheld: list[float] = []
    assert constant_reason(np.full(40, 5.0), withheld) is not None
    assert constant_reason(gold, withheld) is None


def test_labels_are_scored_over_all_by_label_and_by_row() -> None:
    gold = [[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]]
    pred = [[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 1, 0]]
    # Label 0: 2 of 2 and 2; label 1: 1 right of 2 and 2; label 2 is nowhere. Together 3 right of 4 and 4.
    expected = {"subset_accuracy": 0.5, "macro_f1": (1 + 0.5 + 0) / 3, "f1": 0.75}
    assert multilabel_scores(pred, gold) == pytest.approx(expected)
    nothing = multilabel_scores([[0, 0]], [[0, 0]])
    assert nothing == {"subset_accuracy": 1.0, "macro_f1": 0.0, "f1": 0.0}


def test_one_set_of_labels_above_95_percent_of_enough_rows_is_degenerate() -> None:
    some = [[0, 1, 1]] * 96 + [[1, 0, 0]] * 4
    assert one_answer_reason(some) == "labels 1, 2 are 96.0% of 100 predictions"
    assert one_answer_reason([[0, 0]] * 30) == "labels none are 100.0% of 30 predictions"
    assert one_answer_reason(some[1:]) is not None
    assert one_answer_reason(some[:95] + some[95:96] + [[1, 0, 0]] * 8) is None
    assert one_answer_reason([[1, 0]] * 19) is None


@pytest.mark.parametrize("score", [number_scores, multilabel_scores])
@pytest.mark.parametrize(("pred", "gold"), [([], []), ([1], [1, 1]), ([[[1]]], [[[1]]])])
def test_what_cannot_be_compared_is_refused(score: object, pred: list[int], gold: list[int]) -> None:
    with pytest.raises(ValueError, match="cannot compare"):
        score(pred, gold)  # type: ignore[operator]
