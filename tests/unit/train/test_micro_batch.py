from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models_made import features_of
from torch.func import functional_call

from dist_stilts.data.batches import Stream
from dist_stilts.data.prepare import in_memory
from dist_stilts.errors import UserError
from dist_stilts.families.encoding import QaLengths, feature_row
from dist_stilts.families.kinds import family_of
from dist_stilts.families.masking import Vocabulary
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.parallel.world import World
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import load_rows
from dist_stilts.tasks.spec import Row
from dist_stilts.train.micro_batch import (
    counter,
    heaviest,
    largest,
    places,
    probe,
    remembered,
    row_bytes,
    trial_weights,
    trier,
    useful,
)

ALONE = World(0, 1, 0, torch.device("cpu"))
TASKS = ("xnli", "commonsenseqa", "udpos", "squad_v1", "mlm")
LONGEST = 24
Work = tuple[str, Stream]


@pytest.fixture
def works(world: Path, tokenizer: Any) -> dict[str, Work]:
    """Head and stream by task; rows are 24 tokens at most, and the first is not trained on."""
    found = {}
    for spec in map(get_task, TASKS):
        rows, lengths = load_rows(spec, world, "train", "en")[:30], QaLengths(LONGEST, stride=8, max_question=8)
        features = features_of(spec, rows, tokenizer, LONGEST, lengths)
        kept, vocabulary = np.arange(len(features))[1:], Vocabulary.of(tokenizer)
        stream = Stream(spec.name, family_of(spec), features, kept, vocabulary, 8, 1000, 5, 0.15)
        found[spec.name] = (head_name(spec), stream)
    return found


@pytest.fixture
def model(tiny_encoder: Any) -> MultiTaskModel:
    tiny_encoder.set_attn_implementation("eager")
    return MultiTaskModel(tiny_encoder, [get_task(name) for name in TASKS]).eval()


def each(stream: Stream) -> int:
    """What one of the heaviest rows counts as."""
    return places(heaviest(stream, 1), stream)


def weights_of(model: MultiTaskModel) -> dict[str, torch.Tensor]:
    return trial_weights(model, torch.float32, ALONE.device)


# --- the search -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 12, 32, 97, 128, 1000])
def test_search_finds_the_greatest_size_that_fits_whatever_fits(rows: int) -> None:
    sizes = useful(rows, 3)
    for limit in range(0, 3 * (rows + 2), 3):
        tried: list[int] = []

        def fits(size: int, limit: int = limit, tried: list[int] = tried) -> bool:
            tried.append(size)
            return size <= limit

        assert largest(sizes, fits) == max((size for size in sizes if size <= limit), default=0)
        assert len(set(tried)) == len(tried) <= 2 * len(sizes).bit_length() + 2


def test_no_try_is_more_than_twice_what_fitted_and_sizes_are_those_that_passes_lead_to() -> None:
    tried: list[int] = []
    assert largest(range(1, 1000), lambda size: tried.append(size) or size <= 100) == 100
    assert tried[:8] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert max(tried) == 128
    assert useful(12, 1) == [1, 2, 3, 4, 6, 12]
    assert useful(10, 7) == [7, 14, 21, 28, 35, 70]
    assert useful(1, 24) == [24]


# --- what is tried ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_no_batch_of_the_stream_takes_more(works: dict[str, Work], task: str, packs: bool) -> None:
    stream = replace(works[task][1], packs=packs, micro_tokens=100)
    batch = heaviest(stream, 100)
    for turn in range(8):
        for seen in stream.step(turn, 0, 1).micro_batches:
            assert seen.keys() == batch.keys()
            assert places(seen, stream) <= places(batch, stream)
            assert seen["lengths"].max() <= batch["lengths"].max()
            if task == "mlm":
                assert len(seen["targets"]) <= len(batch["targets"])


def test_the_heaviest_row_is_that_of_the_longest_segment(works: dict[str, Work]) -> None:
    made = [feature_row(Row("", ""), 0, [[7] * length for length in row], [0]) for row in ([9, 9, 9], [11, 4])]
    features = in_memory(made)
    stream = replace(works["commonsenseqa"][1], features=features, rows=np.arange(2))
    assert heaviest(stream, 30)["lengths"].tolist() == [11, 4, 11, 4]
    padded = replace(stream, packs=False)
    assert heaviest(padded, 30)["lengths"].tolist() == [11, 4, 11, 4]
    assert places(heaviest(padded, 30), padded) == 44


# --- the count --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("task", TASKS)
def test_bytes_are_a_straight_line_in_rows(
    model: MultiTaskModel, works: dict[str, Work], task: str, dtype: torch.dtype
) -> None:
    head, stream = works[task]
    weights = trial_weights(model, dtype, ALONE.device)
    batches = (heaviest(stream, rows * each(stream)) for rows in (1, 2, 8))
    one, two, eight = (row_bytes(model.train(), weights, head, batch) for batch in batches)
    assert one + 7 * (two - one) == pytest.approx(eight, rel=0.01)
    assert eight > 4 * one


@pytest.mark.parametrize("task", TASKS)
def test_bytes_are_the_peak_of_what_torch_takes(model: MultiTaskModel, works: dict[str, Work], task: str) -> None:
    head, stream = works[task]
    weights, batch = weights_of(model.train()), heaviest(stream, 64 * each(stream))
    counted = row_bytes(model, weights, head, batch)
    peak = peak_of(lambda: functional_call(model, weights, (head, batch)).backward())
    assert 0.95 * peak < counted < 1.4 * peak


