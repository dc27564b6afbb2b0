from __future__ import annotations

import pytest

from dist_stilts.scoring.classify import accuracy, degenerate_reason


def test_accuracy_is_a_share_of_rows() -> None:
    assert accuracy([0, 1, 2, 2], [0, 1, 1, 2]) == 0.75
    assert accuracy(["a", "b"], ["a", "c"]) == 0.5


@pytest.mark.parametrize(("pred", "gold"), [([], []), ([1], [1, 1]), ([[1]], [[1]])])
def test_accuracy_refuses_what_it_cannot_compare(pred: list[int], gold: list[int]) -> None:
    with pytest.raises(ValueError, match="cannot compare"):
        accuracy(pred, gold)


def test_one_class_above_95_percent_of_enough_rows_is_degenerate() -> None:
    assert degenerate_reason([1] * 96 + [0] * 4, 3) == "class 1 of 3 is 96.0% of 100 predictions"
    for predictions, classes in (([1] * 95 + [0] * 5, 3), ([0] * 19, 3), ([0] * 20, 1)):
        assert degenerate_reason(predictions, classes) is None
    assert degenerate_reason([0] * 20, 3) is not None
