"""The closing report of a phase: what was done, where the time went, how fast it was and what it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dist_stilts.report.progress import duration, rate
from dist_stilts.state_files import Amount, Count


@dataclass(frozen=True)
class Figures:
    """A phase in figures, all its interrupted parts together; plain values, so ``asdict`` goes into ``status.json``.

    Attributes:
        steps: optimiser steps that the weights have seen.
        examples: rows of the training data, each counted once.
        tokens: real tokens trained on, all ranks and passes over the data together; padding is none.
        padding_share: padding among all token slots, 0..1.
        skipped_steps: left out because the loss or its gradient was not finite.
        restarts: how often the phase was begun again with another seed.
        wall_seconds: from the first start of the phase to its end, without the time between two processes.
        training_seconds, saving_seconds, scoring_seconds: parts of it: steps, checkpoints, scores on dev.
        peak_memory_gib: of each rank: allocated on its GPU, or the process's resident set.
        on_gpu: which of the two.
        mfu: model FLOPs utilisation while training, 0..1; ``None`` where the device's peak is unknown.
    """

    steps: Count
    examples: Count
    tokens: Count
    padding_share: Amount
    skipped_steps: Count
    restarts: Count
    wall_seconds: Amount
    training_seconds: Amount
    saving_seconds: Amount
    scoring_seconds: Amount
    peak_memory_gib: Sequence[Amount]
    on_gpu: bool
    mfu: Amount | None = None

    @property
    def ranks(self) -> int:
        """Processes that shared the work."""
        return len(self.peak_memory_gib)

    @property
    def tokens_per_second_per_rank(self) -> float:
        """Real tokens in a second of training; 0 if there was none."""
        return self.tokens / self.training_seconds / self.ranks if self.training_seconds else 0.0

    @property
    def gpu_hours(self) -> float | None:
        """Hours for which GPUs were held, summed over them; ``None`` on the CPU."""
        return self.ranks * self.wall_seconds / 3600 if self.on_gpu else None


def summary(figures: Figures) -> str:
    """The closing report, three lines."""
    return "\n".join(
        f"{name:<6} {text}"
        for name, text in (("work", _work(figures)), ("time", _time(figures)), ("speed", _speed(figures)))
    )


def _work(figures: Figures) -> str:
    parts = [
        _count(figures.steps, "step"),
        _count(figures.examples, "example"),
        f"{_count(figures.tokens, 'real token')} (padding {figures.padding_share:.1%})",
        f"{_count(figures.skipped_steps, 'step')} skipped",
        _count(figures.restarts, "restart"),
    ]
    return ", ".join(parts)


def _time(figures: Figures) -> str:
    parts = {
        "training": figures.training_seconds,
        "saving": figures.saving_seconds,
        "dev scoring": figures.scoring_seconds,
    }
    parts["other"] = max(0.0, figures.wall_seconds - sum(parts.values()))
    whole = max(figures.wall_seconds, 1e-9)
    shares = (f"{name} {duration(seconds)} ({seconds / whole:.1%})" for name, seconds in parts.items())
    return f"{duration(figures.wall_seconds)}: {', '.join(shares)}"


def _speed(figures: Figures) -> str:
    low, high = min(figures.peak_memory_gib), max(figures.peak_memory_gib)
    memory = f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
    kind = "GPU memory" if figures.on_gpu else "memory (RSS)"
    parts = [
        f"{rate(figures.tokens_per_second_per_rank)} real tokens/s per rank on {_count(figures.ranks, 'rank')}",
        f"MFU {figures.mfu:.1%}" if figures.mfu is not None else "",
        f"peak {kind} {memory} GiB per rank",
        f"{figures.gpu_hours:.2f} GPU-hours" if figures.gpu_hours is not None else "",
    ]
    return ", ".join(filter(None, parts))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
