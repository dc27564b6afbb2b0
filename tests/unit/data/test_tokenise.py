from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from dist_stilts.data.tokenise import sentences, tokenise
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.spec import IGNORED, ChoiceRow, PairRow, TaggedRow, TextRow

NLI = get_task("xnli").labels
UPOS = get_task("udpos").labels
PREMISE = "the hot sailor never lifted the lamp"
HYPOTHESIS = "a bad cat lifted a lamp"


@pytest.fixture(params=["tokenizer", "bert_tokenizer"])
def either(request: pytest.FixtureRequest) -> Any:
    """Both kinds of tokenizer: three special tokens in the middle and around a pair, or four."""
    return request.getfixturevalue(request.param)


def pair(label: str | None = "neutral") -> PairRow:
    return PairRow("p-0", "p", PREMISE, HYPOTHESIS, label)


def tag(words: list[str], tokenizer: Any, max_length: int) -> list[dict[str, Any]]:
    tags = [UPOS[number % len(UPOS)] for number in range(len(words))]
    row = TaggedRow("s-0", "s", tuple(words), tuple(tags))
    return list(tokenise("token", UPOS, [row], tokenizer, max_length))


def test_pairs_and_lines_are_what_the_tokenizer_makes_of_them(either: Any) -> None:
    (row,) = tokenise("sequence", NLI, [pair()], either, 64)
    assert list(row["input_ids"]) == either(PREMISE, HYPOTHESIS)["input_ids"]
    assert (row["lengths"], row["truncated"]) == ([len(row["input_ids"])], 0)
    assert (row["labels"], row["id"], row["group"]) == ([NLI.index("neutral")], "p-0", "p")
    (line,) = tokenise("mlm", (), [TextRow("0", "0", PREMISE)], either, 64)
    assert list(line["input_ids"]) == either(PREMISE)["input_ids"]
    assert (line["labels"], line["truncated"]) == ([], 0)


def test_the_two_tokenizers_differ_in_special_tokens_and_withheld_gold_is_no_label(
    tokenizer: Any, bert_tokenizer: Any
) -> None:
    assert [t.num_special_tokens_to_add(pair=True) for t in (tokenizer, bert_tokenizer)] == [4, 3]
    assert next(tokenise("sequence", NLI, [pair(None)], tokenizer, 64))["labels"] == []
    assert next(tokenise("choice", (), [ChoiceRow("0", "0", "a", ("b", "c"), None)], tokenizer, 64))["labels"] == []


def test_hypothesis_only_hides_the_premise_and_tokens_that_a_pair_loses_are_counted(either: Any) -> None:
    (row,) = tokenise("sequence", NLI, [pair()], either, 64, "hypothesis")
    assert list(row["input_ids"]) == either(HYPOTHESIS)["input_ids"]
    whole = len(either(PREMISE, HYPOTHESIS)["input_ids"])
    (row,) = tokenise("sequence", NLI, [pair()], either, whole - 4)
    assert (len(row["input_ids"]), row["truncated"]) == (whole - 4, 4)


def test_a_line_that_does_not_fit_becomes_several_rows_and_loses_nothing(either: Any) -> None:
    first, *inner, last = either(PREMISE)["input_ids"]
    rows = list(tokenise("mlm", (), [TextRow("0", "0", PREMISE)], either, 5))
    assert [list(row["input_ids"]) for row in rows] == [
        [first, *inner[start : start + 3], last] for start in range(0, len(inner), 3)
    ]
    assert {row["truncated"] for row in rows} == {0}


def test_a_sentence_to_embed_stays_one_row_and_what_it_loses_is_counted(either: Any) -> None:
    whole = either(PREMISE)["input_ids"]
    (row,) = sentences([PREMISE], either, 5)
    assert list(row["input_ids"]) == [*whole[:4], whole[-1]]
    assert row["truncated"] == len(whole) - 5


def test_choices_are_what_the_tokenizer_makes_of_prompt_and_choice(either: Any) -> None:
    choices = ("a bad cat", "the lamp", "good")
    (row,) = tokenise("choice", (), [ChoiceRow("q", "q", PREMISE, choices, 2)], either, 64)
    expected = [either(PREMISE, choice)["input_ids"] for choice in choices]
    assert list(row["input_ids"]) == [token for segment in expected for token in segment]
    assert row["lengths"] == [len(segment) for segment in expected]
    assert (row["labels"], row["truncated"]) == ([2], 0)


