from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from planted import Design, study

from dist_stilts.analysis.curves import Curve
from dist_stilts.analysis.effects import ALL, CURVATURE, ENDS, PER_DOUBLING, TOTAL_GAIN, Effect
from dist_stilts.analysis.estimate import Estimate
from dist_stilts.analysis.noise import Over
from dist_stilts.analysis.regression import Unadjusted
from dist_stilts.analysis.shape import Shape
from dist_stilts.analysis.verdict import verdict

SIZES = (0, 100, 300, 1000)
RISING = Curve(
    *("mnli", "xnli", "accuracy", "l01", SIZES, (40.0, 50.0, 55.0, 58.0), (3, 3, 3, 3), 500, 0),
    fits=(),
    chosen=None,
    shape=Shape.RISING,
    shape_note="no drop beyond chance, p = 1",
    total_gain=Estimate(18.0, 15.0, 21.0),
    per_doubling={100: Estimate(4.0, 3.0, 5.0), 300: Estimate(2.0, 1.0, 3.5), 1000: Estimate(0.5, 0.1, 1.0)},
    half_gain=Estimate(90.0, 60.0, 130.0),
    enough=Estimate(800.0, 500.0, math.inf),
    intervals_over=Over.SEEDS_AND_ROWS,
    **dict.fromkeys(("grid", "line", "low", "high"), ()),
)
STEADY = replace(
    RISING,
    per_doubling={100: Estimate(2.0, 1.0, 3.0), 300: Estimate(2.5, 1.0, 3.5), 1000: Estimate(3.0, 1.0, 4.0)},
    enough=Estimate(None, 900.0, math.inf, censored=True),
)
FALLS = replace(
    RISING, language="l02", shape=Shape.NON_MONOTONE, shape_note="falls from 55 at 300 to 50 at 1,000, p = 0.01"
)
FLAT = replace(RISING, language="l03", shape=Shape.FLAT, total_gain=Estimate(0.5, -1.0, 2.0))
EFFECT = Effect(PER_DOUBLING, "mnli", "syntactic", -0.15, -0.2, -0.1, 0.001, 0.004, -0.02, 0.08, 12, "", -0.8)
NONE = replace(EFFECT, estimate=-0.05, low=-0.1, high=0.02, p=0.2, p_holm=0.6)
UNSURE = replace(RISING, per_doubling={100: Estimate(2.0, 1.0, 3.0), 1000: Estimate(1.5, 0.5, 2.5)})
UNKNOWN = replace(EFFECT, estimate=math.nan, low=math.nan, high=math.nan, p_holm=math.nan, note="3 languages")
UNADJUSTED = replace(EFFECT, unadjusted=(Unadjusted(("share",), "unknown for l04"),))


def scores(**changes: object) -> pd.DataFrame:
    return pd.DataFrame(study(replace(Design(languages=3, sizes=SIZES, rows=20), **changes)).records)


def mean_of(curve: Curve) -> Curve:
    return replace(curve, language="mean xx", is_mean=True)


def text(*curves: Curve, effects: tuple[Effect, ...] = (EFFECT,), **options: object) -> str:
    said = verdict(curves, effects, options.pop("scores", scores()), **options)
    return "\n".join([said.headline, *said.sentences])


def test_gains_that_diminish_beyond_doubt_are_said_to() -> None:
    said = verdict([RISING, mean_of(RISING)], [EFFECT], scores())
    assert said.headline == (
        "Gains diminish as English intermediate examples grow in number; "
        "a doubling brings less to languages further from English (syntactic)."
    )
    body = "\n".join(said.sentences)
    assert "Scores rise in 1 of 1 curve " in body
    assert "in 1 of the 1 where both gains are known; in 1 of them the 95 % intervals do not even overlap." in body
    assert "doubling 100 examples brings 4.0 points (3.0 to 5.0), doubling 1,000 brings 0.5 points (0.1 to 1.0)" in body
    sure = {size: Estimate(gain.value) for size, gain in RISING.per_doubling.items()}
    unsure = text(RISING, *[mean_of(replace(RISING, per_doubling=sure))] * 8)
    assert "brings 4.0 points, doubling 1,000 brings 0.5 points." in unsure
    assert "2 other means over languages: see the curves." in unsure
    assert "less than 0.25 points lies within the sizes studied in 1 of 1 rising curve (from 800 to 800 exa" in body


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        (UNSURE, "Gains seem to diminish"),
        (STEADY, "no evidence that gains diminish"),
        (FLAT, "no gain that stands out from chance"),
        (replace(RISING, per_doubling={100: Estimate(4.0)}), "cannot be told from these sizes"),
    ],
)
def test_what_lies_within_the_noise_is_not_claimed(curve: Curve, words: str) -> None:
    assert words in verdict([curve, mean_of(curve)], [], scores()).headline


