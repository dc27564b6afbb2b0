from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models_made import Oracle

from dist_stilts.data.prepare import Wanted, prepare
from dist_stilts.errors import UserError
from dist_stilts.evaluate.predict import evaluation_dtype, predict
from dist_stilts.families.kinds import family_of
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.parallel.world import current
from dist_stilts.tasks.registry import get_task


@pytest.mark.parametrize(("task", "max_length"), [("xnli", 64), ("udpos", 64), ("udpos", 6)])
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_predictions_come_back_in_file_order(
    task: str, max_length: int, batch_size: int, world: Path, tokenizer: Any, tmp_path: Path
) -> None:
    spec = get_task(task)
    features = prepare(Wanted(spec, world, "dev", "en", max_length), tokenizer, tmp_path).features
    found = predict(Oracle(features), spec, features, current(), batch_size)
    gold = np.concatenate([labels[labels >= 0] for labels in features.labels])
    if max_length == 64:  # stretches of a few words may be alike but for their tags
        assert found.tolist() == gold.tolist()
    assert len(found) == len(gold)


@pytest.mark.parametrize("task", ["xnli", "commonsenseqa", "udpos"])
def test_predictions_do_not_depend_on_the_batch_size(
    task: str, world: Path, tokenizer: Any, tiny_encoder: Any, tmp_path: Path
) -> None:
    spec = get_task(task)
    torch.manual_seed(1)
    model = MultiTaskModel(tiny_encoder, [spec])
    features = prepare(Wanted(spec, world, "train", "en", 12), tokenizer, tmp_path).features
    small, large = (predict(model, spec, features, current(), size) for size in (3, 64))
    assert small.tolist() == large.tolist()
    assert len(set(small.tolist())) > 1
    assert len(small) == (family_of(spec).predictions(features))


def test_dtype_follows_the_device_unless_named() -> None:
    assert evaluation_dtype("auto", torch.device("cpu")) == torch.float32
    assert evaluation_dtype("auto", torch.device("cuda")) == torch.bfloat16
    assert evaluation_dtype("bfloat16", torch.device("cpu")) == torch.bfloat16
    with pytest.raises(UserError, match="bfloat6"):
        evaluation_dtype("bfloat6", torch.device("cpu"))
