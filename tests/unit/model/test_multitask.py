from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dist_stilts.data.batches import plain
from dist_stilts.errors import UserError
from dist_stilts.model.encoder import HEADS, Provenance, encoder_digest, export
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel, load_model
from dist_stilts.tasks.registry import get_task

MNLI, XNLI, UDPOS, MLM = (get_task(name) for name in ("mnli", "xnli", "udpos", "mlm"))
ROWS = ([0, 20, 30, 40, 2], [0, 50, 2])


def packed(rows: Sequence[list[int]], **more: torch.Tensor) -> dict[str, torch.Tensor]:
    return {**plain(np.concatenate(rows), np.array(list(map(len, rows)))), **more}


BATCH = packed(ROWS, labels=torch.tensor([2, 0]))


@pytest.fixture
def model(tiny_encoder: Any) -> MultiTaskModel:
    torch.manual_seed(0)
    return MultiTaskModel(tiny_encoder, [MNLI, XNLI, UDPOS, MLM]).eval()


@pytest.fixture
def folder(model: MultiTaskModel, tokenizer: Any, tmp_path: Path) -> Path:
    heads = {head_name(MNLI): ["mnli"], head_name(UDPOS): ["udpos"]}
    provenance = Provenance("run", "id", "random", encoder_digest(model.encoder), [], heads)
    del model.heads["mlm"]
    export(tmp_path, model.encoder, model.heads, tokenizer, provenance)
    return tmp_path


def test_rows_of_a_batch_have_logits_of_their_own_and_their_losses_sum_up(model: MultiTaskModel) -> None:
    assert set(model.heads) == {head_name(MNLI), head_name(UDPOS), "mlm"}, "MNLI and XNLI train one head"
    rows, name = zip(ROWS, BATCH["labels"], strict=True), head_name(XNLI)
    alone = sum(model(name, packed([row], labels=label[None])) for row, label in rows)
    torch.testing.assert_close(model(name, BATCH), alone)
    logits = model.logits(name, BATCH)
    torch.testing.assert_close(logits[1:], model.logits(name, packed(ROWS[1:])))
    assert model.predict(name, BATCH).tolist() == logits.argmax(-1).tolist()
    assert model.predict(head_name(UDPOS), {**BATCH, "targets": torch.tensor([1, 2])}).shape == (2,)


def test_masked_language_modelling_trains_the_word_embeddings_it_predicts_with(model: MultiTaskModel) -> None:
    model("mlm", {**BATCH, "targets": torch.tensor([2]), "labels": torch.tensor([777])}).backward()
    encoder: Any = model.encoder
    gradient = encoder.get_input_embeddings().weight.grad
    assert gradient is not None
    assert gradient[777].abs().sum() > 0


def test_a_loaded_model_gives_the_logits_of_the_exported_one(model: MultiTaskModel, folder: Path) -> None:
    loaded, tokenizer, provenance = load_model(str(folder), [XNLI, UDPOS])
    name = head_name(XNLI)
    torch.testing.assert_close(loaded.eval().logits(name, BATCH), model.logits(name, BATCH), rtol=0, atol=0)
    assert provenance is not None
    assert provenance.run == "run"
    assert tokenizer.pad_token_id == 1


def test_a_model_without_the_tasks_head_is_refused(folder: Path) -> None:
    commonsenseqa = get_task("commonsenseqa")
    with pytest.raises(UserError, match=r"no trained head for 'commonsenseqa' \(heads: mnli, udpos\)"):
        load_model(str(folder), [XNLI, commonsenseqa])
    (folder / HEADS).unlink()
    with pytest.raises(UserError, match="no trained head for 'xnli'"):
        load_model(str(folder), [XNLI])
    assert len(load_model(str(folder), [])[0].heads) == 0, "retrieval needs none"


def test_weights_that_are_not_what_their_provenance_says_are_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["embeddings.LayerNorm.bias"][0] += 1e-3
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="not the parent's weights"):
        load_model(str(folder), [XNLI])
