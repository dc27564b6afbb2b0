from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dist_stilts.data.batches import Step, Stream, collate, scoring_batches
from dist_stilts.data.prepare import in_memory
from dist_stilts.families.encoding import Encoding
from dist_stilts.families.family import Batch
from dist_stilts.families.features import Features, concatenated
from dist_stilts.families.kinds import KINDS, family_of
from dist_stilts.families.masking import Masking, Vocabulary
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import load_rows
from dist_stilts.tasks.spec import IGNORED, ChoiceRow, PairRow, SpanRow, TaggedRow, TextRow

TASKS = ("xnli", "commonsenseqa", "udpos", "mlm")


def features_of(task: str, rows: list[Any], tokenizer: Any, max_length: int = 64) -> Features:
    spec = get_task(task)
    return in_memory(family_of(spec).encode(rows, tokenizer, Encoding(spec.labels, max_length)))


@pytest.fixture(params=TASKS, scope="module")
def stream(request: pytest.FixtureRequest, world: Path, tokenizer: Any) -> Stream:
    """A stream of each family over a subset of its rows; batches of 8."""
    spec = get_task(request.param)
    features = features_of(spec.name, load_rows(spec, world, "train", "en")[:40], tokenizer, 12)
    rows = np.arange(len(features))[1::2]
    return Stream(spec.name, family_of(spec), features, rows, Vocabulary.of(tokenizer), 8, 1000, 5, 0.3)


