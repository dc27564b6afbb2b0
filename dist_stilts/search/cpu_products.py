"""Matrix products in fp32 on a CPU by oneDNN instead of PyTorch's BLAS: for the search, and for the encoders before it.

PyTorch's x86 builds send fp32 products to MKL, which does not use AVX-512 on every maker's processors; oneDNN, which
they hold too and use for bf16, does. The products are as exact; only the order of summation differs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


def inner_products(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> None:
    """All inner products of the rows ``[n, d]`` and ``[m, d]``, fp32, into ``out`` ``[n, m]``, on any device."""
    if _has_onednn(left.device):
        out.copy_(_linear(left, right))
    else:
        torch.mm(left, right.T, out=out)


def fast_linear(device: torch.device) -> AbstractContextManager[Any]:
    """While the block runs, let linear layers use oneDNN where it is there; for forward passes without gradients."""
    return _OneDnn() if _has_onednn(device) else nullcontext()


def _has_onednn(device: torch.device) -> bool:
    # The operator that torch.compile puts in the place of a linear layer; it is not public, so it may be gone one day.
    there = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return device.type == "cpu" and there


class _OneDnn(TorchFunctionMode):
    """Answers ``torch.nn.functional.linear`` with oneDNN's operator."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        wanted = func is torch.nn.functional.linear and args and args[0].dtype == torch.float32
        return (_linear if wanted and not torch.is_grad_enabled() else func)(*args, **(kwargs or {}))


def _linear(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(input, weight, bias, "none", [], "")
    return result
