from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dist_stilts.data.batches import Batch, Step, Stream, Vocabulary, collate, masked, scoring_batches
from dist_stilts.data.features import Features, from_table, schema
from dist_stilts.data.tokenise import tokenise
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import load_rows
from dist_stilts.tasks.spec import IGNORED, ChoiceRow, PairRow, TaggedRow, TextRow

TASKS = ("xnli", "commonsenseqa", "udpos", "mlm")


def features_of(task: str, rows: list[Any], tokenizer: Any, max_length: int = 64) -> Features:
    import pyarrow as pa

    spec = get_task(task)
    return from_table(
        pa.Table.from_pylist(list(tokenise(spec.family, spec.labels, rows, tokenizer, max_length)), schema())
    )


@pytest.fixture(params=TASKS)
def stream(request: pytest.FixtureRequest, world: Path, tokenizer: Any) -> Stream:
    """A stream of each family over a subset of its rows; batches of 8."""
    spec = get_task(request.param)
    features = features_of(spec.name, load_rows(spec, world, "train", "en")[:40], tokenizer, 12)
    rows = np.arange(len(features))[1::2]
    return Stream(spec.name, spec.family, features, rows, Vocabulary.of(tokenizer), 8, 1, 5, 0.3)


def test_vocabulary_knows_padding_mask_and_ordinary_tokens(tokenizer: Any) -> None:
    vocabulary = Vocabulary.of(tokenizer)
    special = {tokenizer.convert_tokens_to_ids(token) for token in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")}
    assert (vocabulary.pad, vocabulary.mask) == (1, len(tokenizer) - 1)
    assert set(vocabulary.ordinary) == set(range(len(tokenizer))) - special
    ids = np.arange(len(tokenizer) + 3)  # added tokens above the table are not ordinary either
    assert np.flatnonzero(vocabulary.is_ordinary(ids)).tolist() == vocabulary.ordinary.tolist()


def test_pairs_are_padded_to_the_longest(tokenizer: Any) -> None:
    rows = [PairRow("0", "0", "the cat", "a lamp", "neutral"), PairRow("1", "1", "cat", "lamp", None)]
    batch = collate(features_of("xnli", rows, tokenizer), [1, 0], "sequence", Vocabulary.of(tokenizer))
    longer = tokenizer("the cat", "a lamp")["input_ids"]
    shorter = tokenizer("cat", "lamp")["input_ids"]
    missing = len(longer) - len(shorter)
    assert batch["input_ids"].tolist() == [shorter + [tokenizer.pad_token_id] * missing, longer]
    assert batch["attention_mask"].tolist() == [[1] * len(shorter) + [0] * missing, [1] * len(longer)]
    assert batch["labels"].tolist() == [IGNORED, get_task("xnli").labels.index("neutral")]
    assert "segments" not in batch


def test_items_with_unequal_numbers_of_choices_share_a_batch(tokenizer: Any) -> None:
    rows = [ChoiceRow("0", "0", "the cat", ("a lamp", "cat"), 1), ChoiceRow("1", "1", "cat", ("the", "a", "lamp"), 2)]
    batch = collate(features_of("commonsenseqa", rows, tokenizer), [0, 1], "choice", Vocabulary.of(tokenizer))
    assert batch["segments"].tolist() == [[0, 1, -1], [2, 3, 4]]
    assert batch["labels"].tolist() == [1, 2]
    texts = [("the cat", "a lamp"), ("the cat", "cat"), ("cat", "the"), ("cat", "a"), ("cat", "lamp")]
    expected = [tokenizer(*pair)["input_ids"] for pair in texts]
    assert [tokens(batch, segment) for segment in range(5)] == expected


def test_tags_stand_under_their_tokens_and_padding_is_ignored(tokenizer: Any) -> None:
    rows = [TaggedRow("0", "0", ("the", "cat"), ("DET", "NOUN")), TaggedRow("1", "1", ("cat",), ("NOUN",))]
    batch = collate(features_of("udpos", rows, tokenizer), [0, 1], "token", Vocabulary.of(tokenizer))
    det, noun = (get_task("udpos").labels.index(tag) for tag in ("DET", "NOUN"))
    assert batch["labels"].tolist() == [[IGNORED, det, noun, IGNORED], [IGNORED, noun, IGNORED, IGNORED]]


def test_masked_text_keeps_its_length_and_hides_only_targets(tokenizer: Any) -> None:
    vocabulary = Vocabulary.of(tokenizer)
    lines = [TextRow("0", "0", "the cat lifted the lamp"), TextRow("1", "1", "cat")]
    plain = collate(features_of("mlm", lines, tokenizer), [0, 1], "mlm", vocabulary)
    batch = masked(plain, np.arange(2), np.zeros(2, np.int64), vocabulary, seed=0, rate=0.5)
    target = batch["labels"] != IGNORED
    assert (batch["labels"][target] == plain["input_ids"][target]).all()
    assert (batch["input_ids"][~target] == plain["input_ids"][~target]).all()
    assert target.sum(1).tolist() == [2, 1]
    assert "labels" not in plain


def tokens(batch: Batch, segment: int, name: str = "input_ids") -> list[int]:
    return batch[name][segment][batch["attention_mask"][segment] == 1].tolist()


def rows_in(batch: Batch) -> Iterator[tuple[Any, ...]]:
    """The content of each row of a batch, padding left out."""
    segments = batch["segments"].tolist() if "segments" in batch else [[row] for row in range(len(batch["input_ids"]))]
    for row, of_row in enumerate(segments):
        texts = tuple(tuple(tokens(batch, segment)) for segment in of_row if segment >= 0)
        labels = batch["labels"][row]
        yield texts, tuple(tokens(batch, row, "labels")) if labels.ndim else int(labels)


def with_accumulation(stream: Stream, micro_batches: int) -> Stream:
    return Stream(**{**stream.__dict__, "micro_batches": micro_batches})


def all_ranks(stream: Stream, turn: int, ranks: int) -> list[Step]:
    return [stream.step(turn, rank, ranks) for rank in range(ranks)]


def content(steps: list[Step]) -> list[Any]:
    return sorted(row for step in steps for batch in step.micro_batches for row in rows_in(batch))


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_step_trains_on_the_same_rows_at_any_number_of_ranks(stream: Stream, ranks: int, accumulation: int) -> None:
    for turn in (0, 2, 7):
        alone = stream.step(turn, 0, 1)
        steps = all_ranks(with_accumulation(stream, accumulation), turn, ranks)
        assert content(steps) == content([alone])
        assert {step.targets for step in steps} == {alone.targets}
        assert sum(step.tokens for step in steps) == alone.tokens
        assert all(len(step.micro_batches) == accumulation for step in steps)


@pytest.mark.parametrize("ranks", [1, 3, 4])
def test_targets_are_the_labels_that_are_there(stream: Stream, ranks: int) -> None:
    for turn in range(4):
        steps = all_ranks(with_accumulation(stream, 2), turn, ranks)
        present = sum(int((batch["labels"] != IGNORED).sum()) for step in steps for batch in step.micro_batches)
        assert {step.targets for step in steps} == {present}


def test_a_row_without_gold_is_no_target(tokenizer: Any) -> None:
    rows = [PairRow(str(n), str(n), "the cat", "a lamp", "neutral" if n else None) for n in range(4)]
    features = features_of("xnli", rows, tokenizer)
    stream = Stream("xnli", "sequence", features, np.arange(4), Vocabulary.of(tokenizer), 4, 1, 0, 0.15)
    assert stream.step(0, 0, 1).targets == 3


def test_slots_are_tokens_and_padding(stream: Stream) -> None:
    for step in [*all_ranks(with_accumulation(stream, 2), 1, 2), *all_ranks(with_accumulation(stream, 2), 1, 3)]:
        assert step.tokens == sum(int(batch["attention_mask"].sum()) for batch in step.micro_batches)
        assert step.slots == sum(batch["input_ids"].numel() for batch in step.micro_batches)


def test_only_rows_of_the_subset_are_trained_on_and_each_once_an_epoch(stream: Stream) -> None:
    small = Stream(**{**stream.__dict__, "batch_size": 2, "rows": stream.rows[:4]})
    batches = [batch for turn in range(2) for batch in small.step(turn, 0, 1).micro_batches]
    if small.family == "mlm":
        for batch in batches:
            target = batch["labels"] != IGNORED
            batch["input_ids"][target] = batch["labels"][target]
    trained = sorted(tokens(batch, row) for batch in batches for row in range(len(batch["input_ids"])))
    subset = [ids.tolist() for row in small.rows for ids in split(small.features, row)]
    assert trained == sorted(subset)


def split(features: Features, row: int) -> list[np.ndarray]:
    """The segments of a row."""
    return np.split(features.input_ids[row], np.cumsum(features.lengths[row])[:-1])


def test_a_step_is_a_function_of_its_turn(stream: Stream) -> None:
    first, again, next_turn = (content([stream.step(turn, 0, 1)]) for turn in (3, 3, 4))
    assert first == again
    assert first != next_turn


@pytest.mark.parametrize("batch_size", [1, 4, 7, 100])
def test_scoring_batches_are_the_same_at_any_number_of_ranks(stream: Stream, batch_size: int) -> None:
    features = stream.features
    alone = [tuple(rows) for rows in scoring_batches(features, batch_size, 0, 1)]
    assert sorted(row for rows in alone for row in rows) == list(range(len(features)))
    for ranks in (2, 3, 5):
        dealt = [[tuple(rows) for rows in scoring_batches(features, batch_size, rank, ranks)] for rank in range(ranks)]
        assert sorted(rows for rank in dealt for rows in rank if rows) == sorted(alone)
        assert len({len(rank) for rank in dealt}) == 1  # so that ranks can meet between two batches


def test_scoring_batches_hold_rows_of_like_length_longest_first(stream: Stream) -> None:
    rows = np.concatenate(list(scoring_batches(stream.features, 4, 0, 1)))
    assert (np.diff(stream.features.tokens[rows]) <= 0).all()