def test_vocabulary_knows_padding_mask_and_ordinary_tokens(tokenizer: Any) -> None:
    vocabulary = Vocabulary.of(tokenizer)
    special = {tokenizer.convert_tokens_to_ids(token) for token in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")}
    assert (vocabulary.pad, vocabulary.mask) == (1, len(tokenizer) - 1)
    assert set(vocabulary.ordinary) == set(range(len(tokenizer))) - special
    ids = np.arange(len(tokenizer) + 3)  # added tokens above the table are not ordinary either
    assert np.flatnonzero(vocabulary.is_ordinary(ids)).tolist() == vocabulary.ordinary.tolist()


def test_rows_lie_one_behind_another_with_their_choices_and_the_places_of_their_tags(tokenizer: Any) -> None:
    rows = [PairRow("0", "0", "the cat", "a lamp", "neutral"), PairRow("1", "1", "cat", "lamp", None)]
    batch = collate(features_of("xnli", rows, tokenizer), [1, 0], KINDS["sequence"])
    shorter, longer = (tokenizer(*pair)["input_ids"] for pair in (("cat", "lamp"), ("the cat", "a lamp")))
    assert batch["input_ids"].tolist() == shorter + longer
    assert batch["lengths"].tolist() == [len(shorter), len(longer)]
    assert batch["bounds"].tolist() == [0, len(shorter), len(shorter) + len(longer)]
    assert batch["labels"].tolist() == [IGNORED, get_task("xnli").labels.index("neutral")]
    assert "segments" not in batch
    rows = [ChoiceRow("0", "0", "the cat", ("a lamp", "cat"), 1), ChoiceRow("1", "1", "cat", ("the", "a", "lamp"), 2)]
    batch = collate(features_of("commonsenseqa", rows, tokenizer), [0, 1], KINDS["choice"])
    assert batch["segments"].tolist() == [[0, 1, -1], [2, 3, 4]]
    assert batch["labels"].tolist() == [1, 2]
    texts = [("the cat", "a lamp"), ("the cat", "cat"), ("cat", "the"), ("cat", "a"), ("cat", "lamp")]
    expected = [tokenizer(*pair)["input_ids"] for pair in texts]
    assert [tokens(batch, segment) for segment in range(5)] == expected
    rows = [TaggedRow("0", "0", ("the", "cat"), ("DET", "NOUN")), TaggedRow("1", "1", ("cat",), ("NOUN",))]
    batch = collate(features_of("udpos", rows, tokenizer), [0, 1], KINDS["token"])
    det, noun = (get_task("udpos").labels.index(tag) for tag in ("DET", "NOUN"))
    assert batch["targets"].tolist() == [1, 2, 5]
    assert batch["labels"].tolist() == [det, noun, noun]


def test_masked_text_keeps_its_length_and_hides_only_targets(tokenizer: Any) -> None:
    kind, masking = KINDS["mlm"], Masking(Vocabulary.of(tokenizer), seed=0, rate=0.5)
    lines = [TextRow("0", "0", "the cat lifted the lamp"), TextRow("1", "1", "cat")]
    given = collate(features_of("mlm", lines, tokenizer), [0, 1], kind)
    batch = kind.in_training(given, np.arange(2), np.zeros(2, np.int64), masking)
    target = torch.zeros(len(given["input_ids"]), dtype=torch.bool)
    target[batch["targets"]] = True
    assert torch.equal(batch["labels"], given["input_ids"][target])
    assert torch.equal(batch["input_ids"][~target], given["input_ids"][~target])
    assert [int(part.sum()) for part in target.split(given["lengths"].tolist())] == [2, 1]
    assert "labels" not in given


def tokens(batch: Batch, segment: int) -> list[int]:
    return batch["input_ids"].split(batch["lengths"].tolist())[segment].tolist()


def labels_of(batch: Batch, segment: int) -> tuple[tuple[int, int], ...]:
    """Place in the segment and label of each predicted token."""
    first, after = batch["bounds"][segment : segment + 2].tolist()
    pairs = zip(batch["targets"].tolist(), batch["labels"].tolist(), strict=True)
    return tuple((place - first, label) for place, label in pairs if first <= place < after)


def rows_in(batch: Batch) -> Iterator[tuple[Any, ...]]:
    """The content of each row of a batch."""
    segments = batch["segments"].tolist() if "segments" in batch else [[row] for row in range(len(batch["lengths"]))]
    for row, of_row in enumerate(segments):
        texts = tuple(tuple(tokens(batch, segment)) for segment in of_row if segment >= 0)
        yield texts, labels_of(batch, row) if "targets" in batch else int(batch["labels"][row])


def all_ranks(stream: Stream, turn: int, ranks: int) -> list[Step]:
    return [stream.step(turn, rank, ranks) for rank in range(ranks)]


def content(steps: list[Step]) -> list[Any]:
    return sorted(row for step in steps for batch in step.micro_batches for row in rows_in(batch))


@pytest.mark.parametrize("packs", [True, False])
def test_a_step_trains_on_the_same_rows_at_any_number_of_ranks(stream: Stream, packs: bool) -> None:
    for turn, ranks, budget in product((0, 2, 7), (1, 2, 3, 4), (1, 40, 1000)):
        alone = stream.step(turn, 0, 1)
        steps = all_ranks(replace(stream, micro_tokens=budget, packs=packs), turn, ranks)
        assert content(steps) == content([alone])
        present = sum(int((batch["labels"] != IGNORED).sum()) for step in steps for batch in step.micro_batches)
        assert {step.targets for step in steps} == {alone.targets} == {present}
        assert sum(step.tokens for step in steps) == alone.tokens
        assert len({len(step.micro_batches) for step in steps}) == 1
        assert len(steps[0].micro_batches) >= (alone.tokens / ranks > budget) + 1


def test_a_row_without_gold_is_no_target(tokenizer: Any) -> None:
    rows = [PairRow(str(n), str(n), "the cat", "a lamp", "neutral" if n else None) for n in range(4)]
    features = features_of("xnli", rows, tokenizer)
    stream = Stream("xnli", KINDS["sequence"], features, np.arange(4), Vocabulary.of(tokenizer), 4, 1000, 0, 0.15)
    assert stream.step(0, 0, 1).targets == 3


def test_slots_are_what_the_encoder_computes(stream: Stream) -> None:
    for ranks in (2, 3):
        for step in all_ranks(replace(stream, micro_tokens=40), 1, ranks):
            assert step.slots == step.tokens == sum(len(batch["input_ids"]) for batch in step.micro_batches)
        for step in all_ranks(replace(stream, micro_tokens=40, packs=False), 1, ranks):
            lengths = [batch["lengths"] for batch in step.micro_batches]
            assert step.tokens == sum(int(each.sum()) for each in lengths)
            assert step.slots == sum(len(each) * int(each.max()) for each in lengths)


def test_only_rows_of_the_subset_are_trained_on_each_once_an_epoch_in_steps_that_depend_on_their_turn(
    stream: Stream,
) -> None:
    small = replace(stream, batch_size=2, rows=stream.rows[:4])
    batches = [batch for turn in range(2) for batch in small.step(turn, 0, 1).micro_batches]
    if small.kind.name == "mlm":
        for batch in batches:
            batch["input_ids"][batch["targets"]] = batch["labels"]
    trained = sorted(tokens(batch, segment) for batch in batches for segment in range(len(batch["lengths"])))
    subset = [ids.tolist() for row in small.rows for ids in split(small.features, row)]
    assert trained == sorted(subset)
    first, again, next_turn = (content([stream.step(turn, 0, 1)]) for turn in (3, 3, 4))
    assert first == again
    assert first != next_turn


def split(features: Features, row: int) -> list[np.ndarray]:
    """The segments of a row."""
    return np.split(features.input_ids[row], np.cumsum(features.lengths[row])[:-1])


def test_scoring_batches_are_the_same_at_any_number_of_ranks_longest_rows_first(stream: Stream) -> None:
    features = stream.features
    for size in (1, 4, 7, 100):
        alone = [tuple(rows) for rows in scoring_batches(features, size, 0, 1)]
        rows = [row for batch in alone for row in batch]
        assert sorted(rows) == list(range(len(features)))
        assert (np.diff(features.tokens[rows]) <= 0).all()
        for ranks in (2, 3, 5):
            dealt = [[tuple(rows) for rows in scoring_batches(features, size, rank, ranks)] for rank in range(ranks)]
            assert sorted(rows for rank in dealt for rows in rank if rows) == sorted(alone)
            assert len({len(rank) for rank in dealt}) == 1  # so that ranks can meet between two batches


@pytest.mark.parametrize("max_length", [64, 9])
def test_token_types_are_those_that_the_tokenizer_gives_pairs_and_absent_where_all_are_0(
    tokenizer: Any, bert_tokenizer: Any, max_length: int
) -> None:
    texts = [("the hot sailor", "a bad cat lifted"), ("never lifted", "the lamp")]
    pairs = [PairRow(str(n), "", *pair, "neutral") for n, pair in enumerate(texts)]
    choices = [ChoiceRow("0", "", texts[0][0], (texts[0][1], "cat"), 0)]
    questions = [SpanRow(str(n), "", *pair, None) for n, pair in enumerate(texts)]
    for task, rows in (("xnli", pairs), ("commonsenseqa", choices), ("squad_v1", questions)):
        features = features_of(task, rows, bert_tokenizer, max_length)
        batch = collate(features, range(len(features)), KINDS[get_task(task).family])
        for segment, types in enumerate(batch["token_types"].split(batch["lengths"].tolist())):
            ids = tokens(batch, segment)
            second = ids.index(bert_tokenizer.sep_token_id) + 1
            assert types.tolist() == [0] * second + [1] * (len(ids) - second)
        if max_length == 64 and task == "xnli":
            given = bert_tokenizer(*map(list, zip(*texts, strict=True)))["token_type_ids"]
            assert batch["token_types"].tolist() == [one for types in given for one in types]
        without = features_of(task, rows, tokenizer, max_length)
        assert "token_types" not in collate(without, range(len(without)), KINDS[get_task(task).family])
    alone = [PairRow("0", "", "the cat", "", "neutral")]
    for task, single in (("xnli", alone), ("mlm", [TextRow("0", "", "the cat")])):
        features = features_of(task, single, bert_tokenizer, max_length)
        assert "token_types" not in collate(features, [0], KINDS[get_task(task).family])


def test_a_batch_has_token_types_wherever_its_data_have_any(bert_tokenizer: Any) -> None:
    single = features_of("xnli", [PairRow("0", "", "the cat", "", "neutral")], bert_tokenizer)
    pair = features_of("xnli", [PairRow("0", "", "the cat", "a lamp", "neutral")], bert_tokenizer)
    both = concatenated([single, pair])
    assert collate(both, [0], KINDS["sequence"])["token_types"].tolist() == [0] * 4
    assert collate(both, [1, 0], KINDS["sequence"])["token_types"].tolist() == [0, 0, 0, 0, 1, 1, 1] + [0] * 4
