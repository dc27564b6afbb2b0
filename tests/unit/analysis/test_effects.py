from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from planted import Design, Results, study

from dist_stilts.analysis.curves import Curve
from dist_stilts.analysis.effects import ALL, CURVATURE, ENDS, PER_DOUBLING, TOTAL_GAIN, Effect, effects
from dist_stilts.analysis.estimate import Estimate
from dist_stilts.analysis.forms import Fit
from dist_stilts.analysis.regression import Unadjusted
from dist_stilts.analysis.shape import Shape
from dist_stilts.analysis.typology import Distances

PLANTED = Design(gain_slope=-3.0, gain_spread=0.1, rows=1000)


def distances(results: Results, **more: dict[str, float]) -> Distances:
    values = pd.DataFrame({**results.distances, **more})
    return Distances(values, values * 0 + 1, "made up")


def known_curves(results: Results, intermediate: str = "mnli") -> list[Curve]:
    """The true curves as if they had been fitted without error, English and the mean too."""
    found = []
    for (target, language), truth in results.truth.curves.items():
        end = truth.enough()
        enough = Estimate(end) if end <= max(results.truth.sizes) else Estimate(None, censored=True)
        found.append(
            Curve(
                *(intermediate, target, "accuracy", language, results.truth.sizes, (), (), 100, 0),
                fits=(Fit("power law", {"beta": truth.beta}, 0.0, None),),
                chosen=None,
                shape=Shape.RISING,
                shape_note="",
                total_gain=Estimate(truth.total_gain()),
                per_doubling={},
                half_gain=Estimate(None),
                enough=enough,
                **dict.fromkeys(("intervals_over", "grid", "line", "low", "high"), ()),
            )
        )
    return [*found, dataclasses.replace(found[-1], is_mean=True, total_gain=Estimate(1e6))]


def analysed(results: Results, curves: list[Curve] | None = None, **options: object) -> dict[tuple[str, str], Effect]:
    """(outcome, distance) -> effect, of one intermediate task."""
    found = effects(
        pd.DataFrame(results.records),
        known_curves(results) if curves is None else curves,
        options.pop("distances", distances(results)),
        pd.DataFrame(results.covariates, index=list(results.truth.distances)),
        permutations=200,
        **options,
    )
    return {(effect.outcome, effect.distance): effect for effect in found}


def test_a_planted_slope_is_found_in_its_unit_and_an_idle_distance_is_not() -> None:
    results = study(dataclasses.replace(PLANTED, others={"idle": 0.0}), 2)
    found = analysed(results)
    effect = found[PER_DOUBLING, "planted"]
    assert effect.low < results.truth.slope_on_distance() < effect.high < 0
    assert effect.p_holm < 0.05
    assert effect.partial_r < -0.8
    assert effect.languages == 12
    spread = np.std(list(results.truth.distances.values()), ddof=1)
    assert effect.standardised == pytest.approx(effect.estimate * spread)
    assert found[PER_DOUBLING, "idle"].p_holm > 0.05


def test_outcomes_of_the_curves_are_regressed_in_their_units() -> None:
    wide = dataclasses.replace(PLANTED, sizes=(0, 100, 1000, 10_000, 100_000), gain_spread=0.0, level_spread=0.0)
    results = study(dataclasses.replace(wide, beta=1.2, beta_slope=1.0), 2)
    found = analysed(results)
    assert found[TOTAL_GAIN, "planted"].estimate == pytest.approx(results.truth.gain_on_distance(), rel=1e-6)
    assert found[CURVATURE, "planted"].estimate == pytest.approx(results.truth.beta_on_distance(), rel=1e-6)
    assert found[ENDS, "planted"].estimate == pytest.approx(results.truth.enough_on_distance(), rel=1e-3)
    assert found[ENDS, "planted"].p < 0.05


def test_sizes_not_reached_are_counted_and_those_unknown_left_out() -> None:
    results = study(PLANTED, 2)
    curves = known_curves(results)
    unknown = Estimate(None, note="not reached, says this text for readers, which decides nothing")
    curves[3] = dataclasses.replace(curves[3], enough=unknown, shape=Shape.NON_MONOTONE)
    found = analysed(results, curves)
    ends = [truth.enough() for (_, name), truth in results.truth.curves.items() if name not in ("en", "l03")]
    reached = sum(end <= 3000 for end in ends)
    assert f"n* not reached in {11 - reached} of 11 curves" in found[ENDS, "planted"].note
    assert "n* not known in 1 curves" in found[ENDS, "planted"].note
    assert found[ENDS, "planted"].languages == 11
    assert "beta is known for 11 of 12 curves" in found[CURVATURE, "planted"].note


