"""A kind of task that the product does not ship: one class, one record, and nothing else edited."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import smooth_l1_loss

from dist_stilts.data.batches import Stream
from dist_stilts.data.prepare import Wanted, prepare
from dist_stilts.evaluate.predict import predict
from dist_stilts.evaluate.suite import EvaluationConfig, score_rows
from dist_stilts.families.encoding import Encoding, FeatureRow, feature_row
from dist_stilts.families.family import Arrays, Batch, Family
from dist_stilts.families.features import Features
from dist_stilts.families.kinds import KINDS, register
from dist_stilts.families.masking import Vocabulary
from dist_stilts.families.score import Decoding, Score
from dist_stilts.model.heads import head_name
from dist_stilts.parallel.world import current
from dist_stilts.tasks.spec import Row, TaskSpec

# --- the one file: how many words of a text are of one kind, counted -------------------------------------------------


@dataclass(frozen=True, slots=True)
class CountRow(Row):
    """A text and how often something is in it."""

    text: str
    times: int


class Counting(Family):
    """Its head has one output; that nearest whole number is the prediction."""

    name = "counting"
    auto_class = "AutoModelForSequenceClassification"
    reads = "rows"
    pipeline_tag = "text-classification"

    def head_config(self, labels: Sequence[str]) -> dict[str, Any]:
        return {"num_labels": 1, "problem_type": "regression"}

    def encode(self, rows: Sequence[CountRow], tokenizer: Any, how: Encoding) -> Iterator[FeatureRow]:
        encoded = tokenizer([row.text for row in rows], truncation=True, max_length=how.max_length)["input_ids"]
        for number, (row, ids) in enumerate(zip(rows, encoded, strict=True)):
            yield feature_row(row, number, [ids], [row.times])

    def collate(self, features: Features, rows: Sequence[int] | np.ndarray, lengths: Sequence[np.ndarray]) -> Arrays:
        return {"labels": np.array([features.labels[row][0] for row in rows], np.float32)}

    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        return smooth_l1_loss(logits[:, 0], batch["labels"], reduction="sum")

    def decode(self, logits: torch.Tensor, features: Features, rows: np.ndarray, decoding: Decoding) -> np.ndarray:
        return logits[:, 0].round().long().cpu().numpy()

    def score(
        self,
        spec: TaskSpec,
        language: str,
        features: Features,
        predicted: np.ndarray,
        rows: Callable[[], Sequence[Row]],
    ) -> Score:
        gold = np.concatenate(list(features.labels))
        return Score({spec.metric: float(np.mean(predicted == gold))}, list(map(str, predicted)), len(gold), None)

    def texts(self, row: CountRow) -> tuple[str, ...]:
        return (row.text,)


# --- the one record ---------------------------------------------------------------------------------------------------


def find(folder: Path, split: str, language: str) -> list[Path]:
    return [folder / f"{split}-{language}.jsonl"]


def read(folder: Path, split: str, language: str) -> Iterator[CountRow]:
    (path,) = find(folder, split, language)
    for number, line in enumerate(path.read_text().splitlines()):
        yield CountRow(str(number), str(number), *json.loads(line))


CATS = TaskSpec("cats", "counting", ("en", "qaa"), "exactly", ("cats",), find, read)

# --- the test ---------------------------------------------------------------------------------------------------------


class Linear(torch.nn.Module):
    """Stands for a model: a number per token, and a text's number is their sum."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.each = torch.nn.Embedding(vocabulary, 1)
        torch.nn.init.zeros_(self.each.weight)
        self.heads = {head_name(CATS): SimpleNamespace(names=())}

    def logits(self, head: str, batch: Batch) -> torch.Tensor:
        return torch.stack([part.sum(0) for part in self.each(batch["input_ids"]).split(batch["lengths"].tolist())])


@pytest.fixture
def cats(tmp_path: Path) -> Iterator[Path]:
    """A data folder with the task's files; the kind is known while the test runs."""
    register(Counting())
    rng = np.random.default_rng(0)
    (tmp_path / "data/cats").mkdir(parents=True)
    for split, rows in (("train", 60), ("test", 30)):
        texts = [rng.choice(["the", "lamp", "cat", "a"], rng.integers(3, 9)).tolist() for _ in range(rows)]
        lines = [json.dumps([" ".join(words), words.count("cat")]) for words in texts]
        (tmp_path / f"data/cats/{split}-en.jsonl").write_text("\n".join(lines))
    yield tmp_path / "data"
    del KINDS["counting"]


def test_a_new_kind_is_prepared_trained_and_scored_by_its_class_alone(
    cats: Path, tokenizer: Any, tmp_path: Path
) -> None:
    train, test = (Wanted(CATS, cats, split, "en", 64) for split in ("train", "test"))
    features = prepare(train, tokenizer, tmp_path).features
    kind = KINDS["counting"]
    stream = Stream("cats", kind, features, np.arange(60), Vocabulary.of(tokenizer), 20, 1000, 0, 0.15)
    model = Linear(len(tokenizer))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for turn in range(120):
        step = stream.step(turn, 0, 1)
        assert step.targets == sum(len(batch["labels"]) for batch in step.micro_batches)
        for batch in step.micro_batches:
            (kind.loss_sum(model.logits("", batch), batch) / step.targets).backward()
        optimizer.step()
        optimizer.zero_grad()
    prepared = prepare(test, tokenizer, tmp_path).features
    found = score_rows(model, test, prepared, current(), EvaluationConfig(batch_size=7))
    assert found.values == {"exactly": 1.0}
    assert Counter(found.predictions).total() == found.count == 30
    untrained = predict(Linear(len(tokenizer)), CATS, prepared, current(), 7)
    assert set(untrained.tolist()) == {0}
