"""Questions over contexts of any length: each context is read through overlapping windows, one feature row per window.

Offsets are counted in characters of the context, so answers need no spaces around them. The protocol is that of SQuAD's
BERT baseline (Devlin et al. 2019) as XTREME runs it: windows of 384 tokens that start every 128, questions cut at 64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dist_stilts.errors import UserError
from dist_stilts.families.encoding import FeatureRow, Marks, QaLengths, feature_row
from dist_stilts.tasks.spec import Answer, SpanRow

NOWHERE = (-1, -1)
"""Offsets of a token that is not of the context."""


@dataclass(frozen=True)
class _Context:
    """A tokenised context: ids and the characters ``[start, end)`` of each token."""

    ids: list[int]
    spans: list[tuple[int, int]]

    def tokens_of(self, answer: Answer) -> tuple[int, int] | None:
        """First and last token that the answer touches, if any does."""
        end = answer.start + len(answer.text)
        touched = [n for n, (start, stop) in enumerate(self.spans) if start < end and stop > answer.start]
        return (touched[0], touched[-1]) if touched else None


def windows(rows: Sequence[SpanRow], tokenizer: Any, qa: QaLengths) -> Iterator[FeatureRow]:
    """Turn questions into feature rows, in order; labels point to the first gold answer if the window holds all of it.

    Raises:
        UserError: no room is left for the context.
    """
    contexts = _tokenised(list(dict.fromkeys(row.context for row in rows)), tokenizer)
    questions = tokenizer([row.question.strip() for row in rows], add_special_tokens=False)["input_ids"]
    marks = Marks.of(tokenizer)
    for number, (row, whole) in enumerate(zip(rows, questions, strict=True)):
        question, context = whole[: qa.max_question], contexts[row.context]
        room = qa.max_length - len(question) - tokenizer.num_special_tokens_to_add(pair=True)
        if room < 1:
            raise UserError(
                f"windows of {qa.max_length} tokens have no room beside questions of {qa.max_question}",
                fix="Raise data.qa.max_length or lower data.qa.max_question",
            )
        answer = context.tokens_of(row.answers[0]) if row.answers else None
        lost = len(whole) - len(question)
        for start in _starts(len(context.ids), room, qa.stride):
            yield _window(row, number, question, context, range(start, start + room), answer, marks, lost)
            lost = 0  # the question is cut once, however many windows it is asked of


def _tokenised(texts: list[str], tokenizer: Any) -> dict[str, _Context]:
    encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
    pairs = zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True)
    return {text: _Context(ids, [_trimmed(text, *span) for span in spans]) for text, ids, spans in pairs}


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A token's characters without the space in front, which some tokenizers count in."""
    while start < end and text[start].isspace():
        start += 1
    return start, end


def _starts(tokens: int, room: int, stride: int) -> range:
    """Where windows start: none begins after one that reached the end, none leaves a gap."""
    return range(0, max(1, tokens - room + min(stride, room)), min(stride, room))


def _window(
    row: SpanRow,
    number: int,
    question: list[int],
    context: _Context,
    shown: range,
    answer: tuple[int, int] | None,
    marks: Marks,
    lost: int,
) -> FeatureRow:
    ids, spans = context.ids[shown.start : shown.stop], context.spans[shown.start : shown.stop]
    first = marks.first + len(question)
    offsets = [*[NOWHERE] * first, *spans, *[NOWHERE] * len(marks.pair[2])]
    labels: tuple[int, ...] = ()
    if row.answers is not None:
        inside = answer is not None and answer[0] in shown and answer[1] in shown
        labels = tuple(first + token - shown.start for token in answer) if answer and inside else (0, 0)
    flat = [character for span in offsets for character in span]
    segment = marks.join_pair(question, ids)
    second = [first if marks.typed else len(segment)]
    return feature_row(row, number, [segment], labels, second=second, offsets=flat, truncated=lost)
