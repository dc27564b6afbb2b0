"""One training twice, packed and padded: the same rows in the same order, without dropout; their losses in one picture.

python benchmarks/loss_curve.py --model FOLDER --data FOLDER --split test --steps 60 --out packed_and_padded.svg
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from typing import Any

import torch
from bench_common import Job, add_arguments, conditions, job_of, rows_of
from contenders import start_ours

from dist_stilts.parallel.world import World, started
from dist_stilts.train.checkpoint import TrainState
from dist_stilts.train.loop import train
from dist_stilts.train.selection import DevScore, Selection

WAYS = {"packed": None, "padded": "padded"}


class Losses:
    """The loop's hooks: they keep what is logged."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def log(self, state: Any, values: dict[str, float]) -> None:
        """One step's loss."""
        self.found.append(values["loss"])

    def save(self, state: Any) -> None:
        """No checkpoints here."""

    def score_dev(self, state: Any) -> DevScore:
        """No scores either."""
        return DevScore(None)


def main() -> None:
    """Train both ways, draw, and say how far they are apart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--out", default="packed_and_padded.svg", help="picture")
    given = parser.parse_args()
    job = replace(job_of(given), warmup_steps=1)  # every step is logged
    os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(job.threads)
    with started() as world:
        losses = {name: losses_of(replace(job, variant=variant), world) for name, variant in WAYS.items()}
    draw(losses, given.out)
    apart = [abs(one - other) / other for one, other in zip(*losses.values(), strict=True)]
    print(f"{conditions(job)}\n{job.steps} steps, {job.deepspeed}, no dropout; loss {losses['packed'][0]:.4f} to")
    print(f"{losses['packed'][-1]:.4f} packed, {losses['padded'][-1]:.4f} padded; greatest difference {max(apart):.2%}")


def losses_of(job: Job, world: World) -> list[float]:
    """The loss of every step."""
    features, vocabulary = rows_of(job, job.split)
    engine, work = start_ours(job, features, vocabulary, world, job.steps)
    for module in engine.module.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    hooks = Losses()
    train(engine, work, TrainState(), Selection(work.config, work.plan), world, hooks)
    engine.destroy()
    return hooks.found


def draw(losses: dict[str, list[float]], out: str) -> None:
    """Both curves, one dashed upon the other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    for (name, values), style in zip(losses.items(), ("-", "--"), strict=True):
        axes.plot(range(1, len(values) + 1), values, style, label=name)
    axes.set(xlabel="optimiser step", ylabel="training loss, nats")
    axes.legend(frameon=False)
    figure.savefig(out)


if __name__ == "__main__":
    main()