def test_a_prompt_that_does_not_fit_loses_its_start_and_tokens_that_it_or_a_choice_loses_are_counted(
    either: Any,
) -> None:
    choices = ("a bad cat", "the lamp")
    whole = [either(PREMISE, choice)["input_ids"] for choice in choices]
    limit = len(whole[1]) - 2
    (row,) = tokenise("choice", (), [ChoiceRow("q", "q", PREMISE, choices, 0)], either, limit)
    lost = [len(segment) - limit for segment in whole]
    assert (row["lengths"], row["truncated"]) == ([limit, limit], sum(lost))
    kept = [[segment[0], *segment[1 + dropped :]] for segment, dropped in zip(whole, lost, strict=True)]
    assert list(row["input_ids"]) == kept[0] + kept[1]
    limit = either.num_special_tokens_to_add(pair=True) + 4
    (row,) = tokenise("choice", (), [ChoiceRow("q", "q", "the cat", (PREMISE,), 0)], either, limit)
    assert len(row["input_ids"]) == limit
    assert row["truncated"] == len(either("the cat", PREMISE)["input_ids"]) - limit


def test_first_piece_of_each_word_carries_its_tag(tokenizer: Any) -> None:
    words = ["the", "sailorzz", "lamp"]
    pieces = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
    assert len(pieces[1]) > 1
    (row,) = tag(words, tokenizer, 64)
    assert list(row["input_ids"]) == [tokenizer.cls_token_id, *chain.from_iterable(pieces), tokenizer.sep_token_id]
    expected = [label for number, ids in enumerate(pieces) for label in [number] + [IGNORED] * (len(ids) - 1)]
    assert row["labels"] == [IGNORED, *expected, IGNORED]


def test_a_long_sentence_becomes_stretches_that_hold_every_word_once(either: Any) -> None:
    words = (PREMISE + " " + HYPOTHESIS).split()
    (whole,) = tag(words, either, 64)
    stretches = tag(words, either, 7)
    counts = [sum(label != IGNORED for label in row["labels"]) for row in stretches]
    assert len(stretches) >= 3
    assert sum(counts) == len(words)
    assert [row["first_word"] for row in stretches] == [sum(counts[:place]) for place in range(len(counts))]
    assert {row["example"] for row in stretches} == {0}
    assert all(row["lengths"] == [len(row["input_ids"])] and row["lengths"][0] <= 7 for row in stretches)
    for column in ("input_ids", "labels"):
        assert [x for row in stretches for x in list(row[column])[1:-1]] == list(whole[column])[1:-1]
    assert sum(row["truncated"] for row in stretches) == 0


def test_no_word_is_cut_in_two_by_a_stretch_unless_it_is_longer_than_a_row(tokenizer: Any) -> None:
    pieces = len(tokenizer("sailorzz", add_special_tokens=False)["input_ids"])
    stretches = tag(["sailorzz"] * 5, tokenizer, 2 + 2 * pieces + 1)
    assert [sum(label != IGNORED for label in row["labels"]) for row in stretches] == [2, 2, 1]
    assert all(row["labels"][1] != IGNORED for row in stretches)
    pieces = len(tokenizer("zzzzzzzzzz", add_special_tokens=False)["input_ids"])
    rows = tag(["the", "zzzzzzzzzz", "cat"], tokenizer, 6)
    assert sum(row["truncated"] for row in rows) == pieces - 4
    assert sum(label != IGNORED for row in rows for label in row["labels"]) == 3


def test_a_word_that_the_tokenizer_makes_nothing_of_is_unknown_but_still_tagged(either: Any) -> None:
    assert either("\u00a0", add_special_tokens=False)["input_ids"] == []
    (row,) = tag(["the", "\u00a0", "cat"], either, 64)
    assert list(row["input_ids"])[2] == either.unk_token_id
    assert row["labels"] == [IGNORED, 0, 1, 2, IGNORED]


def test_words_run_on_from_sentence_to_sentence(tokenizer: Any) -> None:
    rows = [TaggedRow(f"s-{n}", f"s-{n}", ("the", "cat"), ("DET", "NOUN")) for n in range(3)]
    assert [row["first_word"] for row in tokenise("token", UPOS, rows, tokenizer, 64)] == [0, 2, 4]
