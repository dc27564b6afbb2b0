from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dist_stilts.data.batches import plain
from dist_stilts.model.hidden_states import hidden_states
from dist_stilts.model.packing import start_packing

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
