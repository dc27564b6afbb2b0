"""What a kind of task is: all that the rest of the product needs to know of it, in one class per kind.

    rows --encode--> feature rows --collate--> packed batch --(encoder, Hugging Face head)--> logits
         --loss_sum--> training            --decode--> predictions --score--> Score

A new kind is one file here and one entry in :data:`dist_stilts.families.kinds.KINDS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import torch

Batch = dict[str, torch.Tensor]
"""See :mod:`dist_stilts.data.batches` for its keys and shapes."""
Reads = Literal["rows", "choices", "targets", "tokens"]
"""What a head is given of a packed batch, and what it gives back:

    rows      one vector per row as the head itself pools it   logits ``[rows, outputs]``
    choices   one vector per choice, pooled likewise           logits ``[rows, choices]``, -inf where there is no choice
    targets   the tokens in ``batch["targets"]``               logits ``[targets, outputs]``
    tokens    all tokens; start and end of a span are scored   logits ``[rows, longest, 2]``, -inf in padding
"""


class Family(ABC):
    """A kind of task.

    Attributes:
        name: as :attr:`dist_stilts.tasks.spec.TaskSpec.family` has it.
        auto_class: the class of transformers that has the head, and loads what we export.
        reads: what its head reads.
        pipeline_tag: the task's name on the Hub.
        has_labels: whether the task names its outputs (classes, tags).
    """

    name: str
    auto_class: str
    reads: Reads
    pipeline_tag: str
    has_labels: bool = False

    def head_config(self, labels: Sequence[str]) -> dict[str, Any]:
        """What the configuration of a model with this head says of its outputs, in Hugging Face's keys."""
        return {}

    @abstractmethod
    def loss_sum(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Summed loss over the batch's targets, fp32 scalar; the loop divides by the targets of the global batch."""


def named_outputs(labels: Sequence[str]) -> dict[str, Any]:
    """Labels in id order, in the keys of a Hugging Face configuration."""
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
    }
