"""Packed is padded on a GPU too: by the variable-length kernel in bf16, by jagged tensors in fp32 and with dropout."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from dist_stilts.data.batches import plain, to_device
from dist_stilts.model.encoder import set_dropout
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.packing import encode, packs, start_packing
from dist_stilts.tasks.registry import get_task

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]
LENGTHS = ([1, 2, 3, 40, 17, 9], [17], [64] * 8, list(range(1, 65)))


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.bfloat16, 0.05)], ids=["fp32", "bf16"])
def test_logits_and_gradients_are_those_of_padding(
    tiny_encoder: Any, lengths: list[int], dtype: torch.dtype, tolerance: float
) -> None:
    spec, device = get_task("xnli"), torch.device("cuda")
    torch.manual_seed(0)
    packed = MultiTaskModel(tiny_encoder, [spec]).to(device, dtype).eval()
    assert packs(packed.encoder)
    padded = copy.deepcopy(packed)
    padded.encoder.set_attn_implementation("eager")  # type: ignore[operator]
    ids = np.random.default_rng(0).integers(4, 60, sum(lengths))
    batch = {**plain(ids, np.array(lengths)), "labels": torch.arange(len(lengths)) % 3}
    found = []
    for model in (packed, padded):
        loss = model(head_name(spec), to_device(batch, device))
        loss.backward()
        gradients = [p.grad.float() for p in model.parameters() if p.grad is not None]
        found.append((loss.item(), gradients))
    (ours, our_gradients), (theirs, their_gradients) = found
    assert ours == pytest.approx(theirs, rel=tolerance)
    off = sum(float((a - b).square().sum()) for a, b in zip(our_gradients, their_gradients, strict=True)) ** 0.5
    assert off <= tolerance * sum(float(b.square().sum()) for b in their_gradients) ** 0.5


def test_dropout_on_attention_follows_the_seed(tiny_encoder: Any) -> None:
    set_dropout(tiny_encoder, 0.3)
    assert start_packing(tiny_encoder)
    encoder = tiny_encoder.to("cuda", torch.bfloat16).train()
    batch = to_device(plain(np.arange(4, 44), np.array([7, 30, 3])), torch.device("cuda"))
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(encode(encoder, batch))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
