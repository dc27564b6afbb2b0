"""The best answers to a question, with their places in the context."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Answer:
    """An answer and where it stands: ``context[start:end] == text``; the empty one, "there is none", stands nowhere."""

    text: str
    score: float
    start: int | None = None
    end: int | None = None


def best_answers(context: str, windows: np.ndarray, may_be_empty: bool, count: int) -> list[Answer]:
    """The best answers from all windows of a context, best first, each text once, where it scores best.

    They are those that evaluation ranks (:func:`dist_stilts.families.answers.rank`), and their places.

    Args:
        windows: ``[windows, 1 + 3 n_best]``: the score of no answer, then first character, the one after the last, and
            score of each span.
        may_be_empty: whether a question may have no answer.
    """
    spans = windows[:, 1:].reshape(-1, 3)
    spans = spans[np.isfinite(spans[:, 2])]
    candidates = [_trimmed(context, int(start), int(end), float(score)) for start, end, score in spans]
    if may_be_empty or not candidates:
        candidates.append(Answer("", float(windows[:, 0].min())))
    best: dict[str, Answer] = {}
    for answer in sorted(candidates, key=lambda answer: -answer.score):
        if answer.text or may_be_empty or len(candidates) == 1:
            best.setdefault(answer.text, answer)
    return list(best.values())[:count] or [Answer("", float("-inf"))]


def _trimmed(context: str, start: int, end: int, score: float) -> Answer:
    """A span without the blanks at its ends."""
    text = context[start:end]
    left = len(text) - len(text.lstrip())
    text = text.strip()
    return Answer(text, score, start + left, start + left + len(text)) if text else Answer("", score)
