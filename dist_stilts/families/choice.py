"""Multiple choice: each candidate answer is read with the prompt and gets one score."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dist_stilts.families.encoding import Encoding, FeatureRow, Marks, feature_row
from dist_stilts.families.family import Arrays, Say
from dist_stilts.families.features import Features
from dist_stilts.families.sequence import OneClass
from dist_stilts.tasks.spec import ChoiceRow, Row, TaskSpec


class MultipleChoice(OneClass):
    name = "choice"
    auto_class = "AutoModelForMultipleChoice"
    reads = "choices"
    pipeline_tag = "multiple-choice"
    one_sequence = False

    def encode(self, rows: Sequence[ChoiceRow], tokenizer: Any, how: Encoding) -> Iterator[FeatureRow]:
        """The end of a prompt carries the question: what does not fit is dropped from its start."""
        room = how.max_length - tokenizer.num_special_tokens_to_add(pair=True)
        marks = Marks.of(tokenizer)
        for number, row in enumerate(rows):
            prompt = tokenizer(row.prompt, add_special_tokens=False)["input_ids"]
            segments, second, lost = [], [], 0
            for choice in tokenizer(list(row.choices), add_special_tokens=False)["input_ids"]:
                answer = choice[: room - 1]
                kept = prompt[max(0, len(prompt) + len(answer) - room) :]
                lost += len(prompt) + len(choice) - len(kept) - len(answer)
                segments.append(marks.join_pair(kept, answer))
                second.append(marks.first + len(kept) if marks.typed else len(segments[-1]))
            labels = [] if row.label is None else [row.label]
            yield feature_row(row, number, segments, labels, second=second, truncated=lost)

    def collate(self, features: Features, rows: Sequence[int] | np.ndarray, lengths: Sequence[np.ndarray]) -> Arrays:
        counts = np.array([len(row_lengths) for row_lengths in lengths])
        offsets = np.cumsum(counts) - counts
        choice = np.arange(counts.max())
        segments = np.where(choice < counts[:, None], offsets[:, None] + choice, -1)
        return {**super().collate(features, rows, lengths), "segments": segments}

    def loss_of_guessing(self, spec: TaskSpec, features: Features, rows: np.ndarray) -> float | None:
        return float(np.mean([math.log(len(features.lengths[row])) for row in rows[:1000]]))

    def texts(self, row: ChoiceRow) -> tuple[str, ...]:
        return row.prompt, *row.choices

    def translated(self, row: ChoiceRow, say: Say, counts: Counter[str]) -> Row | None:
        choices = tuple(map(say, row.choices))
        if row.label is not None and choices.count(choices[row.label]) > 1:
            counts["right choice reads like another"] += 1
        return replace(row, prompt=say(row.prompt), choices=choices)
