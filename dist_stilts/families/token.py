"""Tagging: one tag per word, predicted at its first piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch

from dist_stilts.families.encoding import Encoding, FeatureRow, Marks, feature_row
from dist_stilts.families.family import Arrays, Batch, Family, counted, main_last, named_outputs, only_one
from dist_stilts.families.features import Features
from dist_stilts.families.masking import Masking
from dist_stilts.families.score import Score, check_gold
from dist_stilts.families.sequence import class_loss_sum
from dist_stilts.scoring.classify import degenerate_reason
from dist_stilts.scoring.tagging import span_f1, token_accuracy
from dist_stilts.tasks.spec import IGNORED, UNSEEN, WITHHELD, Row, TaggedRow, TaskSpec

Stretch = tuple[list[str], list[str | None]]
"""Some words of a sentence and their tags."""


class TokenClassification(Family):
    name = "token"
    auto_class = "AutoModelForTokenClassification"
    reads = "targets"
    pipeline_tag = "token-classification"
    has_labels = True
    translatable = False  # tags are of words, and a translation has others

    def head_config(self, labels: Sequence[str]) -> dict[str, Any]:
        return named_outputs(labels)

    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        return class_loss_sum(logits, batch)

    def encode(self, rows: Sequence[TaggedRow], tokenizer: Any, how: Encoding) -> Iterator[FeatureRow]:
        """A sentence that does not fit is cut between words into several rows."""
        # Word by word: the word ids that fast XLM-R tokenizers report for whole sentences go wrong on diacritics.
        vocabulary = sorted({word for row in rows for word in row.words})
        encoded = tokenizer(vocabulary, add_special_tokens=False)["input_ids"]
        pieces = {word: ids or [tokenizer.unk_token_id] for word, ids in zip(vocabulary, encoded, strict=True)}
        number_of = {tag: number for number, tag in enumerate(how.labels)}
        room = how.max_length - tokenizer.num_special_tokens_to_add(pair=False)
        first_word, marks = 0, Marks.of(tokenizer)
        before, behind = ([IGNORED] * len(run) for run in marks.single)
        for number, row in enumerate(rows):
            for words, tags in _stretches(row, pieces, room):
                ids = [piece for word in words for piece in pieces[word][:room]]
                targets = [
                    target
                    for word, tag in zip(words, tags, strict=True)
                    for target in [WITHHELD if tag is None else number_of.get(tag, UNSEEN)]
                    + [IGNORED] * (len(pieces[word][:room]) - 1)
                ]
                labels = [*before, *targets, *behind]
                lost = sum(max(0, len(pieces[word]) - room) for word in words)
                segment = marks.join_single(ids)
                yield feature_row(row, number, [segment], labels, truncated=lost, first_word=first_word)
                first_word += len(words)

    def collate(self, features: Features, rows: Sequence[int] | np.ndarray, lengths: Sequence[np.ndarray]) -> Arrays:
        per_token = np.concatenate([features.labels[row] for row in rows]).astype(np.int64)
        targets = np.flatnonzero(per_token != IGNORED)
        return {"targets": targets, "labels": per_token[targets]}

    def targets(self, features: Features, rows: np.ndarray, masking: Masking) -> int:
        return int(sum((features.labels[row] >= 0).sum() for row in rows))

    def lacks_gold(self, features: Features) -> bool:
        return features.labels.holds(WITHHELD)

    def words(self, features: Features) -> int:
        return sum(map(_words, features.labels))

    def classes(self, spec: TaskSpec, features: Features) -> dict[str, int]:
        return counted(spec.labels, np.concatenate([np.empty(0, np.int32), *features.labels.flat]))

    def alike(self, spec: TaskSpec, features: Features, rows: np.ndarray) -> str | None:
        return only_one("tag", spec.labels, np.concatenate([features.labels[row] for row in rows]))

    def gold_lines(self, spec: TaskSpec, features: Features, row: int, tokenizer: Any) -> list[str]:
        labels, ids = features.labels[row], features.input_ids[row]
        places = np.flatnonzero(labels != IGNORED)
        marks = {UNSEEN: "(unseen)", WITHHELD: "(withheld)"}
        tags = [marks.get(label) or spec.labels[label] for label in labels[places].tolist()]
        words = [tokenizer.decode(part) for part in np.split(ids[:-1], places)[1:]]
        return ["    tags    " + "  ".join(f"{word}/{tag}" for word, tag in zip(words, tags, strict=True))]

    def places(self, features: Features, rows: np.ndarray) -> np.ndarray:
        counts = [_words(features.labels[row]) for row in rows]
        return np.concatenate([features.first_word[row] + np.arange(n) for row, n in zip(rows, counts, strict=True)])

    def predictions(self, features: Features) -> int:
        return self.words(features)

    def score(
        self,
        spec: TaskSpec,
        language: str,
        features: Features,
        predicted: np.ndarray,
        rows: Callable[[], Sequence[Row]],
    ) -> Score:
        gold = np.concatenate([labels[(labels != IGNORED) & (labels != WITHHELD)] for labels in features.labels])
        check_gold(spec.name, len(gold), len(predicted))
        # A long sentence is several rows of one example: its words follow each other, so cut where the example changes.
        words = np.array([_words(labels) for labels in features.labels])
        ends = np.cumsum(np.bincount(features.example, weights=words).astype(np.int64))[:-1]
        tags = [[spec.labels[label] for label in part] for part in np.split(predicted, ends)]
        lines = [line for sentence in tags for line in [*sentence, ""]][:-1]
        collapsed = degenerate_reason(predicted, len(spec.labels))
        if not len(gold):
            return Score({spec.metric: None}, lines, 0, collapsed)
        unseen = int((gold == UNSEEN).sum())
        if unseen:  # spans are made of all tags: those that no training row has are read again, where their names are
            gold_tags = [list(cast("TaggedRow", row).tags or ()) for row in rows()]
        else:
            gold_tags = [[spec.labels[label] for label in part] for part in np.split(gold, ends)]
        values = {"accuracy": token_accuracy(tags, gold_tags)}
        if spec.metric == "f1":
            values["f1"] = span_f1(tags, gold_tags)
        return Score(main_last(values, spec.metric), lines, len(gold), collapsed, unseen=unseen)

    def texts(self, row: TaggedRow) -> tuple[str, ...]:
        return (" ".join(row.words),)


def _words(labels: np.ndarray) -> int:
    return int((labels != IGNORED).sum())


def _stretches(row: TaggedRow, pieces: dict[str, list[int]], room: int) -> Iterator[Stretch]:
    """Cut a sentence between words into stretches that fit; most sentences are one stretch."""
    words: list[str] = []
    tags: list[str | None] = []
    used = 0
    for word, tag in zip(row.words, row.tags or [None] * len(row.words), strict=True):
        cost = min(room, len(pieces[word]))
        if words and used + cost > room:
            yield words, tags
            words, tags, used = [], [], 0
        words.append(word)
        tags.append(tag)
        used += cost
    yield words, tags
