"""The few numbers at the top of the page that the verdict stands on, and what had to be left out. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dist_stilts.analysis.effects import ALL, PER_DOUBLING, UNITS
from dist_stilts.report.numbers import exact_size, fine_points, p_equals, points, rounded_size, signed
from dist_stilts.study.numbers import show

if TYPE_CHECKING:
    import pandas as pd

    from dist_stilts.analysis.curves import Curve
    from dist_stilts.analysis.effects import Effect

PAIRS = 3
"""So many pairs of intermediate task and target are all listed; of more, the largest and the smallest gain."""


class Fact(NamedTuple):
    """One number with its name, and what a reader has to know with it."""

    name: str
    value: str
    note: str = ""


def facts(runs: Sequence[Mapping[str, Any]], curves: Sequence[Curve], effects: Sequence[Effect]) -> list[Fact]:
    """How much was run, what it brought, where gains end, and the clearest effect of a distance."""
    found = [_runs(runs)] if runs else []
    scored = [curve for curve in curves if curve.sizes]
    if scored:
        languages = {curve.language for curve in scored if not curve.is_mean}
        sizes = sorted({size for curve in scored for size in curve.sizes})
        across = f"{exact_size(sizes[0])} to {sizes[-1]:,} examples"
        found.append(Fact("languages", str(len(languages)), f"{len(sizes)} sizes, {across}"))
    return found + _gains(scored) + _clearest(effects)


def _runs(runs: Sequence[Mapping[str, Any]]) -> Fact:
    states = Counter(str(run.get("state", "")) for run in runs)
    rest = ", ".join(f"{count} {state}" for state, count in states.items() if state != "done")
    return Fact("runs done", f"{states['done'] + states['degenerate']:,} of {len(runs):,}", rest)


def _gains(curves: Sequence[Curve]) -> list[Fact]:
    means = [curve for curve in curves if curve.is_mean and curve.total_gain.value is not None]
    order = sorted(means, key=lambda curve: -(curve.total_gain.value or 0.0))
    if len(order) > PAIRS:
        order = [order[0], order[-1]]
    return [
        Fact(
            f"points on {curve.target} after {exact_size(curve.sizes[-1])} {curve.intermediate}",
            show(curve.total_gain, points),
            f"n* {show(curve.enough, rounded_size)}; last doubling {_last(curve)}",
        )
        for curve in order
    ]


def _last(curve: Curve) -> str:
    return show(curve.per_doubling[max(curve.per_doubling)], fine_points) if curve.per_doubling else "unknown"


def _clearest(effects: Sequence[Effect]) -> list[Fact]:
    """The effect on the gain per doubling with the smallest corrected p; of the pooled ones where there are such."""
    tested = [effect for effect in effects if effect.outcome == PER_DOUBLING and not math.isnan(effect.p_holm)]
    tested = [effect for effect in tested if effect.intermediate == ALL] or tested
    if not tested:
        return []
    best = min(tested, key=lambda effect: (effect.p_holm, effect.p))
    after = "all intermediate tasks" if best.intermediate == ALL else best.intermediate
    interval = "" if math.isnan(best.low) else f" [{signed(best.low, 3)}, {signed(best.high, 3)}]"
    return [
        Fact(
            f"{UNITS[PER_DOUBLING]} and unit of {best.distance} distance, after {after}",
            f"{signed(best.estimate, 3)}{interval}",
            f"p {p_equals(best.p)}, Holm {p_equals(best.p_holm)}; clearest of {len(tested)} effects",
        )
    ]


def left_out(scores: pd.DataFrame, runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """What no number on the page contains."""
    found = []
    degenerate = scores[scores["degenerate"].astype(bool)] if len(scores) else scores
    if len(degenerate):
        reasons = ", ".join(sorted(filter(None, set(degenerate["reason"]))))
        count = f"{len(degenerate):,} of {len(scores):,} scores, of {degenerate['run'].nunique():,} runs"
        found.append(f"Left out as degenerate: {count}{f' ({reasons})' if reasons else ''}.")
    if "at_chance" in scores and scores["at_chance"].any():
        kept = scores.loc[scores["at_chance"].astype(bool), "run"].nunique()
        found.append(f"Labelled degenerate as is every run of their size and of all smaller ones; kept: {kept:,} runs.")
    if failed := [str(run["name"]) for run in runs if run.get("state") == "failed"]:
        count = f"{len(failed):,} run{'s' * (len(failed) > 1)}"
        found.append(f"Failed and in no number: {count}; the table of runs says why.")
    return found
