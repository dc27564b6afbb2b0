from __future__ import annotations

import warnings

import pytest

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


def test_accuracy_is_of_words() -> None:
    assert token_accuracy([["NOUN", "VERB", "VERB", "DET", "NOUN"]], [["NOUN", "NOUN", "VERB", "DET", "NOUN"]]) == 0.8
    assert token_accuracy([["CCONJ"]], [["SCONJ"]]) == 0.0


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
