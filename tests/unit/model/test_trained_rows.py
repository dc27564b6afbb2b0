from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.trained_rows import TrainedRows, all_rows, train_only
from dist_stilts.tasks.registry import get_task

XNLI = get_task("xnli")
IDS = torch.tensor([5, 9, 7, 2, 9, 9, 5, 2])
USED = [2, 5, 7, 9]
NAME = "encoder.embeddings.word_embeddings.weight"


@pytest.fixture
def model(tiny_encoder: Any) -> MultiTaskModel:
    torch.manual_seed(0)
    return MultiTaskModel(tiny_encoder, [XNLI]).train()


def used(model: MultiTaskModel) -> torch.Tensor:
    mask = torch.zeros(len(table_of(model)), dtype=torch.bool)
    mask[USED] = True
    return mask


def table_of(model: MultiTaskModel) -> torch.Tensor:
    return model.encoder.get_input_embeddings().weight.detach()


def train(model: MultiTaskModel, steps: int) -> None:
    """AdamW as the engine steps it: no parameter is without a gradient, those with two dimensions decay."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups)
    torch.manual_seed(1)  # of dropout
    bounds = torch.tensor([0, 5, 8], dtype=torch.int32)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (steps - step) / steps
        model.zero_grad(set_to_none=False)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        batch = {"input_ids": IDS, "lengths": torch.tensor([5, 3]), "bounds": bounds, "labels": torch.tensor([0, 2])}
        model(head_name(XNLI), batch).backward()
        optimizer.step()


def test_training_the_words_used_is_training_all(model: MultiTaskModel) -> None:
    plain, start = copy.deepcopy(model), table_of(model).clone()
    embeddings = train_only(model.encoder, used(model))
    for each in (plain, model):
        train(each, 20)
    # Words that were not trained are known all the same.
    bounds = torch.tensor([0, 20], dtype=torch.int32)
    batch = {"input_ids": torch.arange(20), "lengths": torch.tensor([20]), "bounds": bounds}
    ours, theirs = (each.eval().logits(head_name(XNLI), batch) for each in (model, plain))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    found = all_rows(model, model.encoder, embeddings, dict(model.named_parameters()))
    expected = dict(plain.named_parameters())
    assert found.keys() == expected.keys() == dict(model.named_parameters()).keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight.detach(), rtol=1e-5, atol=1e-6)
    assert (found[NAME] - start)[~used(model)].abs().max() > 1e-4  # it did decay


def test_only_rows_in_use_become_parameters_whose_type_comes_out_and_only_where_they_are_few(
    model: MultiTaskModel,
) -> None:
    table = model.encoder.get_input_embeddings()
    assert train_only(model.encoder, torch.ones(table.num_embeddings, dtype=torch.bool)) is None
    assert model.encoder.get_input_embeddings() is table
    before = sum(p.numel() for p in model.parameters())
    rows, width = table_of(model).shape
    train_only(model.encoder, used(model))
    assert before - sum(p.numel() for p in model.parameters()) == (rows - len(USED)) * width - 1
    rows = model.encoder.get_input_embeddings()
    for parameter in rows.parameters():
        parameter.data = parameter.data.bfloat16()
    for mode, ids in ((True, IDS), (False, torch.arange(20))):
        assert rows.train(mode)(ids).dtype == torch.bfloat16


def test_the_row_of_padding_gets_no_gradient_where_it_occurs() -> None:
    whole = nn.Embedding(6, 3, padding_idx=1)
    mask = torch.tensor([True, True, False, True, False, False])
    rows = TrainedRows(whole, mask).train()
    ids = torch.tensor([0, 1, 3, 1])
    rows(ids).sum().backward()
    whole(ids).sum().backward()
    assert torch.equal(rows.weight.grad, whole.weight.grad[mask])
    assert torch.equal(rows(ids), whole(ids))
