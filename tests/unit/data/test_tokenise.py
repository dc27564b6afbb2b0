from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from dist_stilts.data.prepare import encode_texts
from dist_stilts.errors import UserError
from dist_stilts.families.encoding import Encoding, FeatureRow, QaLengths
from dist_stilts.families.kinds import KINDS
from dist_stilts.families.windows import windows
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.spec import IGNORED, Answer, ChoiceRow, PairRow, SpanRow, TaggedRow, TextRow

NLI = get_task("xnli").labels
UPOS = get_task("udpos").labels
PREMISE = "the hot sailor never lifted the lamp"
HYPOTHESIS = "a bad cat lifted a lamp"


@pytest.fixture(params=["tokenizer", "bert_tokenizer"])
def either(request: pytest.FixtureRequest) -> Any:
    """Both kinds of tokenizer: three special tokens in the middle and around a pair, or four."""
    return request.getfixturevalue(request.param)


def encode(kind: str, rows: list[Any], tokenizer: Any, length: int, labels: Any = (), **how: Any) -> list[FeatureRow]:
    return list(KINDS[kind].encode(rows, tokenizer, Encoding(labels, length, **how)))


def pair(label: str | None = "neutral") -> PairRow:
    return PairRow("p-0", "p", PREMISE, HYPOTHESIS, label)


def tag(words: list[str], tokenizer: Any, max_length: int) -> list[dict[str, Any]]:
    tags = [UPOS[number % len(UPOS)] for number in range(len(words))]
    row = TaggedRow("s-0", "s", tuple(words), tuple(tags))
    return encode("token", [row], tokenizer, max_length, UPOS)


def test_pairs_and_lines_are_what_the_tokenizer_makes_of_them(either: Any) -> None:
    (row,) = encode("sequence", [pair()], either, 64, NLI)
    assert list(row["input_ids"]) == either(PREMISE, HYPOTHESIS)["input_ids"]
    assert (row["lengths"], row["truncated"]) == ([len(row["input_ids"])], 0)
    assert (row["labels"], row["id"], row["group"]) == ([NLI.index("neutral")], "p-0", "p")
    (line,) = encode("mlm", [TextRow("0", "0", PREMISE)], either, 64)
    assert list(line["input_ids"]) == either(PREMISE)["input_ids"]
    assert (list(line["labels"]), line["truncated"]) == ([], 0)


def test_the_two_tokenizers_differ_in_special_tokens_and_withheld_gold_is_no_label(
    tokenizer: Any, bert_tokenizer: Any
) -> None:
    assert [t.num_special_tokens_to_add(pair=True) for t in (tokenizer, bert_tokenizer)] == [4, 3]
    assert encode("sequence", [pair(None)], tokenizer, 64, NLI)[0]["labels"] == []
    assert encode("choice", [ChoiceRow("0", "0", "a", ("b", "c"), None)], tokenizer, 64)[0]["labels"] == []


def test_hypothesis_only_hides_the_premise_and_tokens_that_a_pair_loses_are_counted(either: Any) -> None:
    (row,) = encode("sequence", [pair()], either, 64, NLI, inputs="hypothesis")
    assert list(row["input_ids"]) == either(HYPOTHESIS)["input_ids"]
    whole = len(either(PREMISE, HYPOTHESIS)["input_ids"])
    (row,) = encode("sequence", [pair()], either, whole - 4, NLI)
    assert (len(row["input_ids"]), row["truncated"]) == (whole - 4, 4)


def test_a_line_that_does_not_fit_becomes_several_rows_and_a_sentence_to_embed_is_cut_and_counted(either: Any) -> None:
    first, *inner, last = either(PREMISE)["input_ids"]
    rows = encode("mlm", [TextRow("0", "0", PREMISE)], either, 5)
    assert [list(row["input_ids"]) for row in rows] == [
        [first, *inner[start : start + 3], last] for start in range(0, len(inner), 3)
    ]
    assert {row["truncated"] for row in rows} == {0}
    whole = either(PREMISE)["input_ids"]
    cut = encode_texts([PREMISE], either, 5)
    assert cut.input_ids[0].tolist() == [*whole[:4], whole[-1]]
    assert cut.truncated.tolist() == [len(whole) - 5]


def test_choices_are_what_the_tokenizer_makes_of_prompt_and_choice(either: Any) -> None:
    choices = ("a bad cat", "the lamp", "good")
    (row,) = encode("choice", [ChoiceRow("q", "q", PREMISE, choices, 2)], either, 64)
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
    (row,) = encode("choice", [ChoiceRow("q", "q", PREMISE, choices, 0)], either, limit)
    lost = [len(segment) - limit for segment in whole]
    assert (row["lengths"], row["truncated"]) == ([limit, limit], sum(lost))
    kept = [[segment[0], *segment[1 + dropped :]] for segment, dropped in zip(whole, lost, strict=True)]
    assert list(row["input_ids"]) == kept[0] + kept[1]
    limit = either.num_special_tokens_to_add(pair=True) + 4
    (row,) = encode("choice", [ChoiceRow("q", "q", "the cat", (PREMISE,), 0)], either, limit)
    assert len(row["input_ids"]) == limit
    assert row["truncated"] == len(either("the cat", PREMISE)["input_ids"]) - limit


