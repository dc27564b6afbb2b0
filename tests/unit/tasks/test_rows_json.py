from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_files import refusal

from dist_stilts.errors import UserError
from dist_stilts.tasks.rows_json import read_rows, row_from_json, row_to_json
from dist_stilts.tasks.spec import (
    Answer,
    ChoiceRow,
    MultiLabelRow,
    PairRow,
    RegressionRow,
    Row,
    SpanRow,
    TaggedRow,
    TextRow,
)

WHERE = (Path("rows.jsonl"), 3)
NAMES = {"id": "7", "group": "p1"}
TEXT = st.text(max_size=12)


@st.composite
def span_rows(draw: st.DrawFn) -> SpanRow:
    context = draw(st.text(min_size=1, max_size=20))
    answers = []
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, len(context) - 1))
        answers.append(Answer(context[start : draw(st.integers(start + 1, len(context)))], start))
    return SpanRow(draw(TEXT), draw(TEXT), draw(TEXT), context, draw(st.just(tuple(answers)) | st.none()))


@st.composite
def choice_rows(draw: st.DrawFn) -> ChoiceRow:
    choices = tuple(draw(st.lists(TEXT, min_size=2, max_size=5)))
    return ChoiceRow(draw(TEXT), draw(TEXT), draw(TEXT), choices, draw(st.none() | st.integers(0, len(choices) - 1)))


@st.composite
def tagged_rows(draw: st.DrawFn) -> TaggedRow:
    words = tuple(draw(st.lists(TEXT, min_size=1, max_size=5)))
    tags = tuple(draw(st.lists(TEXT, min_size=len(words), max_size=len(words))))
    return TaggedRow(draw(TEXT), draw(TEXT), words, draw(st.just(tags) | st.none()))


PAIR_ROWS: st.SearchStrategy[Row] = st.builds(PairRow, TEXT, TEXT, TEXT, TEXT, st.none() | TEXT)
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
LABELS = st.none() | st.lists(TEXT, max_size=3, unique=True).map(tuple)
PAIR_ROWS |= st.builds(RegressionRow, TEXT, TEXT, TEXT, TEXT, NUMBERS)
PAIR_ROWS |= st.builds(MultiLabelRow, TEXT, TEXT, TEXT, TEXT, LABELS)
ROWS = PAIR_ROWS | choice_rows() | tagged_rows() | span_rows() | st.builds(TextRow, TEXT, TEXT, TEXT)


@given(rows=st.lists(ROWS, min_size=1, max_size=4, unique_by=lambda row: row.id), ascii_only=st.booleans())
def test_rows_come_back_as_they_were_as_objects_and_from_a_file(
    tmp_path: Path, rows: list[Row], ascii_only: bool
) -> None:
    assert [row_from_json(row_to_json(row), WHERE) for row in rows] == rows
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps(row_to_json(row), ensure_ascii=ascii_only) + "\n" for row in rows]
    path.write_bytes("".join(lines).encode())
    assert list(read_rows(path)) == rows


def test_an_object_names_its_family_and_every_field() -> None:
    row = SpanRow("7", "p1", "who?", "the cat", (Answer("cat", 4),))
    assert json.loads(json.dumps(row_to_json(row))) == {
        "family": "span",
        **NAMES,
        "question": "who?",
        "context": "the cat",
        "answers": [{"text": "cat", "start": 4}],
    }


PAIR = {"family": "sequence", **NAMES, "text_a": "a", "text_b": "b", "label": "yes"}
NUMBER = {"family": "regression", **NAMES, "text_a": "a", "text_b": "b", "value": 0.5}
SEVERAL = {"family": "multilabel", **NAMES, "text_a": "a", "text_b": "b", "labels": ["x"]}
CHOICE = {"family": "choice", **NAMES, "prompt": "p", "choices": ["x", "y"], "label": 1}
TAGGED = {"family": "token", **NAMES, "words": ["a", "b"], "tags": ["X", "Y"]}
SPAN = {"family": "span", **NAMES, "question": "q", "context": "the cat", "answers": [{"text": "cat", "start": 4}]}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({**PAIR, "family": "sequense"}, "unknown family 'sequense'. did you mean 'sequence'?"),
        ({**NUMBER, "value": "3"}, "value is no finite number ('3')"),
        ({**NUMBER, "value": float("inf")}, "value is no finite number (inf)"),
        ({**SEVERAL, "labels": ["x", "x"]}, "label 'x' stands there twice"),
        ({**SEVERAL, "labels": "x"}, "no list under the key 'labels'"),
        ({**PAIR, "family": 3}, "no text under the key 'family'"),
        ({**PAIR, "txt_b": "b"}, "unknown key 'txt_b'. did you mean 'text_b'?"),
        ({key: PAIR[key] for key in PAIR if key != "label"}, "no key 'label'"),
        ({**PAIR, "label": 1}, "no text under the key 'label'"),
        ({**PAIR, "text_a": "\ud800"}, "half a surrogate pair"),
        ({**CHOICE, "choices": "xy"}, "no list under the key 'choices'"),
        ({**CHOICE, "choices": ["x"]}, "1 choices"),
        ({**CHOICE, "label": 2}, "label 2 is no choice"),
        ({**CHOICE, "label": -1}, "label -1 is no choice"),
        ({**CHOICE, "label": True}, "label is no whole number"),
        ({**TAGGED, "tags": ["X"]}, "2 words, but 1 tags"),
        ({**TAGGED, "words": [], "tags": []}, "no words"),
        ({**SPAN, "answers": [{"text": "cat", "start": 3}]}, "answer 'cat' is not at character 3"),
        ({**SPAN, "answers": [{"text": "t", "start": -1}]}, "is not at character -1"),
        ({**SPAN, "answers": [{"text": "", "start": 0}]}, "answer '' is not at"),
        ({**SPAN, "answers": "cat"}, "'answers' is no list"),
        ({**SPAN, "answers": ["cat"]}, "an answer is no object ('cat')"),
    ],
)
def test_anything_else_is_named_with_file_and_line(record: dict[str, Any], message: str) -> None:
    said = refusal(row_from_json, record, WHERE)
    assert said.startswith("rows.jsonl:3: ")
    assert message in said


def test_an_id_that_occurs_twice_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{json.dumps(PAIR)}\n\n{json.dumps(PAIR)}\n")
    with pytest.raises(UserError, match=r"rows\.jsonl:3: id '7' occurs twice"):
        list(read_rows(path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | TEXT | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "start"]), inner, max_size=2),
    max_leaves=6,
)


@given(
    start=st.sampled_from([PAIR, CHOICE, TAGGED, SPAN]),
    changes=st.dictionaries(st.sampled_from(sorted({*PAIR, *CHOICE, *TAGGED, *SPAN})), JSON, max_size=2),
)
def test_rubbish_gives_a_row_or_a_user_error(start: dict[str, Any], changes: dict[str, Any]) -> None:
    record = {**start, **{key: value for key, value in changes.items() if key in start}}
    message = ""
    try:
        row = row_from_json(record, WHERE)
    except UserError as error:
        message = str(error)
    else:
        assert row_from_json(row_to_json(row), WHERE) == row
    assert "\n" not in message
