"""Made-up result tables of a study with known curves and a known effect of distance, to try the analysis on.

A score is the share of right answers among some test rows. Its true value is the population value over test rows and
over runs: what one would measure with endlessly many of both. Test rows, runs and languages are then drawn:

* per language and target a rising power law of the size, ``level + gain * (1 - (1 + n / bend) ** -beta)``, on the logit
  scale or in points; its gain and its exponent may depend on the language's distance from English, and scatter;
* a test row is right where ``hardness + luck + run < threshold`` (a probit model): its hardness is the same in every
  run and partly shared by the languages, as in translated test sets; the run's part is partly shared by its languages.
  The threshold is set so that the marginal probability is exactly the true score, whatever the noise.

Nothing here is measured on a model. For training on a made-up world see :mod:`dist_stilts.simulate.world`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from dist_stilts.conventions import ENGLISH

CHANCE = 100 / 3
"""Percent; where a run is stuck that learned nothing."""
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Design:
    """What is drawn. Gains and levels are in logits, or in points where ``scale`` says so.

    Args:
        languages: how many beside English; their distances are drawn evenly from ``distance_range``.
        targets: name -> metric; outcomes per test row are given for "accuracy" alone.
        gain_slope: what one unit of distance adds to the gain. 0 = no effect of distance is planted.
        beta_slope: what one unit of distance adds to the exponent.
        level_slope: what one unit of distance adds to the score without intermediate training.
        gain_spread, level_spread: standard deviations between languages, beside the effect of distance.
        pair_spread: standard deviation of gains between the targets of a language.
        run_noise, run_language_noise: standard deviations between runs, shared by languages and not; in probits.
        hardness: share of the variance of right answers (within a run) that belongs to the test row.
        declining: these languages (by place, 0 = the first after English) lose ``decline`` per doubling from
            ``decline_from`` on.
        covariates: name -> correlation with distance.
        covariate_gain: what one standard deviation of each covariate adds to the gain.
        others: distances that have no effect, name -> correlation with the distance that is planted.
        stuck: probability that a run learns nothing and is degenerate.
    """

    languages: int = 12
    sizes: tuple[int, ...] = (0, 100, 300, 1000, 3000)
    seeds: int = 3
    targets: Mapping[str, str] = field(default_factory=lambda: {"xnli": "accuracy"})
    rows: int = 500
    scale: str = "logit"
    distance_range: tuple[float, float] = (0.1, 0.6)
    level: float = 0.0
    gain: float = 1.2
    beta: float = 0.5
    bend: float = 100.0
    gain_slope: float = 0.0
    beta_slope: float = 0.0
    level_slope: float = 0.0
    gain_spread: float = 0.15
    level_spread: float = 0.2
    pair_spread: float = 0.0
    run_noise: float = 0.05
    run_language_noise: float = 0.03
    hardness: float = 0.5
    declining: tuple[int, ...] = ()
    decline_from: int = 300
    decline: float = 0.3
    covariates: Mapping[str, float] = field(default_factory=dict)
    covariate_gain: float = 0.0
    others: Mapping[str, float] = field(default_factory=dict)
    stuck: float = 0.0
    intermediate: str = "mnli"


@dataclass(frozen=True)
class TrueCurve:
    """The true score of one (target, language) at any size, percent.

    ``decline`` is lost per doubling of the size from ``decline_from`` on.
    """

    scale: str
    level: float
    gain: float
    beta: float
    bend: float
    largest: int
    decline: float = 0.0
    decline_from: int = 1

    def score(self, size: float | Array) -> Any:
        """Percent; the population value over test rows and runs."""
        sizes = np.asarray(size, float)
        value = self.level + self.gain * (1 - (1 + sizes / self.bend) ** -self.beta)
        value = value - self.decline * np.log2(np.maximum(sizes / self.decline_from, 1))
        return 100 / (1 + np.exp(-value)) if self.scale == "logit" else np.clip(value, 0, 100)

    def total_gain(self) -> float:
        """Points from no intermediate training to the largest size."""
        return float(self.score(self.largest) - self.score(0))

    def per_doubling(self, size: float) -> float:
        """Points from going from ``size`` to twice as many."""
        return float(self.score(2 * size) - self.score(size))

    def half_gain(self) -> float:
        """The smallest size with half of the total gain; nan where nothing is gained."""
        if self.total_gain() <= 0:
            return math.nan
        sizes = np.concatenate([[0.0], np.geomspace(1e-2, self.largest, 20_000)])
        return float(sizes[np.argmax(self.score(sizes) >= self.score(0) + self.total_gain() / 2)])

    def enough(self, delta: float = 0.25) -> float:
        """The size n* beyond which no doubling brings ``delta`` points; 0 where none ever does, inf if beyond 1e9."""
        sizes = np.geomspace(1.0, 1e9, 40_000)
        brings = np.flatnonzero(self.score(2 * sizes) - self.score(sizes) >= delta)
        if not len(brings):
            return 0.0
        return math.inf if brings[-1] == len(sizes) - 1 else float(sizes[brings[-1]])


@dataclass(frozen=True)
class Truth:
    """What was planted: a curve per (target, language), and the slopes on distance that the analysis estimates."""

    curves: Mapping[tuple[str, str], TrueCurve]
    expected: Mapping[tuple[str, str], TrueCurve]
    """The same without what scatters between languages: what is left is due to distance and target."""
    distances: Mapping[str, float]
    sizes: tuple[int, ...]

    def mean_score(self, target: str, size: float) -> float:
        """Percent, unweighted mean over the languages but English."""
        return float(np.mean([self.curves[target, language].score(size) for language in self.distances]))

    def slope_on_distance(self) -> float:
        """Logits per doubling of the size, and per unit of distance.

        The coefficient of log2(size) x distance in a regression of the logit score on the sizes beyond 0, over these
        languages and with nothing but distance at work; exact, as no more is drawn.
        """
        sizes = np.array([size for size in self.sizes if size > 0], float)
        slopes = {
            pair: np.polyfit(np.log2(sizes), logit(curve.score(sizes)), 1)[0] for pair, curve in self.expected.items()
        }
        return self._on_distance(slopes)

    def gain_on_distance(self) -> float:
        """Points of total gain per unit of distance."""
        return self._on_distance({pair: curve.total_gain() for pair, curve in self.expected.items()})

    def beta_on_distance(self) -> float:
        """Units of the exponent per unit of distance."""
        return self._on_distance({pair: curve.beta for pair, curve in self.expected.items()})

    def enough_on_distance(self, delta: float = 0.25) -> float:
        """Doublings of n* per unit of distance; nan where some n* is 0 or infinite."""
        ends = {pair: curve.enough(delta) for pair, curve in self.expected.items()}
        if any(end in (0, math.inf) for end in ends.values()):
            return math.nan
        return self._on_distance({pair: math.log2(end) for pair, end in ends.items()})

    def _on_distance(self, values: Mapping[tuple[str, str], float]) -> float:
        pairs = [pair for pair in values if pair[1] in self.distances]
        return float(np.polyfit([self.distances[pair[1]] for pair in pairs], [values[pair] for pair in pairs], 1)[0])


@dataclass(frozen=True)
class Results:
    """A made-up study.

    Args:
        records: one per run, target and language, with the columns that the analysis reads.
        outcomes: (run, target, language) -> [rows] float32, 1 where the row is right.
        distances: name -> language -> distance; "planted" is the one at work.
        covariates: name -> language -> value.
    """

    records: list[dict[str, Any]]
    outcomes: dict[tuple[str, str, str], Array]
    distances: dict[str, dict[str, float]]
    covariates: dict[str, dict[str, float]]
    truth: Truth


def logit(percent: Any) -> Any:
    """log(p / (1 - p)) of a percentage."""
    return np.log(percent / (100 - percent))


def study(design: Design, seed: int = 0) -> Results:
    """Draw one table of results; the same for the same design and seed."""
    rng = np.random.default_rng(seed)
    languages = [f"l{place:02d}" for place in range(1, design.languages + 1)]
    planted = rng.uniform(*design.distance_range, len(languages))
    others = {name: _correlated(rng, planted, r) for name, r in design.others.items()}
    covariates = {name: _standard(_correlated(rng, planted, r)) for name, r in design.covariates.items()}
    truth = _truth(design, rng, languages, planted, sum(covariates.values(), np.zeros(len(languages))))
    records: list[dict[str, Any]] = []
    outcomes: dict[tuple[str, str, str], Array] = {}
    for target, metric in design.targets.items():
        curves = {language: truth.curves[target, language] for language in [ENGLISH, *languages]}
        for record, right in _runs(design, rng, target, metric, curves):
            records.append(record)
            if metric == "accuracy":
                outcomes[record["run"], target, record["language"]] = right
    distances = {
        name: dict(zip([ENGLISH, *languages], [0.0, *values.tolist()], strict=True))
        for name, values in {"planted": planted, **others}.items()
    }
    named = {name: dict(zip(languages, values.tolist(), strict=True)) for name, values in covariates.items()}
    return Results(records, outcomes, distances, named, truth)


def _standard(values: Array) -> Array:
    return (values - values.mean()) / values.std()


def _correlated(rng: np.random.Generator, planted: Array, correlation: float) -> Array:
    """Values in 0..1 or so, of the given correlation with ``planted`` in expectation."""
    mixed = correlation * _standard(planted) + math.sqrt(1 - correlation**2) * rng.standard_normal(len(planted))
    return 0.4 + 0.12 * mixed


def _truth(
    design: Design, rng: np.random.Generator, languages: Sequence[str], planted: Array, covariate: Array
) -> Truth:
    """Curves around the middle of the distances, so that the planted slopes turn them about their mean."""
    curves: dict[tuple[str, str], TrueCurve] = {}
    expected: dict[tuple[str, str], TrueCurve] = {}
    from_middle = planted - sum(design.distance_range) / 2
    level_scatter, gain_scatter = rng.standard_normal((2, len(languages)))
    gain_scatter = design.gain_spread * gain_scatter + design.covariate_gain * covariate
    for target in design.targets:
        expected[target, ENGLISH] = curves[target, ENGLISH] = _expected(design, -sum(design.distance_range) / 2)
        pair_scatter = design.pair_spread * rng.standard_normal(len(languages))
        for place, language in enumerate(languages):
            curve = expected[target, language] = _expected(design, from_middle[place])
            curves[target, language] = replace(
                curve,
                level=curve.level + design.level_spread * level_scatter[place],
                gain=curve.gain + gain_scatter[place] + pair_scatter[place],
                decline=design.decline if place in design.declining else 0.0,
                decline_from=design.decline_from,
            )
    return Truth(curves, expected, dict(zip(languages, planted.tolist(), strict=True)), design.sizes)


def _expected(design: Design, from_middle: float) -> TrueCurve:
    """The curve of a language at this distance from the middle of the distances, with nothing else at work."""
    return TrueCurve(
        scale=design.scale,
        level=design.level + design.level_slope * from_middle,
        gain=design.gain + design.gain_slope * from_middle,
        beta=max(design.beta + design.beta_slope * from_middle, 0.05),
        bend=design.bend,
        largest=max(design.sizes),
    )


def _runs(
    design: Design, rng: np.random.Generator, target: str, metric: str, curves: Mapping[str, TrueCurve]
) -> Iterator[tuple[dict[str, Any], Array]]:
    """(record, right or wrong per test row) of every run and language on one target."""
    shared = rng.standard_normal(design.rows)
    hardness = {language: (shared + rng.standard_normal(design.rows)) / math.sqrt(2) for language in curves}
    for size in design.sizes:
        for seed in range(design.seeds):
            run_noise = design.run_noise * rng.standard_normal()
            stuck = size > 0 and rng.random() < design.stuck
            dev = float("nan")
            for language, curve in curves.items():
                noise = run_noise + design.run_language_noise * rng.standard_normal()
                percent = CHANCE if stuck else float(curve.score(size))
                right = _outcomes(design, rng, hardness[language], noise, percent)
                value = 100 * float(right.mean())
                dev = value if language == ENGLISH else dev
                yield _record(design, target, metric, language, size, seed, value, dev, stuck), right


def _outcomes(design: Design, rng: np.random.Generator, hardness: Array, noise: float, percent: float) -> Array:
    """[rows] float32, 0 or 1; of the marginal probability ``percent`` over rows, luck and the noise of runs."""
    variance = 1 + design.run_noise**2 + design.run_language_noise**2
    threshold = NormalDist().inv_cdf(min(max(percent / 100, 1e-6), 1 - 1e-6)) * math.sqrt(variance)
    luck = rng.standard_normal(design.rows)
    latent = math.sqrt(design.hardness) * hardness + math.sqrt(1 - design.hardness) * luck + noise
    return (latent < threshold).astype(np.float32)


def _record(
    design: Design, target: str, metric: str, language: str, size: int, seed: int, value: float, dev: float, stuck: bool
) -> dict[str, Any]:
    return {
        "intermediate": design.intermediate if size else "",
        "size": size,
        "seed": seed,
        "subset_seed": seed,
        "trained": True,
        "target": target,
        "metric": metric,
        "language": language,
        "value": value,
        "count": design.rows,
        "degenerate": stuck,
        "reason": "stuck at chance" if stuck else "",
        "run": f"{design.intermediate}-{size}-{target}-s{seed}" if size else f"none-{target}-s{seed}",
        "dev": dev,
    }
