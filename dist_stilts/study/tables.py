"""The page's tables: every number that the figures show, and those that they do not. Pure: no files, no drawing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dist_stilts.analysis.effects import ALL, PER_DOUBLING, UNITS, Effect
from dist_stilts.analysis.typology import HALF, Distances
from dist_stilts.report.numbers import ABSENT, exact_size, fine_points, p_value, plain, points, rounded_size, signed
from dist_stilts.report.render import Sheet
from dist_stilts.study.numbers import NO_INTERVAL, show
from dist_stilts.tasks.languages import in_order

if TYPE_CHECKING:
    import pandas as pd

    from dist_stilts.analysis.curves import Curve

IMPUTED = "°"
OUTCOMES = {PER_DOUBLING: "Gain per doubling against distance: does more English data help distant languages less?"}
"""What an outcome is called above its table; others by their own name."""


def quantities(curves: Sequence[Curve]) -> Sheet:
    """What the curves of one target and intermediate task say of every language."""
    first = curves[0]
    head = ["language", "total gain", "per doubling at the end", "half gain at", "n*", "course", "form", "AICc"]
    lines = [
        [
            curve.language,
            show(curve.total_gain, points),
            *[show(one, fine_points) for one in _last(curve.per_doubling)],
            show(curve.half_gain, rounded_size),
            show(curve.enough, rounded_size),
            f"{curve.shape}: {curve.shape_note}" if curve.shape_note else str(curve.shape),
            *_form(curve),
        ]
        for curve in curves
    ]
    over = sorted({curve.intervals_over for curve in curves})
    notes = [f"[ ]: 95 % intervals over {' or '.join(over)}. Gains in percentage points, sizes in English examples."]
    caption = f"{first.target} after {first.intermediate}: what the curves say"
    return Sheet(caption, [*head, "held-out error"], lines, notes)


def _last(per_doubling: Mapping[int, Any]) -> list[Any]:
    """The gain at the largest size: always one entry."""
    from dist_stilts.analysis.estimate import Estimate

    return [per_doubling[max(per_doubling)] if per_doubling else Estimate(None, note="one size")]


def _form(curve: Curve) -> list[str]:
    """Name, AICc and error at the largest size when held out; no form falls, so none fits a curve that does."""
    chosen = curve.chosen
    if chosen is None or curve.shape.falls:
        return ["none fits", ABSENT, ABSENT]
    error = ABSENT if chosen.held_out_error is None else plain(chosen.held_out_error)
    return [chosen.form, plain(chosen.aicc, 1), error]


def measured(curves: Sequence[Curve]) -> Sheet:
    """Mean scores by size, as they were measured, and how many runs they stand on."""
    first = curves[0]
    sizes = sorted({size for curve in curves for size in curve.sizes})
    lines = []
    for curve in curves:
        mean_of = dict(zip(curve.sizes, curve.means, strict=True))
        cells = [plain(mean_of[size], 1) if size in mean_of else ABSENT for size in sizes]
        lines.append([curve.language, *cells, _span(curve.seeds), f"{curve.count:,}", str(curve.left_out)])
    caption = f"{first.target} after {first.intermediate}: {first.metric} in percent, by size of the English data"
    return Sheet(caption, ["language", *map(exact_size, sizes), "runs per size", "test rows", "left out"], lines, [])


def doublings(curves: Sequence[Curve]) -> Sheet:
    """Gain from n to 2n examples at every size n."""
    first = curves[0]
    sizes = sorted({size for curve in curves for size in curve.per_doubling})
    lines = [
        [
            curve.language,
            *(show(curve.per_doubling[n], fine_points) if n in curve.per_doubling else ABSENT for n in sizes),
        ]
        for curve in curves
    ]
    caption = f"{first.target} after {first.intermediate}: points gained by doubling the English data from"
    return Sheet(caption, ["language", *map(exact_size, sizes)], lines, [])


def _span(values: Sequence[int]) -> str:
    if not values:
        return "0"
    return str(min(values)) if min(values) == max(values) else f"{min(values)}–{max(values)}"


def effect_tables(effects: Sequence[Effect]) -> list[Sheet]:
    """One table per outcome; a line per intermediate task and distance."""
    head = ["distance", "after", "effect", "95 % interval", "p", "Holm p", "per SD", "detectable", "languages", "note"]
    found = []
    pooled_first = sorted(effects, key=lambda effect: effect.intermediate != ALL)
    for outcome in dict.fromkeys(effect.outcome for effect in effects):
        lines = [_effect_line(effect) for effect in pooled_first if effect.outcome == outcome]
        unit = f"Effects in {UNITS.get(outcome, 'units of the outcome')} per unit of distance."
        notes = [f"{unit} Detectable: the smallest true effect that this design finds with 80 % power."]
        found.append(Sheet(OUTCOMES.get(outcome, outcome.capitalize()), head, lines, notes))
    return found


def _effect_line(effect: Effect) -> list[str]:
    interval = f"[{signed(effect.low, 3)}, {signed(effect.high, 3)}]"
    if math.isnan(effect.low):
        interval = ABSENT if math.isnan(effect.estimate) else NO_INTERVAL
    return [
        effect.distance,
        effect.intermediate,
        signed(effect.estimate, 3),
        interval,
        p_value(effect.p),
        p_value(effect.p_holm),
        signed(effect.standardised, 3),
        plain(effect.detectable, 3),
        str(effect.languages),
        effect.note,
    ]


def typology(distances: Distances) -> Sheet:
    """Distance and, in brackets, the share of its features that was observed; imputed ones marked."""
    names = list(distances.values.columns)
    lines = [
        [str(language), *(_distance(distances, str(language), name) for name in names)]
        for language in distances.values.index
    ]
    notes = [
        f"In brackets: share of the features observed in both languages. {IMPUTED}: less than half were observed, "
        "the distance rests on imputation (hollow in the figures).",
        *(f"{name}: {note}" for name, note in distances.notes.items()),
    ]
    return Sheet(f"Distance from English. Source: {distances.source}", ["language", *names], lines, notes)


def _distance(distances: Distances, language: str, name: str) -> str:
    value, observed = (float(frame.loc[language, name]) for frame in (distances.values, distances.observed))
    if math.isnan(value):
        return ABSENT
    share = "" if math.isnan(observed) else f" ({observed:.0%})"
    return f"{value:.2f}{IMPUTED * (observed < HALF)}{share}"


def covariates(frame: pd.DataFrame) -> Sheet:
    """What else is held fixed in the regressions."""
    lines = [[str(language), *(plain(float(value)) for value in row)] for language, row in frame.iterrows()]
    return Sheet("Covariates of the regressions", ["language", *map(str, frame.columns)], lines, [])


def by_pair(curves: Sequence[Curve]) -> dict[tuple[str, str], list[Curve]]:
    """(target, intermediate) -> its curves, the mean first: it is what is read first in a table."""
    languages = in_order(curve.language for curve in curves)
    order = sorted(curves, key=lambda c: (c.target, c.intermediate, not c.is_mean, languages.index(c.language)))
    groups: dict[tuple[str, str], list[Curve]] = {}
    for curve in order:
        groups.setdefault((curve.target, curve.intermediate), []).append(curve)
    return groups
