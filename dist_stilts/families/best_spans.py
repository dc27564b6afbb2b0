"""The best answers in a window of context, found exactly: every span is scored, none is passed over."""

from __future__ import annotations

import torch


def best_spans(logits: torch.Tensor, context: torch.Tensor, n_best: int, longest: int) -> torch.Tensor:
    """Score "not in this window" and the ``n_best`` spans, best first, by the sum of their start and end logits.

    Args:
        logits: ``[rows, length, 2]`` of start and end.
        context: ``[rows, length]`` whether each token may be part of an answer.
        longest: most tokens of an answer.

    Returns:
        ``[rows, 1 + 3 n_best]`` float64: the score of the first token, which stands for no answer; then first token,
        last token and score of each span. Where a window has fewer spans the score is ``-inf``.
    """
    length = logits.shape[1]
    start, end = (logits[..., part].masked_fill(~context, float("-inf")) for part in (0, 1))
    longest = min(longest, length)
    padded = torch.nn.functional.pad(end, (0, longest - 1), value=float("-inf"))
    scores = start[..., None] + padded.unfold(1, longest, 1)  # [rows, first token, tokens after it]
    best, place = scores.flatten(1).topk(min(n_best, length * longest), dim=1)
    first, more = place // longest, place % longest
    found = torch.stack([first.double(), (first + more).double(), best.double()], dim=2).flatten(1)
    found = torch.nn.functional.pad(found, (0, 3 * n_best - found.shape[1]), value=float("-inf"))
    return torch.cat([logits[:, :1].sum(2).double(), found], dim=1)
