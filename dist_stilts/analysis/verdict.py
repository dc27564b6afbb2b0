"""The answer in plain words, generated from the numbers: do gains diminish, and for whom?

Every sentence is made of counts, estimates and intervals of the curves and effects given; what they do not show is said
as "no evidence". English is in none of the counts of curves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from dist_stilts.analysis import association
from dist_stilts.analysis.effects import Effect
from dist_stilts.analysis.estimate import Estimate
from dist_stilts.analysis.noise import Over
from dist_stilts.analysis.regression import many
from dist_stilts.analysis.shape import Shape
from dist_stilts.conventions import ENGLISH

if TYPE_CHECKING:
    from dist_stilts.analysis.curves import Curve

NAMED = 6
"""More curves than these are counted, not named."""
ODD = {Shape.NON_MONOTONE: "Scores rise and fall again", Shape.FALLING: "Scores fall with more examples"}


@dataclass(frozen=True)
class Verdict:
    """``headline``: one sentence; ``sentences``: what it rests on, then what to keep in mind."""

    headline: str
    sentences: list[str]


def verdict(
    curves: Sequence[Curve],
    effects: Sequence[Effect],
    scores: pd.DataFrame,
    *,
    delta: float = 0.25,
    controls: Sequence[str] = (),
) -> Verdict:
    """The verdict on a study, finished or not.

    Args:
        scores: one row per score (intermediate, size, seed, target, language, run, degenerate).
        delta: points, as n* was defined for the curves.
        controls: intermediate tasks that were trained without anything to learn from them.
    """
    design = _design(scores)
    early = _nothing_yet(scores)
    if early:
        return Verdict(early, [*design, *_caveats(curves, effects, scores, controls)] if len(scores) else [])
    own = [curve for curve in curves if curve.language != ENGLISH and not curve.is_mean]
    means = [curve for curve in curves if curve.is_mean]
    body = [*design, *_diminishing(own, means), *_ends(own, delta), *_odd_shapes(own), *association.sentences(effects)]
    return Verdict(_headline(own, means, effects), [*body, *_caveats(curves, effects, scores, controls)])


def _nothing_yet(scores: pd.DataFrame) -> str:
    """A headline where the study cannot answer the question, or nothing."""
    if not len(scores):
        return "No run has finished yet, so there is nothing to say."
    good = scores[~scores["degenerate"].astype(bool)]
    if not len(good):
        return "Every finished run is degenerate, so there is nothing to say about gains."
    if not len(good[good["language"] != ENGLISH]):
        return "Only English has scores so far, so there is nothing to say about transfer to other languages."
    sizes = sorted(good["size"].unique())
    positive = [size for size in sizes if size > 0]
    if not positive:
        return "Only the baseline, without intermediate training, has finished: there are no gains to speak of yet."
    if len(positive) == 1:
        against = "its gain over none is known" if 0 in sizes else "it cannot even be compared with none"
        return f"Only one size ({positive[0]:,}) has finished: {against}, but not what more examples would bring."
    return ""


def _design(scores: pd.DataFrame) -> list[str]:
    if not len(scores):
        return []
    sizes = sorted(int(size) for size in scores["size"].unique())
    tasks = [name for name in scores["intermediate"].unique() if name]
    languages = set(scores["language"]) - {ENGLISH}
    found = [
        f"The results are from {many(scores['run'].nunique(), 'finished run')} with "
        f"{many(scores['seed'].nunique(), 'seed')}: {many(len(tasks), 'intermediate task')} at "
        f"{many(len(sizes), 'size')} ({', '.join(f'{size:,}' for size in sizes)} examples), "
        f"{many(scores['target'].nunique(), 'target')}, {many(len(languages), 'language')} beside English."
    ]
    degenerate = scores[scores["degenerate"].astype(bool)]
    if len(degenerate):
        found.append(
            f"{many(len(degenerate), 'score')} of {many(degenerate['run'].nunique(), 'run')} "
            f"{'is' if len(degenerate) == 1 else 'are'} degenerate (at chance, or one answer for everything) "
            "and left out."
        )
    chance = scores[scores["at_chance"].astype(bool)] if "at_chance" in scores else scores[:0]
    if len(chance):
        found.append(
            f"{many(len(chance), 'score')} of {many(chance['run'].nunique(), 'run')} are labelled degenerate but kept, "
            "because every run of that size and of all smaller ones is: at chance, or one answer for everything, is "
            "what so few examples bring."
        )
    return found


# Do gains diminish?


def _ends_of(curve: Curve) -> tuple[Estimate, Estimate] | None:
    """Gain per doubling at the smallest and the largest size beyond 0, where both are known."""
    sizes = sorted(curve.per_doubling)
    if len(sizes) < 2:
        return None
    first, last = curve.per_doubling[sizes[0]], curve.per_doubling[sizes[-1]]
    return None if first.value is None or last.value is None else (first, last)


def _less(pair: tuple[Estimate, Estimate]) -> bool:
    first, last = pair
    return first.value is not None and last.value is not None and last.value < first.value


def _clearly_less(pair: tuple[Estimate, Estimate]) -> bool:
    first, last = pair
    return first.low is not None and last.high is not None and last.high < first.low


def _diminishing(own: Sequence[Curve], means: Sequence[Curve]) -> Iterator[str]:
    rising = [curve for curve in own if curve.shape is Shape.RISING]
    known = [pair for curve in rising if (pair := _ends_of(curve))]
    if not known:
        yield f"{_scores_rise(rising, own)} How their gain per doubling changes cannot be told from these sizes."
        return
    less, clear = (sum(map(test, known)) for test in (_less, _clearly_less))
    intervals = any(last.high is not None for _, last in known)
    yield (
        f"{_scores_rise(rising, own)} A doubling brings less at the largest size than at the smallest in {less} of the "
        f"{len(known)} where both gains are known"
        + (
            f"; in {clear} of them the 95 % intervals do not even overlap."
            if intervals
            else "; there are no intervals."
        )
    )
    told = [(curve, pair) for curve in means if (pair := _ends_of(curve))]
    for curve, (first, last) in told[:NAMED]:
        sizes = sorted(curve.per_doubling)
        yield (
            f"Mean over languages, {curve.target} after {curve.intermediate}: doubling {sizes[0]:,} examples brings "
            f"{_points(first)}, doubling {sizes[-1]:,} brings {_points(last)}."
        )
    if len(told) > NAMED:
        yield f"{many(len(told) - NAMED, 'other mean')} over languages: see the curves."


def _scores_rise(rising: Sequence[Curve], own: Sequence[Curve]) -> str:
    return (
        f"Scores rise in {len(rising)} of {many(len(own), 'curve')} (one target, language and intermediate task each)."
    )


def _points(estimate: Estimate) -> str:
    if estimate.value is None:
        return "an unknown number of points"
    value = f"{estimate.value:z.1f} points"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} ({estimate.low:z.1f} to {estimate.high:z.1f})"


def _ends(own: Sequence[Curve], delta: float) -> Iterator[str]:
    """How many of the rising curves reach n* within the sizes."""
    own = [curve for curve in own if curve.shape is Shape.RISING]
    what = f"The size beyond which a doubling brings less than {delta:g} points"
    reached = [curve.enough.value for curve in own if curve.enough.value and curve.enough.value <= curve.sizes[-1]]
    never = sum(curve.enough.value == 0 for curve in own)
    beyond = sum(curve.enough.censored or (curve.enough.value or 0) > curve.sizes[-1] for curve in own)
    known = len(reached) + never + beyond
    if not known:
        yield f"{what} is not known for any rising curve."
        return
    yield (
        f"{what} lies within the sizes studied in {len(reached)} of {many(known, 'rising curve')}"
        + (f" (from {min(reached):,.0f} to {max(reached):,.0f} examples)" if reached else "")
        + (f"; in {beyond} it was not reached" if beyond else "")
        + (f"; in {never} no doubling ever brings that much" if never else "")
        + "."
    )


def _odd_shapes(own: Sequence[Curve]) -> Iterator[str]:
    for shape, says in ODD.items():
        found = [curve for curve in own if curve.shape is shape]
        if found:
            named = "; ".join(
                f"{curve.target} in {curve.language} after {curve.intermediate} ({curve.shape_note})"
                for curve in found[:NAMED]
            )
            more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
            yield f"{says} in {len(found)} of {many(len(own), 'curve')}: {named}{more}."
    flat = sum(curve.shape is Shape.FLAT for curve in own)
    if flat:
        yield f"No gain beyond chance is seen in {flat} of {many(len(own), 'curve')}."


# The headline and what to keep in mind


def _headline(own: Sequence[Curve], means: Sequence[Curve], effects: Sequence[Effect]) -> str:
    return f"{_gains_headline(own, means)}; {association.short(effects)}."


def _gains_headline(own: Sequence[Curve], means: Sequence[Curve]) -> str:
    """By the means over languages, which are surest, where these have intervals; else by counting curves."""
    if sum(curve.shape.falls for curve in own) > len(own) / 2:
        return "In most curves scores fall with more English examples, at once or after a peak"
    if not any(_gains(curve) for curve in means or own):
        where = " on average over languages" if any(curve.shape is Shape.RISING for curve in own) else ""
        return f"English intermediate examples bring no gain that stands out from chance{where}"
    known = [pair for curve in own if curve.shape is Shape.RISING and (pair := _ends_of(curve))]
    if not known:
        return "English intermediate examples bring gains, but whether these diminish cannot be told from these sizes"
    of_means = [pair for curve in means if (pair := _ends_of(curve))]
    if of_means and sum(map(_clearly_less, of_means)) > len(of_means) / 2:
        return "Gains diminish as English intermediate examples grow in number"
    if sum(map(_less, known)) > len(known) / 2:
        return "Gains seem to diminish as English intermediate examples grow in number, but not beyond doubt"
    return "There is no evidence that gains diminish within these sizes"


def _gains(curve: Curve) -> bool:
    """A total gain above 0, surely so where there is an interval."""
    gain = curve.total_gain
    return gain.value is not None and (gain.value if gain.low is None else gain.low) > 0


def _caveats(
    curves: Sequence[Curve], effects: Sequence[Effect], scores: pd.DataFrame, controls: Sequence[str]
) -> Iterator[str]:
    if scores["seed"].nunique() == 1:
        yield "There is one seed, so nothing is known of how much another would differ, and no curve has an interval."
    if scores["subset_seed"].nunique() == 1 and scores["seed"].nunique() > 1:
        yield "All seeds share one choice of examples, so the intervals leave out what another choice would change."
    if any(curve.intervals_over is Over.SEEDS for curve in curves):
        yield "Intervals of targets without outcomes per test row are over seeds alone: the test rows count as given."
    unadjusted = dict.fromkeys(part for effect in effects for part in effect.unadjusted)
    if unadjusted:
        yield f"Effects of distance are {'; '.join(map(str, unadjusted))}."
    if controls:
        yield f"Controls: {', '.join(controls)}. A gain that they show, too, is not due to what a task teaches."
    else:
        yield (
            "No control was run that trains as long with nothing to learn, so part of a gain may come from training "
            "as such."
        )
    yield (
        "Languages are counted as independent, which related ones are not, and distance goes with much else that "
        "is not adjusted for: an effect of distance is an association."
    )
