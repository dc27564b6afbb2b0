"""The arithmetic of MFU, against the published size of XLM-R Large and against torch counting every operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import ModernBertConfig, XLMRobertaConfig

from dist_stilts.data.batches import plain
from dist_stilts.model.flops import peak_flops, training_flops_per_token
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.tasks.registry import get_task

ROWS, LENGTH, PREDICTED = 3, 24, 4


@pytest.fixture
def large() -> XLMRobertaConfig:
    """XLM-R Large (Conneau et al. 2020): 24 layers of width 1,024, 250,002 words."""
    return XLMRobertaConfig(
        num_hidden_layers=24, hidden_size=1024, intermediate_size=4096, num_attention_heads=16, vocab_size=250_002
    )


def operations(forward: Callable[[], torch.Tensor]) -> int:
    """What torch sees go by in a forward and a backward pass."""
    with FlopCounterMode(display=False) as counter:
        forward().backward()
    return counter.get_total_flops()


def test_xlm_r_large_costs_what_the_302_million_weights_of_its_blocks_say(large: XLMRobertaConfig) -> None:
    at_zero, peak = training_flops_per_token(large, 0), peak_flops("NVIDIA H100 80GB HBM3")
    assert at_zero == 6 * 301_989_888
    for length, extra in ((128, 0.02), (512, 0.083)):
        cost = training_flops_per_token(large, length)
        assert cost - at_zero == pytest.approx(0.295e6 * length, rel=0.001)
        assert cost / at_zero - 1 == pytest.approx(extra, abs=0.001)
    # Two fifths of an H100 are about 210 thousand tokens per second.
    assert 0.4 * peak / training_flops_per_token(large, 192) == pytest.approx(210_000, rel=0.02)
    assert training_flops_per_token(ModernBertConfig(), 128) is None, "other architectures have no count"


def test_the_formula_counts_what_torch_counts_and_the_output_layer_for_predicted_tokens_only(tiny_encoder: Any) -> None:
    tiny_encoder.set_attn_implementation("eager")  # the counter does not know the CPU's fused attention
    ids = torch.randint(5, 50, (ROWS, LENGTH))
    seen = operations(lambda: tiny_encoder(ids).last_hidden_state.sum())
    cost = training_flops_per_token(tiny_encoder.config, LENGTH)
    assert ROWS * LENGTH * cost == seen
    ids = np.random.default_rng(0).integers(5, 50, ROWS * LENGTH)
    targets = torch.arange(ROWS * LENGTH).view(ROWS, LENGTH)[:, :PREDICTED].flatten()
    batch = {**plain(ids, np.full(ROWS, LENGTH)), "targets": targets, "labels": torch.full_like(targets, 7)}
    model = MultiTaskModel(tiny_encoder, [get_task("mlm")])
    tiny_encoder.set_attn_implementation("eager")  # not packed
    cost = training_flops_per_token(tiny_encoder.config, LENGTH, PREDICTED / LENGTH)
    assert ROWS * LENGTH * cost == pytest.approx(operations(lambda: model("mlm", batch)))


PEAKS = {
    "Tesla V100-SXM2-32GB": 125, "Tesla V100-PCIE-16GB": 112, "NVIDIA A100-SXM4-80GB": 312,
    "NVIDIA A100 80GB PCIe": 312, "NVIDIA A10": 125, "NVIDIA H100 80GB HBM3": 989.4, "NVIDIA H100 PCIe": 756,
    "NVIDIA H100 NVL": 835.5, "NVIDIA H200": 989.4, "NVIDIA GH200 480GB": 989.4, "NVIDIA L4": 121,
    "NVIDIA L40S": 362, "NVIDIA GeForce RTX 4090": 165.2, "NVIDIA B200": 2250,
    # Those that only sound like a known one.
    "cpu": None, "": None, "AMD EPYC 7763 64-Core Processor": None, "NVIDIA A100-SXM4-40GB MIG 1g.5gb": None,
    "NVIDIA GeForce RTX 4090 Laptop GPU": None, "NVIDIA GeForce RTX 4090 D": None, "NVIDIA H20": None,
    "NVIDIA A10-24Q": None,
}  # fmt: skip


@pytest.mark.parametrize(("name", "teraflops"), PEAKS.items())
def test_peak_is_the_dense_one_of_the_device(name: str, teraflops: float | None) -> None:
    assert peak_flops(name) == (teraflops and pytest.approx(teraflops * 1e12))
