"""What training costs in floating-point operations, and what a device could do at best: the two halves of MFU.

    MFU = real tokens per second and device * FLOPs per token / peak FLOP/s     (Chowdhery et al. 2022, appendix B)

Only operations that the model cannot do without count: none for padding, none for anything computed twice.
"""

from __future__ import annotations

import re
from typing import Any

LIKE_BERT = ("bert", "camembert", "roberta", "xlm-roberta", "xlm-roberta-xl")
"""Model types whose blocks are four square projections, full attention and two feed-forward matrices."""

_TERA = 1e12
_PEAK_TERAFLOPS = {
    "v100 sxm2": 125,
    "v100 sxm3": 125,
    "v100 pcie": 112,
    "v100s pcie": 130,
    "t4": 65,
    "a100 sxm4": 312,
    "a100 pcie": 312,
    "a30": 165,
    "a40": 149.7,
    "a10": 125,
    "rtx 3090": 71,
    "rtx a6000": 154.8,
    "l4": 121,
    "l40": 181,
    "l40s": 362,
    "rtx 4090": 165.2,
    "h100": 989.4,
    "h100 sxm5": 989.4,
    "h100 pcie": 756,
    "h100 nvl": 835.5,
    "gh200": 989.4,
    "h200": 989.4,
    "h200 nvl": 835.5,
    "b200": 2250,
    "gb200": 2500,
}
"""bf16 with fp32 accumulation (fp16 on V100 and T4, which have no bf16) on dense matrices, by NVIDIA's data sheets and
architecture white papers; where a sheet gives only the number with sparsity, half of it. The keys are what
:func:`_model_name` leaves of a device name; SXM boards of Hopper and later name no form."""


def training_flops_per_token(encoder_config: Any, mean_length: float, predicted_share: float = 0.0) -> float | None:
    """Forward and backward floating-point operations of one training step, per token.

    With N weights in the blocks' matrices and sequences of length L: 6 N + 12 * layers * width * L (Kaplan et al. 2020,
    section 2.1; Chowdhery et al. 2022, appendix B). A multiplication and an addition are two operations, and the
    backward pass costs twice the forward one. Embeddings are looked up, not multiplied; heads that see one token per
    row, softmax, norms and activations are left out.

    Args:
        encoder_config: the encoder's Hugging Face config.
        mean_length: tokens of the sequence that a token is in, on average over *tokens* (sum of the lengths' squares
            over sum of the lengths), padding not counted.
        predicted_share: share of the tokens whose identity the MLM head predicts, 0..1; 0 = no such head.

    Returns:
        FLOPs per token, or ``None`` for an architecture that is not :data:`LIKE_BERT`.
    """
    if encoder_config.model_type not in LIKE_BERT:
        return None
    layers, width = encoder_config.num_hidden_layers, encoder_config.hidden_size
    weights = layers * (4 * width * width + 2 * width * encoder_config.intermediate_size)
    attention = 12 * layers * width * mean_length
    output_layer = width * width + width * encoder_config.vocab_size  # a dense layer, then one score per word
    return float(6 * weights + attention + 6 * predicted_share * output_layer)


def peak_flops(device_name: str) -> float | None:
    """The device's peak in FLOP/s on dense bf16 matrices.

    Args:
        device_name: as ``torch.cuda.get_device_name`` gives it.

    Returns:
        ``None`` for CPUs and for names that are not in the table: slices (MIG) and laptop versions of those that are,
        too.
    """
    peak = _PEAK_TERAFLOPS.get(_model_name(device_name))
    return None if peak is None else peak * _TERA


def _model_name(device_name: str) -> str:
    """Without maker, brand and memory: ``NVIDIA A100-SXM4-80GB`` is ``a100 sxm4``."""
    words = re.split(r"[\s\-]+", device_name.lower())
    return " ".join(word for word in words if not re.fullmatch(r"nvidia|tesla|geforce|\d+gb|hbm\d\w?", word))