def test_first_piece_of_each_word_carries_its_tag_and_words_run_on_from_sentence_to_sentence(tokenizer: Any) -> None:
    words = ["the", "sailorzz", "lamp"]
    pieces = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
    assert len(pieces[1]) > 1
    (row,) = tag(words, tokenizer, 64)
    assert list(row["input_ids"]) == [tokenizer.cls_token_id, *chain.from_iterable(pieces), tokenizer.sep_token_id]
    expected = [label for number, ids in enumerate(pieces) for label in [number] + [IGNORED] * (len(ids) - 1)]
    assert row["labels"] == [IGNORED, *expected, IGNORED]
    rows = [TaggedRow(f"s-{n}", f"s-{n}", ("the", "cat"), ("DET", "NOUN")) for n in range(3)]
    assert [row["first_word"] for row in encode("token", rows, tokenizer, 64, UPOS)] == [0, 2, 4]


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


CONTEXT = "the hot sailor never lifted the lamp but a good cat lifted a bad lamp and the sailor lifted the cat"


def question(answer: str | None = "a bad lamp", context: str = CONTEXT, text: str = "the cat lifted a lamp") -> SpanRow:
    answers = (Answer(answer, context.index(answer)),) if answer else ()
    return SpanRow("q-0", "p-0", text, context, answers)


def spans_of(row: dict[str, Any]) -> list[tuple[int, int]]:
    flat = row["offsets"]
    return list(zip(flat[::2], flat[1::2], strict=True))


def cut(row: SpanRow, tokenizer: Any, **lengths: int) -> list[dict[str, Any]]:
    return list(windows([row], tokenizer, QaLengths(**lengths)))


def test_a_short_context_is_one_window_reads_as_a_pair_and_leads_back_to_the_answer(either: Any) -> None:
    (row,) = cut(question(), either)
    assert row["input_ids"].tolist() == either("the cat lifted a lamp", CONTEXT)["input_ids"]
    assert row["lengths"] == [len(row["input_ids"])] == [len(spans_of(row))]
    first, last = row["labels"]
    spans = spans_of(row)
    assert CONTEXT[spans[first][0] : spans[last][1]] == "a bad lamp"


@pytest.mark.parametrize("stride", [1, 3, 8, 50])
def test_windows_leave_no_token_out_and_none_is_superfluous(tokenizer: Any, stride: int) -> None:
    (one,) = cut(question(), tokenizer, max_length=500)
    whole = {span for span in spans_of(one) if span[0] >= 0}
    for max_length in (12, 13, 17, 24, 40):
        rows = cut(question(), tokenizer, max_length=max_length, stride=stride)
        covered = [{span for span in spans_of(row) if span[0] >= 0} for row in rows]
        assert set().union(*covered) == whole
        assert all(len(row["input_ids"]) <= max_length for row in rows)
        if len(rows) > 1:  # the last window but one does not reach the end
            assert max(covered[-1]) not in covered[-2]


@pytest.mark.parametrize("stride", [1, 4, 6])
def test_an_answer_is_labelled_in_exactly_the_windows_that_hold_all_of_it(tokenizer: Any, stride: int) -> None:
    row = question("bad lamp")
    wanted = (row.answers[0].start, row.answers[0].start + len("bad lamp")) if row.answers else (0, 0)
    rows = cut(row, tokenizer, max_length=20, stride=stride)
    found = 0
    for window in rows:
        first, last = window["labels"]
        spans = [span for span in spans_of(window) if span[0] >= 0]
        inside = min(spans)[0] <= wanted[0] and max(spans)[1] >= wanted[1]
        assert inside == ((first, last) != (0, 0))
        if inside:
            found += 1
            assert (spans_of(window)[first][0], spans_of(window)[last][1]) == wanted
    assert found


def test_no_answer_points_to_the_first_token_hidden_gold_to_nothing_and_answers_need_no_spaces_around_them(
    tokenizer: Any,
) -> None:
    assert [row["labels"] for row in cut(question(None), tokenizer)] == [(0, 0)]
    hidden = SpanRow("q-0", "p-0", "the cat", CONTEXT, None)
    assert [row["labels"] for row in cut(hidden, tokenizer)] == [()]
    context = "thehotsailorliftedthelamp"
    (row,) = cut(question("sailor", context), tokenizer)
    first, last = row["labels"]
    spans = spans_of(row)
    assert spans[first][0] <= context.index("sailor")
    assert spans[last][1] >= context.index("sailor") + len("sailor")


def test_a_long_question_is_cut_and_counted_once_and_without_room_for_a_context_there_is_no_window(
    tokenizer: Any,
) -> None:
    long = " ".join(["lamp"] * 40)
    tokens = len(tokenizer(long, add_special_tokens=False)["input_ids"])
    rows = cut(question(text=long), tokenizer, max_length=24, stride=8, max_question=10)
    assert len(rows) > 1
    assert [row["truncated"] for row in rows] == [tokens - 10] + [0] * (len(rows) - 1)
    with pytest.raises(UserError, match=r"no room.*max_length"):
        cut(question(), tokenizer, max_length=8, max_question=64)


def test_rows_of_a_question_follow_each_other_under_its_number(tokenizer: Any) -> None:
    rows = list(windows([question(), question("the lamp")], tokenizer, QaLengths(max_length=20, stride=5)))
    numbers = [row["example"] for row in rows]
    assert numbers == sorted(numbers)
    assert set(numbers) == {0, 1}
