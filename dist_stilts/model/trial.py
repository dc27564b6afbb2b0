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

from dist_stilts.errors import UserError, is_out_of_memory
from dist_stilts.families.family import Batch, Family
from dist_stilts.model.folders import not_loaded
from dist_stilts.model.heads import joined
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
def require_same(model: Any, name: str, expected: torch.Tensor, folder: Path | str) -> None:
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
        raise _irreproducible(type(head.task).__name__, folder)


@contextmanager
def on_trial(name: str, folder: Path | str) -> Iterator[None]:
    """Refuse a task model that fails where it is taken apart and tried, as architectures do variously.

    Args:
        name: of its class.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if is_out_of_memory(error):  # not the model's fault
            raise not_loaded("the model cannot be tried", folder, error) from error
        raise _irreproducible(name, folder) from error


def try_heads(model: Any, folder: Path | str) -> None:
    """See that all heads of a model that is about to be trained compute what transformers computes.

    Raises:
        UserError: one does not, such as a head over a decoder, which looks for the last token.
    """
    for name, head in model.heads.items():
        if head.order is None:
            with on_trial(type(head.task).__name__, folder):
                with joined(head, model.encoder) as task:
                    expected = logits_of_transformers(task, head.family)
                require_same(model, name, expected, folder)


def _irreproducible(name: str, folder: Path | str) -> UserError:
    return UserError(
        f"a {name} reads its tokens in a way that cannot be reproduced here",
        where=folder,
        fix="Give a model whose encoder reads whole texts at once, such as XLM-R",
    )
