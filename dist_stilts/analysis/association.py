"""Sentences on the effects of distance, made from their numbers; the part "for whom" of the verdict.

An effect counts where its p value, corrected for the number of distances, is below .05. Where none does, a sentence
says "no evidence", and how large an effect would have had to be to be seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from dist_stilts.analysis.effects import ALL, CURVATURE, ENDS, PER_DOUBLING, TOTAL_GAIN, UNITS, Effect
from dist_stilts.analysis.regression import many
from dist_stilts.report.numbers import p_equals

LEVEL = 0.05
STEP = 0.1
"""Of distance, in which effects are said."""

SAYS = {
    PER_DOUBLING: ("a doubling brings {} to languages further from English", ("less", "more")),
    ENDS: ("gains end {} for languages further from English", ("sooner", "later")),
    CURVATURE: ("curves of languages further from English bend {}", ("less", "more")),
    TOTAL_GAIN: ("languages further from English gain {} in total", ("less", "more")),
}
"""What an effect says, and its word where it is negative and where it is positive."""


def _found(effects: Sequence[Effect]) -> list[Effect]:
    """Effects that pass, the surest first."""
    passed = [effect for effect in effects if effect.p_holm < LEVEL and not math.isnan(effect.estimate)]
    return sorted(passed, key=lambda effect: effect.p_holm)


def _main(effects: Sequence[Effect]) -> list[Effect]:
    """Those of all intermediate tasks together, where there are several."""
    pooled = [effect for effect in effects if effect.intermediate == ALL]
    return pooled or list(effects)


def _says(effect: Effect) -> str:
    sentence, (negative, positive) = SAYS[effect.outcome]
    return sentence.format(negative if effect.estimate < 0 else positive)


def sentences(effects: Sequence[Effect]) -> Iterator[str]:
    """One or more per outcome, then what was found after single intermediate tasks."""
    if not effects:
        yield "Whether distance from English matters was not asked."
        return
    main = _main(effects)
    for outcome in SAYS:
        yield from _of_outcome([effect for effect in main if effect.outcome == outcome])
    for effect in _found([effect for effect in effects if effect not in main]):
        yield f"After {effect.intermediate} alone: {_says(effect)}: {_numbers(effect)}."


def _of_outcome(effects: Sequence[Effect]) -> Iterator[str]:
    """One sentence per effect that is there, or one that says that none was found and how large it may still be."""
    tested = [effect for effect in effects if not math.isnan(effect.estimate)]
    found = _found(tested)
    if not effects:
        return
    question = SAYS[effects[0].outcome][0].format(" or ".join(SAYS[effects[0].outcome][1]))
    if not tested:
        yield f"Whether {question} cannot be told: {effects[0].note}."
    elif not found:
        yield f"There is no evidence that {question}: {_nothing_found(tested)}."
    else:
        first, *rest = (f"{_says(effect)}: {_numbers(effect)}" for effect in found)
        for sentence in (first, *rest):
            yield f"{sentence[0].upper()}{sentence[1:]}."


def _numbers(effect: Effect) -> str:
    unit = UNITS[effect.outcome]
    low, high = sorted((STEP * effect.low, STEP * effect.high))
    return (
        f"{STEP * effect.estimate:+.2g} {unit} per {STEP:g} of {effect.distance} distance "
        f"(95 % interval {low:+.2g} to {high:+.2g}, corrected p {p_equals(effect.p_holm)}, "
        f"{effect.languages} languages)"
    )


def _nothing_found(tested: Sequence[Effect]) -> str:
    nearest = min(tested, key=lambda effect: effect.p_holm)
    ordered = sorted(tested, key=lambda effect: effect.detectable)
    least, most = ordered[0], ordered[-1]
    size = _rounded(STEP * least.detectable)
    if len(tested) > 1:
        size += f" ({least.distance}) to {_rounded(STEP * most.detectable)} ({most.distance})"
    languages = sorted({effect.languages for effect in tested})
    counts = f"{languages[0]} to {languages[-1]}" if len(languages) > 1 else f"{languages[0]}"
    return (
        f"the smallest corrected p {p_equals(nearest.p_holm)} ({nearest.distance}) over "
        f"{many(len(tested), 'distance')}; with {counts} languages a single test at 5 % misses an effect smaller than "
        f"{size} {UNITS[nearest.outcome]} per {STEP:g} of distance more than one time in five"
    )


def _rounded(value: float) -> str:
    """Two figures, never with an exponent: ``0.049``, ``3.7``, ``480``."""
    return f"{float(f'{value:.2g}'):.10g}"


def short(effects: Sequence[Effect]) -> str:
    """The second half of a headline."""
    effects = _main(effects)
    asked = [e for e in effects if e.outcome in (PER_DOUBLING, ENDS) and not math.isnan(e.estimate)]
    if not asked:
        return "whether it depends on the distance from English cannot be told"
    found = _found(asked)
    if not found:
        return "there is no evidence that it depends on the distance from English"
    names = dict.fromkeys(_says(effect) for effect in found)
    return " and ".join(
        f"{sentence} ({', '.join(dict.fromkeys(e.distance for e in found if _says(e) == sentence))})"
        for sentence in names
    )
