"""A translated row keeps id, group and gold; what is lost is counted; a gold span is always a part of its context."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.tasks.spec import Answer, ChoiceRow, PairRow, Row, SpanRow, TaggedRow, TextRow
from dist_stilts.translate.rows import texts_of, translated

WORDS = st.sampled_from(["the", "The", "cat", "cat.", "sat", "on", "a-mat", "NATO", "5", "is"])
CONTEXTS = st.lists(WORDS, min_size=1, max_size=12)
NORMANS = SpanRow("7", "p1", "who came", "then came the Normans over", (Answer("the Normans", 10),))


def backwards(text: str) -> str:
    """A language that writes every word backwards."""
    return " ".join(word[::-1] for word in text.split())


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (TextRow("0", "g", "no cat"), TextRow("0", "g", "on tac")),
        (PairRow("0", "g", "no cat", "", "neutral"), PairRow("0", "g", "on tac", "", "neutral")),
        (ChoiceRow("0", "g", "no", ("cat", "on"), 1), ChoiceRow("0", "g", "on", ("tac", "no"), 1)),
        (NORMANS, SpanRow("7", "p1", "ohw emac", "neht emac eht snamroN revo", (Answer("eht snamroN", 10),))),
        (replace(NORMANS, answers=()), SpanRow("7", "p1", "ohw emac", "neht emac eht snamroN revo", ())),
        (replace(NORMANS, answers=None), SpanRow("7", "p1", "ohw emac", "neht emac eht snamroN revo", None)),
    ],
)
def test_every_text_is_translated_and_nothing_else_changes(row: Row, expected: Row) -> None:
    counts: Counter[str] = Counter()
    assert translated(row, backwards, counts) == expected
    assert counts.total() == 0


@given(CONTEXTS, st.data())
def test_every_span_is_where_it_says(words: list[str], data: st.DataObject) -> None:
    context = " ".join(words)
    start = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(start + 1, len(context)))
    row = SpanRow("0", "0", "who", context, (Answer(context[start:end], start), Answer(words[0], 0)))
    result = translated(row, lambda text: backwards(text).upper() if text == context else backwards(text), Counter())
    assert isinstance(result, SpanRow)
    assert result.answers
    assert all(result.context[one.start : one.start + len(one.text)] == one.text for one in result.answers)


def test_a_row_is_dropped_and_counted_when_none_of_its_answers_is_found() -> None:
    counts: Counter[str] = Counter()
    assert translated(NORMANS, lambda text: {"the Normans": "xx"}.get(text, text), counts) is None
    assert counts == {"dropped: no answer is in the translated context": 1}
    two = replace(NORMANS, answers=(*(NORMANS.answers or ()), Answer("over", 22)))
    result = translated(two, lambda text: {"the Normans": "xx"}.get(text, text), counts)
    assert isinstance(result, SpanRow)
    assert result.answers == (Answer("over", 22),)
    assert counts["answers not found, of rows with others"] == 1


def test_an_empty_translation_drops_the_row_and_choices_that_became_alike_are_counted() -> None:
    counts: Counter[str] = Counter()
    assert translated(PairRow("0", "0", "a", "b", None), lambda text: "" if text == "b" else text, counts) is None
    row = ChoiceRow("0", "0", "where", ("bank", "bench"), 0)
    assert translated(row, lambda text: "Bank", counts) == ChoiceRow("0", "0", "Bank", ("Bank", "Bank"), 0)
    assert counts == {"dropped: a translation is empty": 1, "right choice reads like another": 1}
    with pytest.raises(TypeError, match="TaggedRow"):
        texts_of(TaggedRow("0", "0", ("a",), ("DET",)))
