"""Weights that are no numbers: found where they are written and where they are read, in one pass over them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn

from dist_stilts.errors import UserError


def not_finite(named: Iterable[tuple[str, torch.Tensor]]) -> list[str]:
    """The names of the tensors that hold NaN or infinity; on a GPU the host waits once."""
    names, found = [], []
    for name, tensor in named:
        if tensor.numel() and tensor.is_floating_point():
            names.append(name)
            ends = torch.stack(torch.aminmax(tensor.detach()))  # both are NaN where one element is
            found.append(ends.isfinite().all())
    good = torch.stack(found).tolist() if found else []
    return [name for name, is_good in zip(names, good, strict=True) if not is_good]


def require_finite(model: nn.Module, where: Path) -> None:
    """UserError if a parameter of a model that was read from a folder is not finite."""
    if bad := not_finite(model.named_parameters()):
        raise UserError(
            f"{len(bad)} tensors of this model hold NaN or infinity (first: {bad[0]}): its training had failed",
            where=where,
            fix="Train it again with a lower train.learning_rate, or give another model",
        )
