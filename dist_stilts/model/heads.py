"""One small head per task on top of the shared encoder.

Tasks that name the same head share it (MNLI and XNLI do, and all of multiple choice). Every head gives fp32 logits and
the *sum* of its losses: dividing by the global number of targets is the loop's business.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy, gelu, linear

from dist_stilts.conventions import sha256_of_text
from dist_stilts.model.packing import Batch, segments_of, to_grid
from dist_stilts.tasks.spec import IGNORED, UNSEEN, WITHHELD, TaskSpec

MLM = "mlm"
"""Name of the masked-language-model head."""


def head_name(spec: TaskSpec) -> str:
    """The head that a task uses; labels are part of its name, so that other labels are another head."""
    name = spec.head or spec.name
    digest = sha256_of_text("\t".join(spec.labels))[:6]
    return f"{name}-{len(spec.labels)}-{digest}" if spec.labels else name


def make_head(spec: TaskSpec, config: Any) -> nn.Module:
    """A fresh head for the task, initialised as the encoder's library would."""
    head: nn.Module
    if spec.family == "mlm":
        head = MaskedTokenHead(config)
    elif spec.family == "token":
        head = TokenHead(config, len(spec.labels))
    elif spec.family == "span":
        head = SpanHead(config)
    else:
        head = SentenceHead(config, len(spec.labels) if spec.family == "sequence" else 1)
    std = getattr(config, "initializer_range", 0.02)
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std)
            nn.init.zeros_(module.bias)
    return head


def _dropout(config: Any) -> nn.Dropout:
    rate = getattr(config, "classifier_dropout", None)
    return nn.Dropout(getattr(config, "hidden_dropout_prob", 0.1) if rate is None else rate)


class SentenceHead(nn.Module):
    """Dense, tanh, linear on the first token: pair classification, and multiple choice with one score per choice."""

    def __init__(self, config: Any, outputs: int) -> None:
        super().__init__()
        self.dropout = _dropout(config)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.out = nn.Linear(config.hidden_size, outputs)

    def forward(self, hidden: torch.Tensor, batch: Batch) -> torch.Tensor:
        """``[tokens, width]`` to logits ``[rows, classes]`` or ``[rows, choices]``."""
        first = torch.tanh(self.dense(self.dropout(hidden[batch["bounds"][:-1]])))
        logits = self.out(self.dropout(first)).float()
        if "segments" not in batch:
            return logits
        absent = batch["segments"] < 0
        return logits[batch["segments"].clamp(min=0), 0].masked_fill(absent, float("-inf"))


class TokenHead(nn.Module):
    """Linear on every token: tagging."""

    def __init__(self, config: Any, outputs: int) -> None:
        super().__init__()
        self.dropout = _dropout(config)
        self.out = nn.Linear(config.hidden_size, outputs)

    def forward(self, hidden: torch.Tensor, batch: Batch) -> torch.Tensor:
        """``[tokens, width]`` to logits of the predicted tokens only, ``[targets, tags]``."""
        return self.out(self.dropout(hidden[batch["targets"]])).float()


class SpanHead(nn.Module):
    """Linear on every token, twice: where an answer starts and where it ends."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.out = nn.Linear(config.hidden_size, 2)

    def forward(self, hidden: torch.Tensor, batch: Batch) -> torch.Tensor:
        """``[tokens, width]`` to logits of start and end, ``[rows, longest, 2]``; padding is ruled out."""
        return to_grid(self.out(hidden).float(), segments_of(batch), float("-inf"))


class MaskedTokenHead(nn.Module):
    """Dense, gelu, layer norm, and the word embeddings as output layer: masked language modelling."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden: torch.Tensor, batch: Batch, embeddings: torch.Tensor) -> torch.Tensor:
        """``[tokens, width]`` to logits of the masked tokens only, ``[targets, vocabulary]``."""
        masked = self.layer_norm(gelu(self.dense(hidden[batch["targets"]])))
        return linear(masked, embeddings, self.bias).float()


def loss_sum(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Summed cross-entropy over the batch's targets, fp32; an answer's is the mean of those of its start and end."""
    labels = batch["labels"]
    if logits.ndim == 3:
        return cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum") / 2
    labels = labels.masked_fill((labels == UNSEEN) | (labels == WITHHELD), IGNORED)
    return cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
