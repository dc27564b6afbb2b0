"""A phase's sizes as branches of one trunk: the cheaper way to a learning curve (Hägele et al. 2024, arXiv 2405.18392).

One full run per size trains on the smallest subset again for every size. But a decay is all that a run at a constant
rate lacks, and the subsets of one seed are prefixes of one ordering: one trunk passes through them all, and a short
decay at each size takes the place of the full run.

    start ─▶ trunk-n100 ─▶ trunk-n300 ─▶ trunk-n1000     constant rate, each on the rows that those before did not have
                 │             │              │
                 ▼             ▼              ▼
               n100          n300          n1000         decay to zero, on all rows of the size

When the trunk has come to a size it has trained on that subset's rows and on no others, each as many epochs as the
phase says; nested subsets are drawn one after the other, though, not mixed as in a full run. What goes on from one run
to the next are weights, heads, Adam's moments and its count of steps. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dist_stilts.errors import UserError
from dist_stilts.experiment.run_config import REUSE, TRUNK

if TYPE_CHECKING:
    from dist_stilts.experiment.plan import Run


def branched(runs: Sequence[Run], branch: float) -> list[Run]:
    """Put a trunk and its branches in the place of a phase's full runs, parents first.

    The branches have the full runs' names, so that whatever starts from these starts from them.

    Args:
        runs: the full runs of one phase; branch: share of the trunk's epochs so far that a decay lasts.

    Raises:
        UserError: a phase whose steps do not follow from epochs, that never decays, or has fewer than two sizes.
    """
    found: list[Run] = []
    for start in dict.fromkeys(run.start for run in runs):
        full = [run for run in runs if run.start == start]
        _check(full)
        before: Run | None = None
        for run in sorted(full, key=lambda run: (run.size is None, run.size or 0)):
            before = _segment(run, before)
            found += [before, _branch(run, before, branch)]
    return found


def _segment(full: Run, before: Run | None) -> Run:
    """The trunk from one size to the next; only the first warms up, over its share of that segment's steps."""
    train = replace(full.train, schedule="constant", select="last", patience=0, restarts=0)
    segment = replace(
        full,
        name=f"{full.phase}-trunk{full.name.removeprefix(full.phase)}",
        role=TRUNK,
        tasks={name: replace(task, dev=None) for name, task in full.tasks.items()},
        train=train,
        evaluate={},
    )
    return _after(before, segment) if before else segment


def _branch(full: Run, trunk: Run, branch: float) -> Run:
    epochs = round(branch * full.train.epochs, 9)  # a share of the epochs is one of the steps, whatever the rows
    return _after(trunk, replace(full, train=replace(full.train, epochs=epochs)))


def _after(trunk: Run, run: Run) -> Run:
    return replace(run, start=trunk.name, parent=trunk, heads=REUSE, train=replace(run.train, warmup=0.0))


def _check(full: Sequence[Run]) -> None:
    """Refuse what has no trunk or no branches.

    Raises:
        UserError: the first reason.
    """
    where, train = f"phases.{full[0].phase}", full[0].train
    if len(full) < 2 or not full[0].tasks:
        raise UserError(f"{where}.branch needs tasks and two sizes or more", fix=f"Add {where}.sizes, or leave it out")
    for name in ("steps", "max_steps"):
        if getattr(train, name):
            raise UserError(
                f"{where}: branches follow from epochs, but train.{name}={getattr(train, name)} bounds the steps",
                fix=f"Set {where}.train.{name}=null and its epochs",
            )
    if train.schedule == "constant":
        raise UserError(f"{where}: branches decay, but train.schedule is constant", fix="Use linear")