def test_covariates_take_their_share_of_the_effect() -> None:
    design = Design(languages=30, gain_slope=0.0, covariates={"share": -0.9}, covariate_gain=0.3, rows=1000)
    results = study(design, 4)
    adjusted = analysed(results)[PER_DOUBLING, "planted"]
    plain = analysed(dataclasses.replace(results, covariates={}))[PER_DOUBLING, "planted"]
    assert plain.p < 0.05
    assert adjusted.p > 0.05
    assert adjusted.low < 0 < adjusted.high


def test_english_means_over_languages_and_degenerate_runs_do_not_count() -> None:
    results = study(dataclasses.replace(PLANTED, stuck=0.2), 3)
    kept = [record for record in results.records if record["language"] != "en" and not record["degenerate"]]
    assert any(record["degenerate"] for record in results.records)
    curves = [curve for curve in known_curves(results) if curve.language != "en" and not curve.is_mean]
    assert analysed(dataclasses.replace(results, records=kept), curves) == analysed(results), "nor does anything change"


def test_several_intermediate_tasks_are_analysed_alone_and_together() -> None:
    results = study(PLANTED, 5)
    other = study(dataclasses.replace(PLANTED, intermediate="squad"), 5)
    scores = pd.DataFrame([*results.records, *(record for record in other.records if record["size"])])
    curves = [*known_curves(results), *known_curves(other, "squad")]
    found = effects(scores, curves, distances(results), pd.DataFrame(), permutations=100)
    assert [effect.intermediate for effect in found] == ["mnli"] * 4 + ["squad"] * 4 + [ALL] * 4
    alone, pooled = found[3], found[-1]
    assert (pooled.outcome, pooled.languages) == (TOTAL_GAIN, 12)
    assert pooled.estimate == pytest.approx(alone.estimate)


def test_holm_corrects_over_the_distances_of_one_outcome_that_were_tested() -> None:
    results = study(dataclasses.replace(PLANTED, others={"a": 0.0, "b": 0.0}), 6)
    found = [effect for (outcome, _), effect in analysed(results).items() if outcome == TOTAL_GAIN]
    least = min(found, key=lambda effect: effect.p)
    assert least.p_holm == pytest.approx(min(1.0, 3 * least.p))


def test_what_tells_nothing_is_left_out_by_name_and_nothing_crashes() -> None:
    results = study(PLANTED, 7)
    languages = list(results.truth.distances)
    gap = {language: place / 10 for place, language in enumerate(languages) if language != "l05"}
    more = {"same": dict.fromkeys(languages, 1.0), "few": dict.fromkeys(languages[:3], 0.5), "none": {}, "gap": gap}
    results = dataclasses.replace(results, covariates={"share": dict.fromkeys(languages, 1.0)})
    found = analysed(results, distances=distances(results, **more))
    for outcome in (PER_DOUBLING, ENDS, CURVATURE, TOTAL_GAIN):
        assert "all 12 languages are at the same distance" in found[outcome, "same"].note
        assert "3 languages with a known distance" in found[outcome, "few"].note
        for name in ("same", "few", "none"):
            assert math.isnan(found[outcome, name].estimate)
            assert math.isnan(found[outcome, name].p_holm)
    assert found[TOTAL_GAIN, "planted"].p_holm == pytest.approx(min(1.0, 2 * found[TOTAL_GAIN, "planted"].p))
    assert found[TOTAL_GAIN, "planted"].unadjusted == (Unadjusted(("share",), "the same for all languages"),)
    assert found[TOTAL_GAIN, "gap"].languages == 11
    assert "distance unknown, left out: l05; not adjusted for share: the same" in found[TOTAL_GAIN, "gap"].note


def test_one_seed_and_too_few_languages_for_any_evidence_are_said() -> None:
    effect = analysed(study(dataclasses.replace(PLANTED, seeds=1), 8))[PER_DOUBLING, "planted"]
    assert math.isfinite(effect.low)
    assert "one seed" in effect.note
    results = study(dataclasses.replace(PLANTED, languages=5, others={f"d{place}": 0.0 for place in range(7)}), 9)
    for effect in analysed(results).values():
        assert "5 languages are too few for p < .05 over 8 distances" in effect.note


@pytest.mark.parametrize("sizes", [(), (0,), (0, 100)])
def test_a_study_that_has_hardly_begun_has_no_slopes(sizes: tuple[int, ...]) -> None:
    results = study(PLANTED, 0)
    scores = pd.DataFrame(results.records)
    found = effects(scores[scores["size"].isin(sizes)], [], distances(results), pd.DataFrame())
    assert all(math.isnan(effect.estimate) for effect in found)
