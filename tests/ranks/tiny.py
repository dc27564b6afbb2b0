"""What the workers of these tests share: a tiny XLM-R, random token ids as features, and training runs over them.

Only worker scripts import this module (they run with this folder on their path); the tests read what workers saved.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dist_stilts.data.batches import Stream
from dist_stilts.data.prepare import in_memory
from dist_stilts.families.encoding import FeatureRow, feature_row
from dist_stilts.families.features import Features
from dist_stilts.families.kinds import family_of
from dist_stilts.families.masking import Vocabulary
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.spec import IGNORED, Row
from dist_stilts.train.plan import TrainConfig

signal.alarm(330)  # the last resort, if the tests were killed and cannot end their ranks

VOCABULARY = Vocabulary(pad=1, mask=63, ordinary=np.arange(4, 63))
BATCH_SIZE = 32
STEPS = 20
MEAN_TOKENS = 12
ROWS = {"xnli": 50, "mlm": 40, "squad_v1": 30}  # examples; no multiple of the batch size


def train_config(precision: str, ranks: int, accumulation: int, **changes: Any) -> TrainConfig:
    """A short run that warms up, decays, and clips some of its steps.

    Adam divides by the root of the second moment: where a gradient is zero but for rounding (the key biases of
    attention), ``eps`` far above rounding keeps noise from becoming a step of full size.
    """
    settings: dict[str, Any] = {
        "batch_size": BATCH_SIZE,
        "max_micro_tokens": micro_tokens(ranks, accumulation),
        "steps": STEPS,
        "learning_rate": 3e-3,
        "warmup": 0.25,
        "weight_decay": 0.1,
        "eps": 1e-5,
        "max_grad_norm": 1.0,
        "deepspeed": precision,
        "log_every": 1,
        "save_every": 0,
    }
    return TrainConfig(**{**settings, **changes})


def micro_tokens(ranks: int, accumulation: int) -> int:
    """A budget that leads to about so many passes; rows differ, so steps do, and only one pass is certain."""
    return 10**6 if accumulation == 1 else BATCH_SIZE * MEAN_TOKENS // (ranks * accumulation)


def model(tasks: Sequence[str], dropout: float = 0.0, spread: float = 0.2) -> MultiTaskModel:
    """A two-layer XLM-R with fresh heads; the same weights on every rank and in every process.

    Args:
        spread: standard deviation of fresh weights; at 1 predictions differ from row to row.
    """
    from transformers import XLMRobertaConfig, XLMRobertaModel

    config = XLMRobertaConfig(
        vocab_size=64,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
        type_vocab_size=1,
        initializer_range=spread,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        bos_token_id=0,
        pad_token_id=VOCABULARY.pad,
        eos_token_id=2,
    )
    config._attn_implementation = "eager"
    torch.manual_seed(11)
    return MultiTaskModel(XLMRobertaModel(config, add_pooling_layer=False), [get_task(name) for name in tasks])


def stream(task: str, budget: int = 10**6, packs: bool = True) -> Stream:
    """Training rows of a task."""
    spec = get_task(task)
    features = random_features(spec.family, ROWS[task], seed=len(task))
    rows = np.arange(len(features))
    return Stream(task, family_of(spec), features, rows, VOCABULARY, BATCH_SIZE, budget, 5, 0.15, packs)


def random_features(family: str, examples: int, seed: int) -> Features:
    """Rows of 4 to 20 random tokens; choices differ in number, a tagged sentence or a context may be several rows."""
    rng = np.random.default_rng(seed)
    rows: list[FeatureRow] = []
    words = 0
    for example in range(examples):
        for _ in range(rng.integers(1, 4) if family in ("token", "span") else 1):
            lengths = rng.integers(4, 21, rng.integers(2, 6) if family == "choice" else 1)
            labels = _labels(family, lengths, rng)
            segments = [_segment(length, rng).tolist() for length in lengths]
            offsets = _offsets(int(lengths[0])) if family == "span" else []
            row = Row(str(len(rows)), str(example))
            rows.append(feature_row(row, example, segments, labels, offsets=offsets, first_word=words))
            words += sum(label != IGNORED for label in labels) if family == "token" else 0
    return in_memory(rows)


def _segment(length: int, rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([[0], rng.choice(VOCABULARY.ordinary, length - 2), [2]])


def _labels(family: str, lengths: np.ndarray, rng: np.random.Generator) -> list[int]:
    if family == "mlm":
        return []
    if family == "span":
        return sorted(rng.integers(2, lengths[0] - 1, 2).tolist()) if rng.random() < 0.7 else [0, 0]
    if family != "token":
        return [int(rng.integers(3 if family == "sequence" else len(lengths)))]
    inner = rng.integers(0, 17, lengths[0] - 2)
    inner[1:][rng.random(len(inner) - 1) < 0.3] = IGNORED  # later pieces of a word
    return [IGNORED, *inner.tolist(), IGNORED]


def _offsets(length: int) -> list[int]:
    """Characters of a context that begins at the third token, three to a token."""
    context = [3 * token + end for token in range(length - 3) for end in (0, 3)]
    return [-1, -1, -1, -1, *context, -1, -1]


def weights_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all parameters by name."""
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def save_for(rank: int, results: Any) -> None:
    """Save a worker's results where the tests look for them: ``rank-<rank>.pt`` in the worker's first argument."""
    torch.save(results, Path(sys.argv[1]) / f"rank-{rank}.pt")
