from __future__ import annotations

import warnings

import pytest

from dist_stilts.scoring.tagging import span_f1, token_accuracy

GOLD = [["NOUN", "NOUN", "VERB", "DET", "NOUN"]]
PRED = [["NOUN", "VERB", "VERB", "DET", "NOUN"]]


def test_adjacent_equal_tags_merge_as_xtreme_scores_them() -> None:
    assert span_f1(PRED, GOLD) == pytest.approx(0.50)
    assert token_accuracy(PRED, GOLD) == pytest.approx(0.80)


def test_the_two_conjunctions_share_a_type_in_seqeval() -> None:
    assert span_f1([["CCONJ"]], [["SCONJ"]]) == 1.0
    assert token_accuracy([["CCONJ"]], [["SCONJ"]]) == 0.0


def test_a_final_one_letter_tag_is_no_span_in_seqeval() -> None:
    assert span_f1([["NOUN", "X"]], [["NOUN", "DET"]]) == pytest.approx(2 / 3)
    assert span_f1([["X", "NOUN"]], [["DET", "NOUN"]]) == pytest.approx(1 / 2)


def test_bio_spans_count_only_when_whole() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"]]
    assert span_f1([["B-PER", "O", "O", "B-LOC"]], gold) == pytest.approx(0.5)
    assert span_f1(gold, gold) == 1.0


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
