from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dist_stilts.data.batches import plain
from dist_stilts.model.hidden_states import hidden_states
from dist_stilts.model.packing import start_packing
from dist_stilts.model.pooling import mean_pool, normalise, pool

INPUTS = {
    "input_ids": torch.tensor([[0, 20, 30, 40, 2], [0, 50, 2, 1, 1]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
}
BATCH = plain(np.array([0, 20, 30, 40, 2, 0, 50, 2]), np.array([5, 3]))
SIZES = {"vocab_size": 64, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "pad_token_id": 1}
DEBERTA = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
ARCHITECTURES = {
    "xlm-roberta": {},
    "bert": {},
    "xlm-roberta-xl": {},  # norms before its blocks and one at the end
    "modernbert": {"bos_token_id": 0, "cls_token_id": 0, "eos_token_id": 2, "sep_token_id": 2},
    "deberta-v2": DEBERTA,
    "distilbert": {"dim": 16, "n_heads": 2, "hidden_dim": 32},
    "albert": {"embedding_size": 8},  # one block, run three times
}


def encoder_of(kind: str) -> Any:
    from transformers import AutoConfig, AutoModel

    sizes = SIZES if kind != "distilbert" else {"vocab_size": 64, "pad_token_id": 1}
    layers = {"n_layers" if kind == "distilbert" else "num_hidden_layers": 3}
    torch.manual_seed(0)
    return AutoModel.from_config(AutoConfig.for_model(kind, **sizes, **layers, **ARCHITECTURES[kind])).eval()


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("kind", ARCHITECTURES)
@torch.no_grad()
def test_layers_are_those_of_hugging_face_in_every_architecture(kind: str, packing: bool) -> None:
    encoder = encoder_of(kind)
    expected = encoder(**INPUTS, output_hidden_states=True).hidden_states
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if packing and start_packing(encoder) else {"rtol": 0, "atol": 0}
    assert len(expected) == 4
    for layers in [(0,), (1,), (2,), (3,), (2, 0), (0, 1, 2, 3), (3, 3)]:
        found = hidden_states(encoder, BATCH, layers)
        for layer, states in zip(layers, found, strict=True):
            torch.testing.assert_close(states, expected[layer][INPUTS["attention_mask"] == 1], **tolerance)


@torch.no_grad()
def test_no_block_above_the_highest_wanted_layer_is_run_and_a_failed_pass_leaves_no_trace() -> None:
    encoder = encoder_of("xlm-roberta")
    run: list[int] = []
    for number, block in enumerate(encoder.encoder.layer):
        block.register_forward_hook(lambda *_, number=number: run.append(number))
    hidden_states(encoder, BATCH, (2, 0))
    assert run == [0, 1]
    hidden_states(encoder, BATCH, (3,))
    assert run == [0, 1, 0, 1, 2]
    with pytest.raises(IndexError):
        hidden_states(encoder, plain(np.array([0, 99, 2]), np.array([3])), (1,))
    assert encoder(**INPUTS).last_hidden_state.shape == (2, 5, 16)


def test_mean_is_taken_over_real_tokens_only_and_cls_is_the_first_whatever_the_mask_says() -> None:
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]], [[5.0, 5.0], [7.0, 7.0], [0.0, 3.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert mean_pool(hidden, mask).tolist() == [[2.0, 4.0], [4.0, 5.0]]
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]], dtype=torch.bfloat16)
    first = pool(hidden, torch.tensor([[0, 1]]), "cls")
    assert first.dtype == torch.float32
    assert first.tolist() == [[1.0, 2.0]]
    assert pool(hidden, torch.tensor([[0, 1]]), "mean").tolist() == [[3.0, 6.0]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_padding_changes_nothing_and_half_precision_is_pooled_in_fp32(dtype: torch.dtype) -> None:
    hidden = torch.randn(2, 100, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    padded = torch.cat([hidden, torch.full((2, 9, 8), 1e4, dtype=dtype)], dim=1)
    mask = torch.cat([torch.ones(2, 100), torch.zeros(2, 9)], dim=1).long()
    pooled = mean_pool(hidden, torch.ones(2, 100))
    torch.testing.assert_close(mean_pool(padded, mask), pooled)
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled.double(), hidden.double().mean(1), rtol=1e-5, atol=1e-6)


def test_normalised_rows_have_length_one_and_those_of_nothing_are_zero_not_nan() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 2.0], [0.0, 0.0]])
    torch.testing.assert_close(normalise(rows), torch.tensor([[0.6, 0.8], [0.0, 1.0], [0.0, 0.0]]))
    assert mean_pool(torch.ones(1, 3, 2), torch.zeros(1, 3)).tolist() == [[0.0, 0.0]]
