"""From the best spans of every window to the answers of every question, and their scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from dist_stilts.errors import UserError
from dist_stilts.families.features import Features
from dist_stilts.families.score import Score, outcomes
from dist_stilts.scoring.classify import degenerate_reason
from dist_stilts.scoring.spans import squad_scores, squad_v2_scores
from dist_stilts.tasks.spec import SpanRow, TaskSpec

N_BEST = "n_best.json"
"""Suffix of the best answers to each question with their scores, which stand beside the predictions."""
Candidate = tuple[str, float]
"""An answer and its score; the empty answer is "there is none"."""


def answer_scores(
    spec: TaskSpec, language: str, rows: Sequence[SpanRow], features: Features, found: np.ndarray
) -> Score:
    """Rank the answers of a split, and score them unless gold is withheld.

    Args:
        rows: the questions that ``features`` were made from.
        found: the best answers in each window, see :meth:`dist_stilts.families.span.QuestionAnswering.decode`.

    Raises:
        UserError: a language that MLQA's scorer does not know; questions without answers where all have one.
    """
    n_best = found.shape[1] // 3
    ranked = {
        row.id: rank(row.context, found[first:last], spec.no_answer, n_best)
        for row, (first, last) in zip(rows, _windows(features), strict=True)
    }
    best = {key: candidates[0][0] for key, candidates in ranked.items()}
    empty = [int(not text) for text in best.values()]
    # Where every question has an answer, always giving one is as it should be.
    collapsed = degenerate_reason(empty, 2) if spec.no_answer or sum(empty) > len(empty) / 2 else None
    collapsed = collapsed and f"class 1 = no answer: {collapsed}"
    beside = {N_BEST: _json(_named(ranked)) + "\n"}
    if all(row.answers is None for row in rows):
        return Score({spec.metric: None}, [_json(best)], 0, collapsed, beside)
    beside |= outcomes(cast("float", _values(spec, language, best, [row])["em_and_f1"]) for row in rows)
    return Score(_values(spec, language, best, rows), [_json(best)], len(rows), collapsed, beside)


def _values(spec: TaskSpec, language: str, best: dict[str, str], rows: Sequence[SpanRow]) -> dict[str, float | None]:
    gold = {row.id: [answer.text for answer in row.answers or ()] for row in rows}
    try:
        official = (spec.name == "mlqa" and language) or None
        values = squad_v2_scores(best, gold) if spec.no_answer else squad_scores(best, gold, official)
    except ValueError as error:
        raise UserError(f"{spec.name} in '{language}' cannot be scored: {error}") from error
    return {**values, "em_and_f1": (values["exact_match"] + values["f1"]) / 2}


def rank(context: str, windows: np.ndarray, may_be_empty: bool, n_best: int) -> list[Candidate]:
    """The best answers to one question from all windows of its context, best first, each text once.

    No answer scores as low as the window that is least sure of it (SQuAD 2.0's BERT baseline, Devlin et al. 2019).
    """
    spans = windows[:, 1:].reshape(-1, 3)
    spans = spans[np.isfinite(spans[:, 2])]
    candidates = [(context[int(start) : int(end)].strip(), float(score)) for start, end, score in spans]
    if may_be_empty or not candidates:
        candidates.append(("", float(windows[:, 0].min())))
    best: dict[str, float] = {}
    for text, score in sorted(candidates, key=lambda candidate: -candidate[1]):
        if text or may_be_empty or len(candidates) == 1:
            best.setdefault(text, score)
    return list(best.items())[:n_best] or [("", float("-inf"))]


def _windows(features: Features) -> list[tuple[int, int]]:
    """First window and the one after the last of every question; they follow each other."""
    ends = np.cumsum(np.bincount(features.example))
    return list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))


def _named(ranked: dict[str, list[Candidate]]) -> dict[str, Any]:
    return {
        key: [{"text": text, "score": round(score, 4)} for text, score in candidates]
        for key, candidates in ranked.items()
    }


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
