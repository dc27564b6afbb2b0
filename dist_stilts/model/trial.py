"""Whether a task model computes here what it does in transformers: tried on a few tokens when it is loaded (law 12).

A model that reads its tokens otherwise (causal attention that looks for the last token, pooling by code of its own) is
so refused rather than scored wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from dist_stilts.errors import UserError
from dist_stilts.families.family import Batch, Family
from dist_stilts.model.packing import is_real, segments_of, to_grid

LENGTHS = (5, 3, 4)
"""Lengths of the segments on trial."""
TOLERANCE = 1e-3
"""Greatest difference, against logits of order one: rounding is a thousand times less."""


def batch_on_trial(config: Any, family: Family) -> Batch:
    """A packed batch for any kind of task; of choices, all belong to one question."""
    lengths, pad = torch.tensor(LENGTHS), config.pad_token_id or 0
    count = int(lengths.sum())
    batch = {
        "input_ids": (torch.arange(count) % 3 + pad + 1) % config.vocab_size,  # the padding may be the last of all
        "lengths": lengths,
        "bounds": torch.cat([torch.zeros(1), lengths.cumsum(0)]).int(),
    }
    if family.reads == "choices":
        batch["segments"] = torch.arange(len(LENGTHS))[None]
    if family.reads == "targets":
        batch["targets"] = torch.arange(count)
    return batch


@torch.no_grad()
def logits_of_transformers(task: Any, family: Family) -> torch.Tensor:
    """What a whole task model makes of the batch on trial, padded, in the shape that a head gives."""
    batch = batch_on_trial(task.config, family)
    segments = segments_of(batch)
    real = is_real(segments)
    ids, mask = to_grid(batch["input_ids"], segments, task.config.pad_token_id or 0), real.long()
    task.eval()
    if family.reads == "choices":
        return task(input_ids=ids[None], attention_mask=mask[None]).logits.float()
    out = task(input_ids=ids, attention_mask=mask)
    if family.reads == "rows":
        return out.logits.float()
    if family.reads == "targets":
        return out.logits[real].float()
    spans = torch.stack([out.start_logits, out.end_logits], -1).float()
    return spans.masked_fill(~real[..., None], float("-inf"))


@torch.no_grad()
def require_same(model: Any, name: str, expected: torch.Tensor, folder: Path) -> None:
    """See that a head of the model gives what transformers gave.

    Raises:
        UserError: it does not, or these are no numbers.
    """
    if expected.isnan().any():
        raise UserError("the model's outputs are not numbers (NaN): its weights are broken", where=folder)
    head = model.heads[name]
    model.eval()
    found = model.logits(name, batch_on_trial(head.task.config, head.family))
    if found.shape != expected.shape or not torch.allclose(found, expected, atol=TOLERANCE, rtol=TOLERANCE):
        raise _irreproducible(head.task, folder)


@contextmanager
def on_trial(task: Any, folder: Path) -> Iterator[None]:
    """Refuse a task model that fails where it is taken apart and tried, as architectures do variously."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise _irreproducible(task, folder) from error


def _irreproducible(task: Any, folder: Path) -> UserError:
    return UserError(
        f"a {type(task).__name__} reads its tokens in a way that cannot be reproduced here",
        where=folder,
        fix="Give a model whose encoder reads whole texts at once, such as XLM-R",
    )
