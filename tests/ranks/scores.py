"""Predictions of one model, as one world size gives them (law 3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import tiny
import torch

from dist_stilts.data.batches import collate
from dist_stilts.evaluate.predict import predict
from dist_stilts.families.best_spans import best_spans
from dist_stilts.families.features import Features
from dist_stilts.families.kinds import family_of
from dist_stilts.families.score import Decoding
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.parallel.world import World
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.spec import TaskSpec

TASKS = ("xnli", "commonsenseqa", "udpos")
QA = get_task("squad_v1")
BATCH_SIZE = 4
DECODING = Decoding(n_best=5, longest=6)
MANY, FEW = 23, 3  # 23 rows divide evenly by nothing; 3 rows are one batch, so all ranks but one have none
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def score(world: World) -> dict[Any, np.ndarray]:
    """``(what, rows, dtype)`` to results. The model has dropout, which scoring must switch off by itself."""
    results: dict[Any, np.ndarray] = {}
    for name, dtype in DTYPES.items():
        model = tiny.model([*TASKS, QA.name], dropout=0.1, spread=1.0).to(dtype).train()
        for examples in (MANY, FEW):
            for spec in map(get_task, TASKS):
                features = tiny.random_features(spec.family, examples, seed=examples)
                model.train()
                results[spec.name, examples, name] = predict(model, spec, features, world, BATCH_SIZE)
            questions = tiny.random_features("span", examples, seed=examples)
            model.train()
            results[QA.name, examples, name] = predict(model, QA, questions, world, BATCH_SIZE, DECODING)
    return results


def one_by_one() -> dict[Any, np.ndarray]:
    """The same in fp32, one row after another in file order, with nothing of the sharded code."""
    model = tiny.model([*TASKS, QA.name], dropout=0.1, spread=1.0).eval()
    results = {}
    for spec in map(get_task, TASKS):
        features = tiny.random_features(spec.family, MANY, seed=MANY)
        results[spec.name] = np.concatenate([_predict_row(model, spec, features, row) for row in range(len(features))])
    questions = tiny.random_features("span", MANY, seed=MANY)
    results[QA.name] = np.concatenate([_answer_row(model, questions, row) for row in range(len(questions))])
    return results


def _predict_row(model: MultiTaskModel, spec: TaskSpec, features: Features, row: int) -> np.ndarray:
    with torch.no_grad():
        return model.logits(head_name(spec), collate(features, [row], family_of(spec))).argmax(-1).numpy()


def _answer_row(model: MultiTaskModel, features: Features, row: int) -> np.ndarray:
    batch = collate(features, [row], family_of(QA))
    offsets = features.offsets[row].reshape(-1, 2)
    context = torch.from_numpy(offsets[:, 0] >= 0)[None]
    with torch.no_grad():
        found = best_spans(model.logits(head_name(QA), batch), context, DECODING.n_best, DECODING.longest).numpy()
    spans = found[:, 1:].reshape(-1, 3)
    for span in spans:
        real = np.isfinite(span[2])
        span[:2] = (offsets[int(span[0]), 0], offsets[int(span[1]), 1]) if real else (0, 0)
    return np.concatenate([found[:, :1], spans.reshape(1, -1)], axis=1)
