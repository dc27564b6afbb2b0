"""Extractive question answering: where in a window of the context the answer starts and ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from dist_stilts.families.answers import answer_scores
from dist_stilts.families.best_spans import best_spans
from dist_stilts.families.encoding import Encoding, FeatureRow
from dist_stilts.families.family import Arrays, Batch, Family, Say
from dist_stilts.families.features import Features
from dist_stilts.families.score import Decoding, Score
from dist_stilts.families.translated_answers import find_answer, middle
from dist_stilts.families.windows import windows
from dist_stilts.tasks.spec import IGNORED, Row, SpanRow, TaskSpec


class QuestionAnswering(Family):
    name = "span"
    auto_class = "AutoModelForQuestionAnswering"
    reads = "tokens"
    pipeline_tag = "question-answering"
    windowed = True
    one_sequence = False
    prediction_suffix = "json"
    prediction_dtype = np.float64

    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """A window's loss is the mean of those of its start and end."""
        return cross_entropy(logits, batch["labels"], ignore_index=IGNORED, reduction="sum") / 2

    def encode(self, rows: Sequence[SpanRow], tokenizer: Any, how: Encoding) -> Iterator[FeatureRow]:
        """A context is read through several windows, each a row."""
        yield from windows(rows, tokenizer, how.qa)

    def collate(self, features: Features, rows: Sequence[int] | np.ndarray, lengths: Sequence[np.ndarray]) -> Arrays:
        labels = [features.labels[row] for row in rows]
        return {"labels": np.array([label if len(label) else [IGNORED] * 2 for label in labels], np.int64)}

    def strata(self, features: Features) -> list[int]:
        """Whether a question has its answer: any of its windows may hold it, the first need not."""
        answered = {int(features.example[row]) for row in range(len(features)) if features.labels[row].any()}
        return [int(example in answered) for example in np.unique(features.example).tolist()]

    def alike(self, spec: TaskSpec, features: Features, rows: np.ndarray) -> str | None:
        answered = any(features.labels[row].any() for row in rows)
        return None if answered else "no answer stands in a window of its training rows"

    def gold_lines(self, spec: TaskSpec, features: Features, row: int, tokenizer: Any) -> list[str]:
        if not len(features.labels[row]):
            return []
        first, last = features.labels[row]
        answer = tokenizer.decode(features.input_ids[row][first : last + 1]) if first else "(not in this window)"
        return [f"    answer  {answer} (tokens {first} to {last})"]

    def shape(self, spec: TaskSpec, decoding: Decoding) -> tuple[int, ...]:
        return (1 + 3 * decoding.n_best,)

    def decode(self, logits: torch.Tensor, features: Features, rows: np.ndarray, decoding: Decoding) -> np.ndarray:
        """The best answers in each window: ``[windows, 1 + 3 n_best]`` float64 as of :func:`best_spans`, but with the
        first character of each answer and the one after its last in the place of tokens."""
        offsets = np.full((len(rows), logits.shape[1], 2), -1)
        for place, row in enumerate(rows):
            offsets[place, : len(features.offsets[row]) // 2] = features.offsets[row].reshape(-1, 2)
        context = torch.from_numpy(offsets[..., 0] >= 0).to(logits.device)
        found = best_spans(logits, context, decoding.n_best, decoding.longest)
        return _in_characters(found.cpu().numpy(), offsets)

    def places(self, features: Features, rows: np.ndarray) -> np.ndarray:
        return rows

    def predictions(self, features: Features) -> int:
        return len(features)

    def score(
        self,
        spec: TaskSpec,
        language: str,
        features: Features,
        predicted: np.ndarray,
        rows: Callable[[], Sequence[Row]],
    ) -> Score:
        return answer_scores(spec, language, cast("Sequence[SpanRow]", rows()), features, predicted)

    def texts(self, row: SpanRow) -> tuple[str, ...]:
        return row.question, row.context

    def to_translate(self, row: SpanRow) -> tuple[str, ...]:
        return row.context, row.question, *(answer.text for answer in row.answers or ())

    def translated(self, row: SpanRow, say: Say, counts: Counter[str]) -> Row | None:
        context, answers = say(row.context), row.answers
        if answers:
            found = [find_answer(context, say(answer.text), middle(answer, row.context)) for answer in answers]
            answers = tuple(answer for answer in found if answer)
            if not answers:
                counts["dropped: no answer is in the translated context"] += 1
                return None
            counts["answers not found, of rows with others"] += len(found) - len(answers)
        return replace(row, question=say(row.question), context=context, answers=answers)


def _in_characters(found: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    spans = found[:, 1:].reshape(len(found), -1, 3)
    real = np.isfinite(spans[..., 2])
    tokens = np.where(real[..., None], spans[..., :2], 0).astype(np.int64)
    window = np.arange(len(found))[:, None]
    first = np.where(real, offsets[window, tokens[..., 0], 0], 0)
    after = np.where(real, offsets[window, tokens[..., 1], 1], 0)
    spans = np.stack([first, after, spans[..., 2]], axis=2)
    return np.concatenate([found[:, :1], spans.reshape(len(found), -1)], axis=1)
