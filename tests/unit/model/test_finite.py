"""Weights that are no numbers are found, and neither written as a model nor read from one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from models_made import export_model, save_checkpoint
from safetensors.torch import load_file, save_file

from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.model.encoder import load_encoder
from dist_stilts.model.export import export
from dist_stilts.model.fine_tuned import load_model, open_model
from dist_stilts.model.finite import not_finite
from dist_stilts.model.provenance import Provenance
from dist_stilts.tasks.registry import get_task

XNLI = get_task("xnli")
VALUES = (float("nan"), float("inf"), float("-inf"))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_the_tensors_that_hold_something_else_than_numbers_are_named(value: float, dtype: torch.dtype) -> None:
    tensors = {
        "good": torch.tensor([torch.finfo(dtype).max, -1.0], dtype=dtype),
        "bad": torch.tensor([[0.0, value], [1.0, 2.0]], dtype=dtype),
        "none": torch.empty(0, dtype=dtype),
        "whole": torch.tensor([1, 2]),
        "worse": torch.full((5, 1), value, dtype=dtype),
    }
    assert not_finite(tensors.items()) == ["bad", "worse"]
    assert not_finite([]) == []


@pytest.mark.parametrize("part", ["encoder", "head"])
def test_a_model_that_holds_nan_is_not_exported(part: str, tiny_encoder: Any, tokenizer: Any, tmp_path: Path) -> None:
    model = export_model(tmp_path / "good", tiny_encoder, tokenizer, [XNLI])
    (name,) = model.heads
    spoilt = model.encoder if part == "encoder" else model.heads[name]
    with torch.no_grad():
        [*spoilt.parameters()][-1].view(-1)[0] = float("nan")
    with pytest.raises(UserError, match=r"1 tensors hold NaN or infinity \(first: ") as caught:
        export(tmp_path / "bad", model, tokenizer, Provenance("r", "i", "random", "", heads={name: ["xnli"]}))
    assert caught.value.code == EXIT_FAILED
    assert not (tmp_path / "bad" / "model.safetensors").exists()


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", ["roberta.embeddings.word_embeddings.weight", "classifier.out_proj.bias"])
def test_a_model_that_holds_nan_is_refused_by_whoever_reads_it(
    value: float, name: str, tiny_config: Any, tokenizer: Any, tmp_path: Path
) -> None:
    folder = save_checkpoint(tmp_path, "sequence", tiny_config, tokenizer, XNLI.labels)
    tensors = load_file(folder / "model.safetensors")
    tensors[name].view(-1)[-1] = value
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    said = rf"{folder}: 1 tensors of this model hold NaN or infinity \(first: .*{name.partition('.')[2]}\)"
    for read in (lambda: open_model(str(folder)), lambda: load_model(str(folder), [XNLI])):
        with pytest.raises(UserError, match=said):
            read()
    if "embeddings" in name:
        with pytest.raises(UserError, match=said):
            load_encoder(str(folder))