def peak_of(run: Callable[[], None]) -> int:
    """Most bytes that torch's CPU allocator had given out at a time, as its profiler saw it."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    return int(np.cumsum([event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]).max())


# --- the probe --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_what_is_found_fits_into_the_room_and_the_next_size_does_not(
    model: MultiTaskModel, works: dict[str, Work], task: str
) -> None:
    head, stream = works[task]
    weights = weights_of(model.train())
    gradient = max(weight.nbytes for weight in weights.values())
    batches = {rows: heaviest(stream, rows * each(stream)) for rows in (12, 16)}
    needed = {rows: gradient + row_bytes(model, weights, head, batch) for rows, batch in batches.items()}
    fits = counter(model, [(head, stream)], (needed[12] + needed[16]) // 2, torch.float32)
    assert largest(useful(48, each(stream)), fits) == 12 * each(stream)


def test_of_several_tasks_the_most_demanding_counts(model: MultiTaskModel, works: dict[str, Work]) -> None:
    def found(*tried: Work) -> int:
        return largest(range(24, 6000, 24), counter(model.train(), tried, 10**7, torch.float32))

    alone = [found(work) for work in works.values()]
    assert 1 <= min(alone) == found(*works.values()) < max(alone)


def test_a_row_that_does_not_fit_is_an_error_with_the_figures(model: MultiTaskModel, works: dict[str, Work]) -> None:
    tokens = works["xnli"][1].features.tokens[1:].max()
    said = rf"not one row of {tokens} tokens fits into memory: [\d.]+ GiB are free, .* takes 1048576\.00 GiB\. Lower"
    with pytest.raises(UserError, match=said):
        probe(model, [works["xnli"]], 8, 2**50, torch.float32, ALONE)


def test_the_model_and_the_random_generator_are_left_as_they_were(
    model: MultiTaskModel, works: dict[str, Work]
) -> None:
    model.heads.train()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict(keep_vars=False).items()}
    kept = next(model.parameters()).grad = torch.ones_like(next(model.parameters()))
    state = torch.get_rng_state()
    watched = Limited(model, "nowhere")
    watched.training = model.training
    probe(watched, list(works.values()), 4, 0, torch.bfloat16, ALONE)
    assert watched.seen == {(True, torch.bfloat16)}
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    first, *others = model.parameters()
    assert first.grad is kept
    assert torch.equal(kept, torch.ones_like(kept))
    assert all(parameter.grad is None for parameter in others)


# --- a GPU's way, on a model that runs out of memory above so many segments -------------------------------------------


class Limited(MultiTaskModel):
    """Out of memory above 5 rows, in forward or in backward."""

    def __init__(self, model: MultiTaskModel, where: str) -> None:
        torch.nn.Module.__init__(self)
        self.encoder, self.heads, self.where = model.encoder, model.heads, where
        self.rows: list[int] = []
        self.seen: set[Any] = set()

    def forward(self, head: str, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        rows = len(batch["lengths"])
        self.rows.append(rows)
        self.seen.add((self.training, next(self.encoder.parameters()).dtype))
        if self.where == "forward" and rows > 5:
            raise torch.OutOfMemoryError
        loss = super().forward(head, batch)
        if self.where == "backward" and rows > 5:
            loss.register_hook(self.fail)
        return loss

    def fail(self, gradient: torch.Tensor) -> None:
        raise torch.OutOfMemoryError


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_trying_ends_where_memory_does(model: MultiTaskModel, works: dict[str, Work], where: str) -> None:
    limited = Limited(model, where).train()
    fits = trier(limited, [works["xnli"], works["mlm"]], 1000, torch.bfloat16, ALONE.device)
    assert largest(useful(32, each(works["xnli"][1])), fits) == 5 * each(works["xnli"][1])
    assert max(limited.rows) <= 8
    assert limited.seen == {(True, torch.bfloat16)}


def test_gradients_are_gone_as_soon_as_they_are_there(model: MultiTaskModel, works: dict[str, Work]) -> None:
    (head, stream), weights = works["xnli"], weights_of(model)
    seen: list[str] = []
    for name, weight in weights.items():
        if weight.requires_grad:
            weight.register_hook(lambda _, name=name: seen.append(name))
    functional_call(model, weights, (head, heaviest(stream, 48))).backward()
    assert any("word_embeddings" in name for name in seen)
    assert all(weight.grad is None for weight in weights.values())


def test_what_the_engine_takes_is_held_while_trying(model: MultiTaskModel, works: dict[str, Work]) -> None:
    def peak(held: int) -> int:
        return peak_of(lambda: trier(model, [works["xnli"]], held, torch.float32, ALONE.device)(2))

    assert peak(50_000_000) - peak(0) == pytest.approx(50_000_000, rel=0.01)


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_what_was_found_is_found_once_per_number_of_ranks(tmp_path: Path) -> None:
    file, two = tmp_path / "micro_batch.json", World(0, 2, 0, ALONE.device)
    assert remembered(file, ALONE, lambda: 8) == 8
    assert remembered(file, two, lambda: 6) == 6
    assert remembered(file, ALONE, lambda: 99) == 8
    assert remembered(file, two, lambda: 99) == 6


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_what_is_found_trains_and_what_is_held_counts(model: MultiTaskModel, works: dict[str, Work]) -> None:
    world = World(0, 1, 0, torch.device("cuda", 0))
    free = torch.cuda.mem_get_info(0)[0]
    assert probe(model, [works["xnli"]], 64, 0, torch.bfloat16, world) == 64
    with pytest.raises(UserError, match="not one row"):
        probe(model, [works["xnli"]], 64, free, torch.bfloat16, world)
    assert torch.cuda.memory_allocated(0) == 0
