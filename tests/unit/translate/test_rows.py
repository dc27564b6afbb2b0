"""A translated row keeps id, group and gold; what is lost is counted; a gold span is always a part of its context."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.families.kinds import KINDS
from dist_stilts.families.translated_answers import find_answer, middle
from dist_stilts.tasks.files import locate, read_whole
from dist_stilts.tasks.rows_json import ROW_TYPES
from dist_stilts.tasks.spec import Answer, ChoiceRow, PairRow, Row, SpanRow, TaggedRow, TextRow
from dist_stilts.translate.rows import translated as translated_row

WORDS = st.sampled_from(["the", "The", "cat", "cat.", "sat", "on", "a-mat", "NATO", "5", "is"])
CONTEXTS = st.lists(WORDS, min_size=1, max_size=12)
NORMANS = SpanRow("7", "p1", "who came", "then came the Normans over", (Answer("the Normans", 10),))


def translated(row: Row, say: Callable[[str], str], counts: Counter[str]) -> Any:
    (kind,) = [KINDS[name] for name, row_type in ROW_TYPES.items() if type(row) is row_type]
    return translated_row(kind, row, say, counts)


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
    assert result.answers
    assert all(result.context[one.start : one.start + len(one.text)] == one.text for one in result.answers)


def test_rows_are_dropped_and_counted_whose_answers_are_not_found_or_texts_are_empty() -> None:
    counts: Counter[str] = Counter()
    assert translated(NORMANS, lambda text: {"the Normans": "xx"}.get(text, text), counts) is None
    assert counts == {"dropped: no answer is in the translated context": 1}
    two = replace(NORMANS, answers=(*NORMANS.answers, Answer("over", 22)))
    result = translated(two, lambda text: {"the Normans": "xx"}.get(text, text), counts)
    assert result.answers == (Answer("over", 22),)
    assert counts["answers not found, of rows with others"] == 1
    counts.clear()
    assert translated(PairRow("0", "0", "a", "b", None), lambda text: "" if text == "b" else text, counts) is None
    row = ChoiceRow("0", "0", "where", ("bank", "bench"), 0)
    assert translated(row, lambda text: "Bank", counts) == ChoiceRow("0", "0", "Bank", ("Bank", "Bank"), 0)
    assert counts == {"dropped: a translation is empty": 1, "right choice reads like another": 1}
    with pytest.raises(TypeError, match="TaggedRow"):
        translated(TaggedRow("0", "0", ("a",), ("DET",)), backwards, counts)


TEXTS = st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from("aAßéİ .,'-ﬁ北京हि"), max_size=40)


@given(TEXTS, TEXTS, st.floats(0, 1))
def test_what_is_found_is_a_part_of_the_context(context: str, answer: str, place: float) -> None:
    found = find_answer(context, answer, place)
    if found is not None:
        assert found.text
        assert context[found.start : found.start + len(found.text)] == found.text


@given(TEXTS, TEXTS.filter(str.strip), TEXTS, st.floats(0, 1))
def test_what_is_there_word_for_word_is_found(before: str, answer: str, after: str, place: float) -> None:
    found = find_answer(before + answer + after, answer, place)
    assert found is not None
    assert found.text == answer.strip()


@given(TEXTS.filter(lambda text: any(map(str.isalnum, text))))
def test_case_punctuation_and_spacing_hide_no_answer(answer: str) -> None:
    assert find_answer(f"«{answer.upper()}», so", f" {answer.upper().casefold()}.", 0) is not None


@pytest.mark.parametrize(
    ("context", "answer", "place", "text", "start"),
    [
        ("Die Normannen kamen.", "Normannen", 0.5, "Normannen", 4),
        ("Die Normannen kamen.", "die normannen.", 0.5, "Die Normannen", 0),
        ("Im Jahr 1.066 kam er", "1 066", 0.5, "1.066", 8),
        ("New-York liegt am Meer", "new york", 0, "New-York", 0),
        ("Er wohnt in der STRASSE", "Straße", 1, "STRASSE", 16),
        ("Er wohnt in der Straße", "STRASSE", 1, "Straße", 16),
        ("全角１９４５年", "1945", 0, "１９４５", 2),
        # the nearest of several
        ("ja nein ja nein ja", "ja", 0.5, "ja", 8),
        ("ja nein ja nein ja", "ja", 0.9, "ja", 16),
        # a whole word goes before a nearer part of one
        ("Berlin, in Preußen", "in", 0.2, "in", 8),
        ("1950 waren es 5", "5", 0, "5", 14),
        ("Ankara'da ve Ankarada", "Ankara", 1, "Ankara", 0),
        # but a part of a word is better than nothing, and scripts without spaces have no other
        ("Helsingissä satoi", "Helsing", 0, "Helsing", 0),
        ("我在北京住，北京，好", "北京", 0.3, "北京", 2),
        # a vowel sign belongs to its word
        ("हिन्दी हिन्द", "हिन्द", 0, "हिन्द", 7),
    ],
)
def test_known_answers(context: str, answer: str, place: float, text: str, start: int) -> None:
    assert find_answer(context, answer, place) == Answer(text, start)


@pytest.mark.parametrize("answer", ["Wikinger", "", "  ", "!", "NormannenX"])
def test_what_is_not_there_is_not_found(answer: str) -> None:
    assert find_answer("Die Normannen kamen...", answer, 0.5) is None


def test_the_middle_is_a_share_of_the_context() -> None:
    assert middle(Answer("cd", 2), "abcdef") == pytest.approx(0.5)
    assert middle(Answer("", 0), "") == 0


@pytest.mark.parametrize("language", ["ar", "de", "es", "hi", "ru", "tr", "vi", "zh"])
def test_answers_of_xquad_are_found_by_their_text_and_their_place_in_english(real_data: Path, language: str) -> None:
    """Human translations of the same paragraphs: nearly all answers stand where the English ones would lead us."""
    if not (real_data / "xquad").is_dir():
        pytest.skip("no XQuAD below the data folder")
    english, other = (xquad(real_data / "xquad", code) for code in ("en", language))
    found = [
        (find_answer(context, answer.text, middle(english[key][1], english[key][0])), answer)
        for key, (context, answer) in other.items()
    ]
    assert len(found) == 1190
    assert all(ours is not None and ours.text == gold.text for ours, gold in found)
    assert sum(ours == gold for ours, gold in found) / len(found) > 0.99


def xquad(folder: Path, language: str) -> dict[str, tuple[str, Answer]]:
    """Question id to context and first answer."""
    content = json.loads(read_whole(locate(folder, f"xquad.{language}.json")))
    return {
        question["id"]: (paragraph["context"], Answer(answer["text"], answer["answer_start"]))
        for article in content["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
        for answer in question["answers"][:1]
    }
