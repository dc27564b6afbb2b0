from __future__ import annotations

import warnings

import pytest

from dist_stilts.scoring.classify import accuracy, degenerate_reason
from dist_stilts.scoring.tagging import span_f1, token_accuracy


@pytest.mark.parametrize(
    ("predicted", "gold", "f1"),
    [
        ("NOUN VERB VERB DET NOUN", "NOUN NOUN VERB DET NOUN", 0.5),  # adjacent equal tags merge, as XTREME scores them
        ("CCONJ", "SCONJ", 1.0),  # the two conjunctions share a type in seqeval
        ("NOUN X", "NOUN DET", 2 / 3),  # a final one-letter tag is no span in seqeval
        ("X NOUN", "DET NOUN", 1 / 2),
        ("B-PER O O B-LOC", "B-PER I-PER O B-LOC", 0.5),  # spans count only when whole
        ("B-PER I-PER O B-LOC", "B-PER I-PER O B-LOC", 1.0),
    ],
)
def test_spans_are_those_of_seqeval(predicted: str, gold: str, f1: float) -> None:
    assert span_f1([predicted.split()], [gold.split()]) == pytest.approx(f1)


def test_no_spans_at_all_score_zero_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert span_f1([["O", "O"]], [["O", "O"]]) == 0.0


def test_every_word_needs_a_prediction() -> None:
    with pytest.raises(ValueError, match="sentence 1: 1 predicted tags for 2 words"):
        token_accuracy([["N"], ["N"]], [["N"], ["N", "V"]])
    with pytest.raises(ValueError, match="1 predicted sentences for 2"):
        span_f1([["N"]], [["N"], ["N"]])
    with pytest.raises(ValueError, match="no words"):
        token_accuracy([], [])


def test_accuracy_is_a_share_of_rows_or_of_words() -> None:
    assert accuracy([0, 1, 2, 2], [0, 1, 1, 2]) == 0.75
    assert accuracy(["a", "b"], ["a", "c"]) == 0.5
    assert token_accuracy([["NOUN", "VERB", "VERB", "DET", "NOUN"]], [["NOUN", "NOUN", "VERB", "DET", "NOUN"]]) == 0.8
    assert token_accuracy([["CCONJ"]], [["SCONJ"]]) == 0.0


@pytest.mark.parametrize(("pred", "gold"), [([], []), ([1], [1, 1]), ([[1]], [[1]])])
def test_accuracy_refuses_what_it_cannot_compare(pred: list[int], gold: list[int]) -> None:
    with pytest.raises(ValueError, match="cannot compare"):
        accuracy(pred, gold)


def test_one_class_above_95_percent_of_enough_rows_is_degenerate() -> None:
    assert degenerate_reason([1] * 96 + [0] * 4, 3) == "class 1 of 3 is 96.0% of 100 predictions"
    for predictions, classes in (([1] * 95 + [0] * 5, 3), ([0] * 19, 3), ([0] * 20, 1)):
        assert degenerate_reason(predictions, classes) is None
    assert degenerate_reason([0] * 20, 3) is not None
