"""From a model's outputs to the columns that are added to the input's: what they are called, hold, and are in Arrow.

    family        columns
    sequence      label, probability, probabilities {label: p}
    regression    value
    multilabel    labels (those from the threshold up), probabilities {label: p}, each a yes or no of its own
    choice        choice (from 0), choice_text, probability, probabilities [p]
    token         tags, probabilities [p of the tag]; words, where the input has text; with a top, [{tag: p}]
    span          answer, score, start, end (characters of the context; none for no answer); with a top, answers

``logits`` come on top of these where they are asked for. Numbers have six significant digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dist_stilts.apply.answers import Answer, best_answers
from dist_stilts.conventions import JsonObject
from dist_stilts.tasks.spec import ChoiceRow, Row, SpanRow, TaggedRow

OURS = "predicted_"
"""Stands before the name of a column of ours if the input has one of that name."""


@dataclass(frozen=True)
class Wish:
    """What the user wants to see.

    Attributes:
        top: how many labels, or answers, best first; None = all labels, one answer.
        logits: the raw outputs, too.
        threshold: multilabel only: the least probability of a label that is given.
        no_answer: span only: a question may have no answer.
    """

    top: int | None = None
    logits: bool = False
    threshold: float = 0.5
    no_answer: bool = False


@dataclass(frozen=True)
class Shape:
    """What is added to every row of the input.

    Attributes:
        labels: names of the outputs, in id order.
        words: tagging only: whether the words are given, since the input has text.
    """

    family: str
    labels: tuple[str, ...]
    wish: Wish
    words: bool = False

    def names(self) -> list[str]:
        """Our columns, before any clash."""
        listed = "answers" if self.wish.top else ""
        columns = {
            "sequence": "label probability probabilities",
            "regression": "value",
            "multilabel": "labels probabilities",
            "choice": "choice choice_text probability probabilities",
            "token": f"{'words ' if self.words else ''}tags probabilities",
            "span": f"answer score start end {listed}",
        }[self.family].split()
        return [*columns, *(["logits"] if self.wish.logits and self.family not in ("regression", "span") else [])]

    def row(self, row: Row, found: Any) -> JsonObject:
        """Our columns of one row.

        Args:
            found: ``[outputs]`` or ``[choices]`` logits; of a tagged row ``[words, tags]``; of a question
                ``[windows, 1 + 3 n_best]``, see :func:`dist_stilts.apply.answers.best_answers`.
        """
        made: JsonObject = _MAKERS[self.family](self, row, found)
        return made

    def types(self) -> dict[str, Any]:
        """The Arrow types of our columns."""
        import pyarrow as pa

        number, by_label = pa.float64(), pa.struct([(label, pa.float64()) for label in self.labels])
        answer = [("answer", pa.string()), ("score", number), ("start", pa.int64()), ("end", pa.int64())]
        known: dict[str, Any] = {
            **dict(answer),
            "label": pa.string(),
            "probability": number,
            "value": number if len(self.labels) < 2 else by_label,
            "labels": pa.list_(pa.string()),
            "choice": pa.int64(),
            "choice_text": pa.string(),
            "words": pa.list_(pa.string()),
            "tags": pa.list_(pa.string()),
            "answers": pa.list_(pa.struct(answer)),
            "probabilities": by_label,
            "logits": by_label,
        }
        if self.family == "choice":
            known |= {"probabilities": pa.list_(number), "logits": pa.list_(number)}
        if self.family == "token":
            known |= {"probabilities": pa.list_(by_label if self.wish.top else number), "logits": pa.list_(by_label)}
        return {name: known[name] for name in self.names()}


def our_names(columns: Sequence[str], taken: Sequence[str]) -> dict[str, str]:
    """What our columns are called beside those of the input: none of these is lost."""
    names: dict[str, str] = {}
    for column in columns:
        name = column
        while name in taken:
            name = OURS + name
        names[column] = name
    return names


def _sequence(shape: Shape, _row: Row, logits: np.ndarray) -> JsonObject:
    probabilities = softmax(logits)
    best = int(logits.argmax())
    made = {"label": shape.labels[best], "probability": _short(probabilities[best])}
    return made | _by_label(shape, probabilities, logits)


def _regression(shape: Shape, _row: Row, logits: np.ndarray) -> JsonObject:
    values = [_short(value) for value in logits]
    return {"value": values[0] if len(values) == 1 else dict(zip(shape.labels, values, strict=True))}


def _multilabel(shape: Shape, _row: Row, logits: np.ndarray) -> JsonObject:
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    given = [label for label, p in zip(shape.labels, probabilities, strict=True) if p >= shape.wish.threshold]
    return {"labels": given} | _by_label(shape, probabilities, logits)


def _choice(shape: Shape, row: Row, logits: np.ndarray) -> JsonObject:
    assert isinstance(row, ChoiceRow)
    probabilities, best = softmax(logits), int(logits.argmax())
    made: JsonObject = {"choice": best, "choice_text": row.choices[best], "probability": _short(probabilities[best])}
    made["probabilities"] = [_short(value) for value in probabilities]
    return made | ({"logits": [_short(value) for value in logits]} if shape.wish.logits else {})


def _token(shape: Shape, row: Row, logits: np.ndarray) -> JsonObject:
    assert isinstance(row, TaggedRow)
    probabilities, best = softmax(logits), logits.argmax(1)
    made: JsonObject = {"words": list(row.words)} if shape.words else {}
    made["tags"] = [shape.labels[tag] for tag in best]
    if shape.wish.top:
        made["probabilities"] = [_named(shape, values, shape.wish.top) for values in probabilities]
    else:
        made["probabilities"] = [_short(values[tag]) for values, tag in zip(probabilities, best, strict=True)]
    return made | ({"logits": [_named(shape, values) for values in logits]} if shape.wish.logits else {})


def _span(shape: Shape, row: Row, windows: np.ndarray) -> JsonObject:
    assert isinstance(row, SpanRow)
    found = best_answers(row.context, windows, shape.wish.no_answer, max(1, shape.wish.top or 1))
    made = _answer(found[0])
    return made | ({"answers": [_answer(answer) for answer in found]} if shape.wish.top else {})


def _answer(answer: Answer) -> JsonObject:
    score = _short(answer.score) if np.isfinite(answer.score) else None
    return {"answer": answer.text, "score": score, "start": answer.start, "end": answer.end}


def _by_label(shape: Shape, probabilities: np.ndarray, logits: np.ndarray) -> JsonObject:
    made: JsonObject = {"probabilities": _named(shape, probabilities, shape.wish.top)}
    return made | ({"logits": _named(shape, logits)} if shape.wish.logits else {})


def _named(shape: Shape, values: np.ndarray, top: int | None = None) -> dict[str, float]:
    """Values by label: all in id order, or the highest, best first."""
    order = range(len(values)) if top is None else np.argsort(-values, kind="stable")[:top]
    return {shape.labels[number]: _short(values[number]) for number in order}


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis, float64."""
    if not logits.size:
        return logits.astype(np.float64)
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    whole: np.ndarray = shifted / shifted.sum(-1, keepdims=True)
    return whole


def _short(value: Any) -> float:
    return float(f"{value:.6g}")


_MAKERS: dict[str, Any] = {
    "sequence": _sequence,
    "regression": _regression,
    "multilabel": _multilabel,
    "choice": _choice,
    "token": _token,
    "span": _span,
}
