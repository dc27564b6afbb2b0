"""Every text is translated once and whole: cutting loses nothing, and no piece is longer than the model can take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.translate.batches import pieces_of, plan

TEXTS = st.text(st.sampled_from("ab. ,\n?"), max_size=80)


def bare(text: str) -> str:
    """The text without its spaces."""
    return "".join(text.split())


@given(TEXTS, st.integers(1, 30))
def test_cutting_loses_nothing_and_leaves_no_long_or_blank_piece(text: str, limit: int) -> None:
    pieces = pieces_of(text, len, limit)
    assert bare("".join(pieces)) == bare(text)
    assert all(0 < len(piece) <= limit and piece == piece.strip() for piece in pieces)


def test_a_text_is_cut_after_sentences_then_clauses_then_words() -> None:
    text = 'He came late. "Why?" she asked. Nobody knew it, not even he.'
    assert pieces_of(text, len, 40) == ['He came late. "Why?" she asked.', "Nobody knew it, not even he."]
    assert pieces_of(text, len, 20) == ["He came late.", '"Why?" she asked.', "Nobody knew it,", "not even he."]
    assert pieces_of("supercalifragilistic word", len, 12) == ["supercalif", "ragilistic", "word"]
    assert pieces_of("abc", lambda text: 5 * len(text), 2) == ["a", "b", "c"], "a character is not cut for ever"


SOME = [
    *("A man sleeps.", "He is tired", "A man sleeps.", "", "Where? There, in the big house.", "here", "He is tired"),
    *("there", "  here "),
]


@given(st.permutations(SOME), st.integers(5, 40), st.integers(1, 5))
def test_every_different_piece_is_in_one_batch_once_the_longest_first(
    texts: list[str], limit: int, batch_size: int
) -> None:
    planned = plan(texts, len, limit, batch_size)
    flat = [piece for batch in planned.batches for piece in batch]
    assert sorted(flat) == sorted({piece for some in planned.pieces.values() for piece in some})
    assert [len(piece) for piece in flat] == sorted(map(len, flat), reverse=True)
    assert {len(batch) for batch in planned.batches[:-1]} <= {batch_size}
    assert planned.batches == plan(SOME, len, limit, batch_size).batches


def test_pieces_meet_again_with_a_space_where_the_language_has_spaces() -> None:
    planned = plan(["One two. Three four.", " "], len, 12, 1)
    upper = {piece: piece.upper() for batch in planned.batches for piece in batch}
    assert planned.join("One two. Three four.", upper, "de") == "ONE TWO. THREE FOUR."
    assert planned.join("One two. Three four.", upper, "zh") == "ONE TWO.THREE FOUR."
    assert planned.join(" ", upper, "de") == " "
