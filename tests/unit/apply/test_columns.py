"""Which columns are read: named ones first, then those that look right; what cannot be told is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dist_stilts.apply.columns import choose_columns
from dist_stilts.errors import UserError
from dist_stilts.tasks.own_rows import is_blank
from dist_stilts.tasks.spec import ChoiceRow, MultiLabelRow, PairRow, SpanRow, TaggedRow

WHERE = (Path("rows.csv"), 1)


def chosen(family: str, names: str, *given: str) -> dict[str, tuple[str, ...]]:
    return dict(choose_columns(family, given, names.split(), WHERE).of)


@pytest.mark.parametrize(
    ("family", "names", "expected"),
    [
        ("sequence", "id label premise hypothesis", {"text_a": ("premise",), "text_b": ("hypothesis",)}),
        ("sequence", "Sentence1 Sentence2 score", {"text_a": ("Sentence1",), "text_b": ("Sentence2",)}),
        ("sequence", "id title text", {"text_a": ("text",)}),
        ("regression", "review stars", {"text_a": ("review",)}),
        ("multilabel", "anything", {"text_a": ("anything",)}),
        ("token", "id tokens ner_tags", {"words": ("tokens",)}),
        ("token", "text", {"words": ("text",)}),
        ("span", "id question context answers", {"question": ("question",), "context": ("context",)}),
        ("span", "query passage", {"question": ("query",), "context": ("passage",)}),
        ("choice", "question choices answerKey", {"prompt": ("question",), "choices": ("choices",)}),
        ("choice", "premise choice1 choice2 label", {"prompt": ("premise",), "choices": ("choice1", "choice2")}),
        (
            "choice",
            "context question answer0 answer1 answer2",
            {"prompt": ("context", "question"), "choices": ("answer0", "answer1", "answer2")},
        ),
    ],
)
def test_names_that_people_use_are_known(family: str, names: str, expected: dict[str, tuple[str, ...]]) -> None:
    assert chosen(family, names) == expected


@pytest.mark.parametrize(
    ("family", "names", "given", "expected"),
    [
        ("sequence", "premise hypothesis", "text=hypothesis", {"text_a": ("hypothesis",)}),
        ("sequence", "a b", "text_b=b,text_a=a", {"text_a": ("a",), "text_b": ("b",)}),
        ("sequence", "title body", "text_a=title+body", {"text_a": ("title", "body")}),
        ("token", "satz", "text=satz", {"words": ("satz",)}),
        ("choice", "stem A B", "choices=A+B", {"prompt": ("stem",), "choices": ("A", "B")}),
        ("span", "q page", "question=q,context=page", {"question": ("q",), "context": ("page",)}),
    ],
)
def test_named_columns_take_the_place_of_guesses(
    family: str, names: str, given: str, expected: dict[str, tuple[str, ...]]
) -> None:
    assert chosen(family, names, given) == expected


def test_a_column_with_a_comma_or_a_plus_in_its_name_can_be_named() -> None:
    columns = choose_columns("sequence", ["text_a=a, b,text_b=c+d"], ["a, b", "c+d"], WHERE)
    assert columns.of == {"text_a": ("a, b",), "text_b": ("c+d",)}
    assert columns.said() == "reading 'a, b' as text_a, 'c+d' as text_b"


@pytest.mark.parametrize(
    ("family", "names", "given", "said"),
    [
        ("sequence", "x y", "", r"no column looks like text_a \(columns: 'x, y'\).*--columns text_a=COLUMN"),
        ("span", "question y", "", "no column looks like context"),
        ("choice", "prompt y", "", "no column looks like choices"),
        ("sequence", "text y", "text=texd", "no column 'texd'.*did you mean 'text'"),
        ("sequence", "text y", "words=text", "unknown field 'words'.*This model reads text_a, text_b"),
        ("token", "x y", "text", "unknown field"),
    ],
)
def test_what_cannot_be_told_is_refused(family: str, names: str, given: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        chosen(family, names, *([given] if given else []))


@pytest.mark.parametrize(
    ("family", "record", "row"),
    [
        ("sequence", {"text": "ab"}, PairRow("3", "3", "ab", "", None)),
        ("sequence", {"premise": "a", "hypothesis": ""}, PairRow("3", "3", "a", "", None)),
        ("multilabel", {"text": "a"}, MultiLabelRow("3", "3", "a", "", None)),
        ("token", {"words": ["a b", "c"]}, TaggedRow("3", "3", ("a b", "c"), None)),
        ("token", {"text": " a  b "}, TaggedRow("3", "3", ("a", "b"), None)),
        ("token", {"text": ""}, TaggedRow("3", "3", (), None)),
        ("token", {"words": []}, TaggedRow("3", "3", (), None)),
        ("span", {"question": "q", "context": "c", "answers": 7}, SpanRow("3", "3", "q", "c", None)),
        ("choice", {"premise": "p", "choice1": "x", "choice2": "y"}, ChoiceRow("3", "3", "p", ("x", "y"), None)),
        ("choice", {"prompt": "p", "choices": '["x", "y"]'}, ChoiceRow("3", "3", "p", ("x", "y"), None)),
        (
            "choice",
            {"context": "c", "question": "q", "choices": ["x", "y"]},
            ChoiceRow("3", "3", "c q", ("x", "y"), None),
        ),
    ],
)
def test_a_record_is_the_row_that_the_model_reads_and_gold_is_not_looked_at(
    family: str, record: dict[str, Any], row: Any
) -> None:
    assert choose_columns(family, (), list(record), WHERE).row(record, 3, WHERE) == row


@pytest.mark.parametrize(
    ("family", "record", "said"),
    [
        ("sequence", {"text": None}, "rows.csv:1: text_a is no text"),
        ("sequence", {"text": 5}, "text_a is no text"),
        ("sequence", {"text": "\ud800"}, "half a surrogate"),
        ("token", {"words": 5}, "words is no list"),
        ("choice", {"prompt": "p", "choices": ["x"]}, "1 choices"),
        ("choice", {"prompt": "p", "choices": "x"}, "choices is neither a list nor JSON"),
    ],
)
def test_a_value_that_is_no_text_is_refused_with_its_line(family: str, record: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        choose_columns(family, (), list(record), WHERE).row(record, 3, WHERE)


def test_a_row_that_lacks_a_column_is_refused() -> None:
    columns = choose_columns("sequence", (), ["text"], WHERE)
    with pytest.raises(UserError, match=r"rows.csv:1: no column 'text'.*did you mean 'texts'"):
        columns.row({"texts": "a"}, 0, WHERE)


def test_blank_rows_are_those_without_any_text() -> None:
    assert is_blank(PairRow("1", "1", " \t", "\u200b", "a label"))
    assert is_blank(TaggedRow("1", "1", (), None))
    assert not is_blank(PairRow("1", "1", "", "a", None))
    assert not is_blank(ChoiceRow("1", "1", "", ("", "b"), None))
