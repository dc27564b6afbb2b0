from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.scoring import spans
from dist_stilts.scoring.spans import normalise_mlqa, normalise_squad, squad_scores, squad_v2_scores, token_f1

ANSWERS = st.text(alphabet="abcthe .,-АбÜ中国ال؟", max_size=12)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Cat,\tan_apple!", "cat anapple"),
        ("A.B.C.", "abc"),
        ("theatre", "theatre"),
        ("Über «Köln»", "über «köln»"),
        ("der Hund", "der hund"),
        ("北京、上海", "北京、上海"),
        ("the", ""),
    ],
)
def test_squad_takes_out_ascii_punctuation_and_english_articles_only(text: str, normal: str) -> None:
    assert normalise_squad(text) == normal


@pytest.mark.parametrize(
    ("language", "text", "normal"),
    [
        ("en", "The “Big” Apple—an idea", "big applean idea"),
        ("de", "Die «Köln-Bonner» Eisenbahn, des Königs", "kölnbonner eisenbahn königs"),
        ("es", "¿La Mancha, unos molinos?", "mancha molinos"),
        ("vi", "Là những con mèo của tôi.", "con mèo tôi"),
        ("hi", "नई दिल्ली।  है", "नई दिल्ली है"),
        ("ar", "القاهرة، مصر", "قاهرة مصر"),
        ("zh", "《红楼梦》和iPhone 15", "红 楼 梦 和 iphone 15"),
        ("ar", "والكتاب خالد", "و كتاب خ د"),  # words are split at the article's letters
        ("zh", "東京タワー", "東 京 タワー"),
        ("en", "东京", "东京"),  # only Chinese is split by characters
    ],
)
def test_mlqa_takes_out_each_languages_own_articles_and_all_punctuation(language: str, text: str, normal: str) -> None:
    assert normalise_mlqa(text, language) == normal


def test_nothing_to_score_and_other_languages_for_which_mlqa_has_no_rule_are_errors() -> None:
    with pytest.raises(ValueError, match=r"knows en, ar, de, es, hi, vi, zh, not 'fr'"):
        normalise_mlqa("le chat", "fr")
    with pytest.raises(ValueError, match="not 'fr'"):
        squad_scores({"q": "x"}, {"q": ["x"]}, "fr")
    with pytest.raises(ValueError, match="no questions"):
        squad_scores({}, {})
    with pytest.raises(ValueError, match="no questions"):
        squad_v2_scores({"q": "x"}, {})
    with pytest.raises(ValueError, match="question 'q' has no gold answer"):
        squad_scores({"q": "x"}, {"q": []})


def test_f1_counts_repeated_tokens() -> None:
    # Two of three predicted tokens, two of two gold tokens: 2 * (2/3) * 1 / (2/3 + 1).
    assert token_f1("red red blue", "red red") == pytest.approx(0.8)
    assert token_f1("red blue", "red red") == pytest.approx(0.5)
    assert token_f1("green", "red") == 0.0


@pytest.mark.parametrize(
    ("prediction", "gold", "language", "em", "f1"),
    [
        # The best gold answer counts for each measure by itself.
        ("the red car", ["car", "red car today", "Red car!"], None, 1.0, 1.0),
        ("red car", ["car", "red car today"], None, 0.0, 0.8),
        ("红楼", ["红楼梦"], None, 0.0, 0.0),
        ("红楼", ["红楼梦"], "zh", 0.0, 0.8),
        # An answer without tokens matches exactly but has no F1.
        ("The", ["the"], None, 1.0, 0.0),
        ("", [""], None, 1.0, 0.0),
        ("--", ["—"], "en", 1.0, 0.0),
    ],
)
def test_scores_of_one_question(prediction: str, gold: list[str], language: str | None, em: float, f1: float) -> None:
    found = squad_scores({"q": prediction}, {"q": gold}, language)
    assert found == {"exact_match": em, "f1": pytest.approx(f1)}


def test_a_question_without_prediction_counts_zero_and_a_stray_prediction_nothing() -> None:
    gold, half = {"a": ["Paris"], "b": ["Rome"]}, {"exact_match": 0.5, "f1": 0.5}
    assert squad_scores({"a": "paris", "stray": "x"}, gold) == half
    answered = {f"has_answer_{name}": value for name, value in half.items()}
    assert squad_v2_scores({"a": "paris", "stray": "x"}, gold) == half | answered


def test_squad_v2_scores_the_two_kinds_of_question_apart_and_takes_an_article_for_no_answer() -> None:
    gold = {"a": ["Paris", "in Paris"], "b": ["Rome"], "c": [], "d": []}
    predictions = {"a": "in Paris, France", "b": "", "c": "", "d": "Oslo"}
    # a: F1 of "in paris france" with "in paris" is 0.8; b and d are wrong, c is right.
    answered, unanswered = (0.0, 0.4), (0.5, 0.5)
    expected = {"exact_match": 0.25, "f1": 0.45}
    for kind, scores in (("has", answered), ("no", unanswered)):
        expected |= dict(zip((f"{kind}_answer_exact_match", f"{kind}_answer_f1"), scores, strict=True))
    assert squad_v2_scores(predictions, gold) == pytest.approx(expected)
    assert squad_v2_scores({"q": "the"}, {"q": []})["f1"] == 1.0
    # A gold answer that normalises to nothing is none, though its question counts as answerable.
    scores = squad_v2_scores({"q": ""}, {"q": ["The", "!"]})
    assert scores["f1"] == scores["has_answer_f1"] == 1.0
    assert squad_v2_scores({"q": ""}, {"q": ["The", "cat"]})["f1"] == 0.0


@given(text=ANSWERS, language=st.sampled_from(spans.MLQA_LANGUAGES))
def test_normalising_leaves_single_spaces_and_nothing_to_lower_or_strip(text: str, language: str) -> None:
    for normal in (normalise_squad(text), normalise_mlqa(text, language)):
        assert normal == " ".join(normal.split()) == normal.lower()


@given(texts=st.lists(ANSWERS, min_size=1, max_size=3), language=st.none() | st.sampled_from(spans.MLQA_LANGUAGES))
def test_a_gold_answer_as_prediction_scores_one_if_it_has_a_token(texts: list[str], language: str | None) -> None:
    first = texts[0]
    scores = squad_scores({"q": first}, {"q": texts}, language)
    normal = normalise_mlqa(first, language) if language else normalise_squad(first)
    assert scores["exact_match"] == 1.0
    assert scores["f1"] == (1.0 if normal else 0.0)


@given(prediction=ANSWERS, texts=st.lists(ANSWERS, min_size=1, max_size=4))
def test_the_score_is_the_maximum_over_gold_answers(prediction: str, texts: list[str]) -> None:
    scores = squad_scores({"q": prediction}, {"q": texts})
    assert scores["exact_match"] == max(spans.exact_match(prediction, text) for text in texts)
    assert scores["f1"] == max(token_f1(prediction, text) for text in texts)


@given(left=ANSWERS, right=ANSWERS)
def test_f1_is_symmetric_and_between_zero_and_one(left: str, right: str) -> None:
    assert 0.0 <= token_f1(left, right) == token_f1(right, left) <= 1.0
