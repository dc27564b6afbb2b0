from __future__ import annotations

from typing import Any

import pytest

from dist_stilts.data.windows import QaLengths, windows
from dist_stilts.errors import UserError
from dist_stilts.tasks.spec import Answer, SpanRow

CONTEXT = "the hot sailor never lifted the lamp but a good cat lifted a bad lamp and the sailor lifted the cat"


def question(answer: str | None = "a bad lamp", context: str = CONTEXT, text: str = "the cat lifted a lamp") -> SpanRow:
    answers = (Answer(answer, context.index(answer)),) if answer else ()
    return SpanRow("q-0", "p-0", text, context, answers)


def spans_of(row: dict[str, Any]) -> list[tuple[int, int]]:
    flat = row["offsets"]
    return list(zip(flat[::2], flat[1::2], strict=True))


def cut(row: SpanRow, tokenizer: Any, **lengths: int) -> list[dict[str, Any]]:
    return list(windows([row], tokenizer, QaLengths(**lengths)))


@pytest.fixture(params=["tokenizer", "bert_tokenizer"])
def either(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


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


def test_no_answer_points_to_the_first_token_and_hidden_gold_to_nothing(tokenizer: Any) -> None:
    assert [row["labels"] for row in cut(question(None), tokenizer)] == [(0, 0)]
    hidden = SpanRow("q-0", "p-0", "the cat", CONTEXT, None)
    assert [row["labels"] for row in cut(hidden, tokenizer)] == [()]


def test_a_long_question_is_cut_and_counted_once(tokenizer: Any) -> None:
    long = " ".join(["lamp"] * 40)
    tokens = len(tokenizer(long, add_special_tokens=False)["input_ids"])
    rows = cut(question(text=long), tokenizer, max_length=24, stride=8, max_question=10)
    assert len(rows) > 1
    assert [row["truncated"] for row in rows] == [tokens - 10] + [0] * (len(rows) - 1)


def test_answers_need_no_spaces_around_them(tokenizer: Any) -> None:
    context = "thehotsailorliftedthelamp"
    (row,) = cut(question("sailor", context), tokenizer)
    first, last = row["labels"]
    spans = spans_of(row)
    assert spans[first][0] <= context.index("sailor")
    assert spans[last][1] >= context.index("sailor") + len("sailor")


def test_windows_without_room_for_a_context_are_refused(tokenizer: Any) -> None:
    with pytest.raises(UserError, match=r"no room.*max_length"):
        cut(question(), tokenizer, max_length=8, max_question=64)


def test_rows_of_a_question_follow_each_other_under_its_number(tokenizer: Any) -> None:
    rows = list(windows([question(), question("the lamp")], tokenizer, QaLengths(max_length=20, stride=5)))
    numbers = [row["example"] for row in rows]
    assert numbers == sorted(numbers)
    assert set(numbers) == {0, 1}