def test_curves_that_fall_are_named_and_what_is_not_reached_is_said_so() -> None:
    said = text(STEADY, RISING)
    assert "lies within the sizes studied in 1 of 2 rising curves" in said
    assert "in 1 it was not reached" in said
    assert "less than 0.1 points" in text(STEADY, delta=0.1)
    said = text(RISING, FALLS, FLAT)
    assert "xnli in l02 after mnli (falls from 55 at 300 to 50 at 1,000, p = 0.01)" in said
    assert "No gain beyond chance is seen in 1 of 3 curves." in said
    many = [replace(FALLS, language=f"x{place}") for place in range(9)]
    assert "and 3 more" in text(RISING, *many)
    assert "In most curves scores fall" in verdict([RISING, *many], [], scores()).headline


def test_an_effect_is_said_with_its_direction_numbers_and_correction() -> None:
    said = text(RISING)
    assert "A doubling brings less to languages further from English: -0.015 logits per doubling per 0.1 of" in said
    assert "(95 % interval -0.02 to -0.01, corrected p = 0.004, 12 languages)" in said
    assert "a doubling brings more" in text(RISING, effects=(replace(EFFECT, estimate=0.15, low=0.1, high=0.2),))
    for outcome, words in ((ENDS, "gains end sooner"), (TOTAL_GAIN, "gain less in total"), (CURVATURE, "bend less")):
        assert words in text(RISING, effects=(replace(EFFECT, outcome=outcome),))


def test_no_evidence_comes_with_the_smallest_effect_that_would_show() -> None:
    said = verdict([RISING], [NONE, replace(NONE, distance="genetic", detectable=0.5, p_holm=0.7)], scores())
    assert said.headline.endswith("there is no evidence that it depends on the distance from English.")
    body = "\n".join(said.sentences)
    assert "the smallest corrected p = 0.600 (syntactic) over 2 distances" in body
    assert "an effect smaller than 0.008 (syntactic) to 0.05 (genetic) logits per doubling per 0.1 of distance" in body


@pytest.mark.parametrize(
    ("effects", "words"),
    [
        ([replace(EFFECT, p=0.01, p_holm=0.051)], ["; there is no evidence"]),  # only the corrected p value counts
        ([replace(EFFECT, p_holm=0.049)], ["; a doubling brings less"]),
        (
            [EFFECT, replace(NONE, intermediate=ALL)],
            ["; there is no evidence", "After mnli alone: a doubling brings less"],
        ),
        ([UNKNOWN], ["whether it depends on the distance from English cannot be told", "cannot be told: 3 languages."]),
        ([], ["was not asked"]),
    ],
)
def test_an_effect_is_claimed_where_its_corrected_p_value_says_so(effects: list[Effect], words: list[str]) -> None:
    said = text(RISING, effects=tuple(effects))
    assert [part for part in words if part not in said] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sizes": (0,)}, "Only the baseline"),
        ({"sizes": (0, 100)}, "Only one size (100) has finished: its gain over none is known"),
        ({"sizes": (100,)}, "cannot even be compared with none"),
        ({"stuck": 1.0, "sizes": (100, 300)}, "Every finished run is degenerate"),
        ({"languages": 0}, "Only English has scores"),
    ],
)
def test_a_study_that_cannot_answer_yet_says_so(changes: dict[str, object], words: str) -> None:
    said = verdict([], [], scores(**changes))
    assert words in said.headline
    assert said.sentences
    said = verdict([], [], scores()[:0])
    assert (said.headline, said.sentences) == ("No run has finished yet, so there is nothing to say.", [])


def test_runs_seeds_languages_and_degenerate_scores_are_counted() -> None:
    said = text(RISING, scores=scores(stuck=0.4, seeds=4))
    assert "16 finished runs with 4 seeds: 1 intermediate task at 4 sizes (0, 100, 300, 1,000 examples)" in said
    assert "3 languages beside English" in said
    stuck = scores(stuck=0.4, seeds=4)["degenerate"].sum()
    assert f"{stuck} scores of {stuck // 4} runs are degenerate" in said


@pytest.mark.parametrize(
    ("words", "curve", "changes"),
    [
        ("There is one seed", RISING, {"scores": scores(seeds=1)}),
        ("All seeds share one choice of examples", RISING, {"scores": scores().assign(subset_seed=0)}),
        ("are labelled degenerate but kept", RISING, {"scores": scores().assign(at_chance=True)}),
        ("over seeds alone", replace(RISING, intervals_over=Over.SEEDS), {}),
        ("Controls: shuffled.", RISING, {"controls": ("shuffled",)}),
        ("not adjusted for share: unknown for l04.", RISING, {"effects": (UNADJUSTED,)}),
    ],
)
def test_what_limits_the_answer_is_said_where_it_does(words: str, curve: Curve, changes: dict[str, Any]) -> None:
    assert words in text(curve, **changes)
    assert words not in text(RISING)
    assert "No control was run" in text(RISING)
    assert "related ones" in text(RISING)


def test_texts_for_readers_decide_nothing() -> None:
    note = "not reached within 2,000 examples; not adjusted for share: unknown for l04"
    noted = [replace(curve, enough=replace(curve.enough, note=note)) for curve in (RISING, STEADY, FLAT)]
    renamed = [replace(curve, language="mean zz") for curve in noted]
    assert text(*renamed, effects=(replace(EFFECT, note=note),)) == text(RISING, STEADY, FLAT)
