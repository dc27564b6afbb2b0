"""Packed is padded, but for rounding: outputs and gradients, every head, every length; and who cannot pack is left."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel

from dist_stilts.data.batches import collate, plain
from dist_stilts.data.prepare import in_memory
from dist_stilts.families.encoding import feature_row
from dist_stilts.families.family import Batch
from dist_stilts.families.kinds import family_of
from dist_stilts.families.masking import Masking
from dist_stilts.model import packed_attention
from dist_stilts.model.encoder import checkpoint_activations
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.packed_attention import Segments, like_length, nested_attention
from dist_stilts.model.packing import encode, packs, segments_of, start_packing, to_grid
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.spec import Row, TaskSpec

LONGEST = 40
LENGTHS = {
    "one to the longest": list(range(1, LONGEST + 1)),
    "one sequence": [17],
    "one token": [1],
    "all equal": [9] * 6,
    "far apart": [3, 40, 3, 39, 4, 12],
}
TASKS = ("xnli", "commonsenseqa", "udpos", "squad_v1", "mlm")
SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
SIZES |= {"vocab_size": 64, "max_position_embeddings": 160, "pad_token_id": 1}


def encoder_of(kind: str, **more: Any) -> Any:
    torch.manual_seed(0)
    # The spread of fresh weights is set high, so that who attends to whom matters.
    config = AutoConfig.for_model(kind, **{**SIZES, "initializer_range": 0.2, **more})
    return AutoModel.from_config(config)


def batch_of(task: str, lengths: list[int]) -> Batch:
    """Random tokens and labels; choices come three to a row, and fewer in the last."""

    spec, rng = get_task(task), np.random.default_rng(0)
    per_row = [lengths[at : at + 3] for at in range(0, len(lengths), 3)] if task == "commonsenseqa" else None
    rows = []
    for number, segments in enumerate(per_row or [[length] for length in lengths]):
        labels = labels_of(spec, number, sum(segments), rng)
        ids = [rng.integers(4, 63, length).tolist() for length in segments]
        rows.append(feature_row(Row(str(number), ""), number, ids, labels))
    kind, places = family_of(spec), np.arange(len(rows))
    masking = Masking(Ids(), seed=0, rate=0.3)  # type: ignore[arg-type]
    return kind.in_training(collate(in_memory(rows), places, kind), places, places * 0, masking)


def labels_of(spec: TaskSpec, number: int, tokens: int, rng: np.random.Generator) -> list[int]:
    if spec.family == "token":
        return [-100, *rng.integers(0, len(spec.labels), tokens - 1)] if tokens > 1 else [0]
    if spec.family == "span":
        return sorted(rng.integers(0, tokens, 2))
    return {"sequence": [number % 3], "choice": [0], "mlm": []}[spec.family]


class Ids:
    """A vocabulary of 64 words."""

    pad, mask, ordinary = 1, 63, np.arange(4, 63)

    def is_ordinary(self, ids: np.ndarray) -> np.ndarray:
        return np.isin(ids, self.ordinary)


@pytest.fixture(scope="module")
def both() -> tuple[MultiTaskModel, MultiTaskModel]:
    """The same model, packed and padded."""
    packed = MultiTaskModel(encoder_of("xlm-roberta"), [get_task(task) for task in TASKS]).eval()
    assert packs(packed.encoder)
    padded = copy.deepcopy(packed)
    padded.encoder.set_attn_implementation("eager")  # type: ignore[operator]
    assert not packs(padded.encoder)
    return packed, padded


def size(gradients: Iterable[torch.Tensor]) -> float:
    return float(sum(gradient.float().square().sum() for gradient in gradients) ** 0.5)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.bfloat16, 0.05)], ids=["fp32", "bf16"])
def test_logits_and_gradients_are_those_of_padding(
    both: tuple[MultiTaskModel, MultiTaskModel], task: str, dtype: torch.dtype, tolerance: float
) -> None:
    name = head_name(get_task(task))
    few = [LENGTHS["one to the longest"], LENGTHS["one token"]]
    for lengths in LENGTHS.values() if dtype == torch.float32 else few:
        batch, found = batch_of(task, lengths), []
        for model in both:
            model.to(dtype).zero_grad(set_to_none=True)
            logits = model.logits(name, batch)
            model(name, batch).backward()
            gradients = {key: p.grad for key, p in model.named_parameters() if p.grad is not None}
            found.append((logits.detach(), gradients))
        (ours, our_gradients), (theirs, their_gradients) = found
        finite = theirs.isfinite()
        assert torch.equal(ours.isfinite(), finite)
        torch.testing.assert_close(ours[finite], theirs[finite], rtol=tolerance, atol=tolerance)
        assert our_gradients.keys() == their_gradients.keys()
        off = size(our_gradients[key].float() - gradient.float() for key, gradient in their_gradients.items())
        assert off <= tolerance * size(their_gradients.values())


@pytest.fixture
def packing() -> Any:
    """An encoder that packs."""
    encoder = encoder_of("xlm-roberta").eval()
    assert start_packing(encoder)
    return encoder


def test_a_sequence_sees_nothing_of_its_neighbours_and_their_order_changes_nothing_but_the_order(packing: Any) -> None:
    ids = np.random.default_rng(0).integers(4, 63, 30)
    other = ids.copy()
    other[:12], other[20:] = 5, 6
    lengths = np.array([12, 8, 10])
    with torch.no_grad():
        first, second = (encode(packing, plain(each, lengths)) for each in (ids, other))
    torch.testing.assert_close(first[12:20], second[12:20], rtol=0, atol=0)
    assert not torch.allclose(first[:12], second[:12], atol=0.1)
    parts = [np.random.default_rng(seed).integers(4, 63, length) for seed, length in enumerate((7, 1, 19, 7))]

    def encoded(order: list[int]) -> tuple[torch.Tensor, ...]:
        chosen = [parts[number] for number in order]
        with torch.no_grad():
            states = encode(packing, plain(np.concatenate(chosen), np.array([len(part) for part in chosen])))
        return states.split([len(part) for part in chosen])

    first = encoded([0, 1, 2, 3])
    for number, states in zip([2, 0, 3, 1], encoded([2, 0, 3, 1]), strict=True):
        torch.testing.assert_close(states, first[number], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "kind", ["xlm-roberta", "xlm-roberta-xl", "roberta", "camembert", "bert", "electra", "ernie", "albert"]
)
def test_encoders_of_berts_kind_pack_with_their_own_code(kind: str) -> None:
    encoder = encoder_of(kind, **({"embedding_size": 16} if kind == "albert" else {})).eval()
    own, batch = encoder.config._attn_implementation, batch_of("xnli", LENGTHS["far apart"])
    padded = encode(encoder, batch)
    assert start_packing(encoder)
    seen: list[torch.Size] = []
    hook = encoder.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    torch.testing.assert_close(encode(encoder, batch), padded, rtol=1e-4, atol=1e-4)
    hook.remove()
    assert seen == [(1, sum(LENGTHS["far apart"]))]
    encoder.set_attn_implementation(own)
    assert torch.equal(encode(encoder, batch), padded)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("deberta-v2", {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
        ("mpnet", {}),
        ("modernbert", {"cls_token_id": 2, "sep_token_id": 2, "bos_token_id": 2, "eos_token_id": 2}),
        ("convbert", {}),
    ],
)
def test_others_are_left_as_they_were_and_padded(kind: str, more: dict[str, Any]) -> None:
    encoder = encoder_of(kind, **more).train()
    own, batch = encoder.config._attn_implementation, batch_of("xnli", LENGTHS["far apart"])
    assert not start_packing(encoder)
    assert encoder.training
    assert encoder.config._attn_implementation == own
    with torch.no_grad():
        assert encode(encoder.eval(), batch).shape == (sum(LENGTHS["far apart"]), 32)


def test_packing_leaves_mode_random_numbers_ordinary_batches_and_exports_alone(tmp_path: Path) -> None:
    encoder = encoder_of("xlm-roberta").eval()
    ids, mask = torch.tensor([[4, 5, 6], [7, 8, 1]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
    with torch.no_grad():
        before, state = encoder(ids, attention_mask=mask).last_hidden_state, torch.get_rng_state()
        assert start_packing(encoder.train())
        assert encoder.training
        assert torch.equal(torch.get_rng_state(), state)
        after = encoder.eval()(ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(after[mask == 1], before[mask == 1])
    encoder.save_pretrained(tmp_path)
    assert "packed" not in (tmp_path / "config.json").read_text()
    assert AutoModel.from_pretrained(tmp_path).config._attn_implementation == "sdpa"


def test_dropout_falls_on_attention_and_follows_the_seed() -> None:
    encoder = encoder_of("xlm-roberta", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.5).train()
    assert start_packing(encoder)
    batch, found = batch_of("xnli", LENGTHS["far apart"]), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(encode(encoder, batch))
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2], atol=1e-2)


@pytest.mark.parametrize("jagged", [False, True])
def test_activations_computed_again_lead_to_the_same_gradients_and_are_not_kept(
    jagged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the way that attention with dropout goes on a GPU."""
    if jagged:
        monkeypatch.setattr(packed_attention, "_on_cpu", nested_attention)
    batch, kept, gradients = batch_of("xnli", LENGTHS["far apart"]), [], []
    for again in (False, True):
        rate = 0.0 if jagged else 0.1  # torch's jagged attention knows dropout on GPUs only
        encoder = encoder_of("xlm-roberta", attention_probs_dropout_prob=rate)
        model = MultiTaskModel(encoder, [get_task("xnli")]).train()
        if again:
            checkpoint_activations(model.encoder)
        torch.manual_seed(0)  # of dropout
        saved: dict[int, int] = {}

        def note(tensor: torch.Tensor, saved: dict[int, int] = saved) -> torch.Tensor:
            if not tensor.is_nested:
                saved[tensor.data_ptr()] = tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss = model(head_name(get_task("xnli")), batch)
        loss.backward()
        kept.append(sum(saved.values()))
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert kept[1] < 0.5 * kept[0]
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=0, atol=0)


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_a_grid_has_every_token_in_its_place(lengths: list[int]) -> None:
    batch = batch_of("xnli", lengths)
    grid = to_grid(batch["input_ids"], segments_of(batch), -7)
    assert grid.shape == (len(lengths), max(lengths))
    for row, part in zip(grid, batch["input_ids"].split(lengths), strict=True):
        assert row.tolist() == part.tolist() + [-7] * (max(lengths) - len(part))


@pytest.mark.parametrize("ratio", [0.0, 0.5, 0.75, 1.0])
def test_blocks_hold_sequences_of_like_length(ratio: float) -> None:
    lengths = np.random.default_rng(0).integers(1, 60, 50)
    parts = like_length(lengths, ratio)
    assert sorted(np.concatenate(parts)) == list(range(50))
    assert all(lengths[part].min() >= ratio * lengths[part].max() for part in parts)
    for part, following in pairwise(parts):  # none could take another
        assert lengths[following].max() < ratio * lengths[part].max()


def test_torchs_jagged_attention_is_that_of_the_blocks() -> None:
    """The way on a GPU where there is dropout or fp32, here on a CPU."""
    batch = batch_of("xnli", LENGTHS["far apart"])
    segments: Segments = segments_of(batch)
    parts = torch.randn(3, len(batch["input_ids"]), 2, 8, generator=torch.Generator().manual_seed(0))
    expected = packed_attention._on_cpu(*parts, segments, 0.0)
    torch.testing.assert_close(nested_attention(*parts, segments, 0.0), expected)
