"""Made-up content for the page: curves of any number of languages, targets and intermediate tasks, without training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from results_made import layer_record

from dist_stilts.analysis.cells import MEAN
from dist_stilts.analysis.curves import Curve
from dist_stilts.analysis.effects import PER_DOUBLING, TOTAL_GAIN, Effect
from dist_stilts.analysis.estimate import Estimate
from dist_stilts.analysis.forms import Fit
from dist_stilts.analysis.noise import Over
from dist_stilts.analysis.shape import Shape
from dist_stilts.analysis.typology import Distances
from dist_stilts.report.render import Sheet
from dist_stilts.results.record import ResultRecord
from dist_stilts.study.page import StudyContent

SIZES = (0, 100, 300, 1000, 3000)
DISTANCES = ("syntactic", "genetic")
ALL_LANGUAGES = [
    *("en", "af", "ar", "bg", "bn", "de", "el", "es", "et", "eu", "fa", "fi", "fr", "he", "hi", "hu", "id", "it", "ja"),
    *("jv", "ka", "kk", "ko", "ml", "mr", "ms", "my", "nl", "pt", "ru", "sw", "ta", "te", "th", "tl", "tr", "ur", "vi"),
    *("yo", "zh"),
]


def bends(distance: float, sizes: Any, gain: float) -> Any:
    """A saturating curve that is lower and rises less the further the language."""
    return 62 - 22 * distance + gain * (1 - 0.8 * distance) * (1 - (1 + np.asarray(sizes, float) / 150) ** -0.6)


def far(languages: Sequence[str]) -> dict[str, float]:
    """Distances from 0 (English) to 0.7."""
    return {language: round(0.7 * place / max(len(languages) - 1, 1), 4) for place, language in enumerate(languages)}


def curve(language: str, distance: float, intermediate: str, target: str, seeds: int, sizes: Sequence[int]) -> Curve:
    rng = np.random.default_rng([*f"{language}{intermediate}{target}".encode()])
    gain = -3.0 if intermediate == "ccg" else 6 + sum(f"{intermediate}{target}".encode()) % 13
    means = bends(distance, sizes, gain) + rng.normal(0, 0.4, len(sizes))
    odd = language in ("th", "ff")
    if odd:
        means[-1] -= 6
    grid = np.concatenate([[0.0], np.geomspace(min(sizes[1:], default=1) / 4, sizes[-1], 40)])
    line = bends(distance, grid, gain)
    one = seeds < 2

    def estimate(value: float, half: float) -> Estimate:
        return Estimate(value, note="one seed: no interval") if one else Estimate(value, value - half, value + half)

    last = sizes[-1]
    enough = Estimate(None, 0.7 * last, math.inf, f"not reached within {2 * last:,} examples", censored=True)
    if distance > 0.2:
        high = last * (1.4 - distance) if distance < 0.5 else math.inf
        enough = Estimate(last * (1.1 - distance), last * (0.8 - distance), high)
    law = Fit("power law", {"beta": 0.6}, 12.3, 0.41)
    metric = "f1" if target in ("panx", "udpos") else "accuracy"
    low, high = ((), ()) if one else (tuple((line - 0.9).tolist()), tuple((line + 0.9).tolist()))
    return Curve(
        *(intermediate, target, metric, language, tuple(sizes), tuple(means.tolist()), (seeds,) * len(sizes), 1000),
        left_out=1 if odd else 0,
        fits=(law,),
        chosen=law,
        shape=Shape.NON_MONOTONE if odd else Shape.FALLING if gain < 0 else Shape.RISING,
        shape_note="falls from 55.1 at 1,000 to 49.0 at 3,000, p = 0.003" if odd else "",
        total_gain=estimate(float(means[-1] - means[0]), 1.2),
        per_doubling={n: estimate(float(np.diff(bends(distance, [n, 2 * n], gain))[0]), 0.3) for n in sizes if n},
        half_gain=estimate(210.0, 60.0),
        enough=Estimate(None, note="not monotone") if odd else enough,
        intervals_over=Over.NOTHING if one else Over.SEEDS_AND_ROWS,
        grid=tuple(grid.tolist()),
        line=tuple(line.tolist()),
        low=low,
        high=high,
        is_mean=language == MEAN,
    )


def curves_of(
    languages: Sequence[str], targets: Sequence[str], tasks: Sequence[str], seeds: int = 3, sizes: Sequence[int] = SIZES
) -> list[Curve]:
    distances = far(languages)
    found = []
    for task in tasks:
        for target in targets:
            own = [curve(language, distances[language], task, target, seeds, sizes) for language in languages]
            found += own
            if others := [one for one in own if one.language != "en"]:
                middle = sum(distances[one.language] for one in others) / len(others)
                means = tuple(np.mean([one.means for one in others], axis=0).tolist())
                found.append(replace(curve(MEAN, middle, task, target, seeds, sizes), means=means))
    return found


def scores_of(curves: Sequence[Curve]) -> pd.DataFrame:
    """A frame of scores that agrees with the curves."""
    names = ["intermediate", "size", "seed", "target", "metric", "language", "value", "count", "run"]
    rows = []
    for one in curves:
        for size, mean, seeds in zip(one.sizes, one.means, one.seeds, strict=True):
            for seed in range(0 if one.is_mean else seeds):
                task = one.intermediate if size else ""
                run = f"{one.target}@{task}-n{size}-s{seed}"
                value = mean + 0.8 * (seed - 1)
                rows.append((task, size, seed, one.target, one.metric, one.language, value, one.count, run))
    frame = pd.DataFrame(rows, columns=names).assign(degenerate=False, reason="")
    return frame.drop_duplicates(["run", "target", "language"])


def distances_of(languages: Sequence[str], names: Sequence[str] = DISTANCES) -> Distances:
    rng = np.random.default_rng(0)
    base = np.array(list(far(languages).values()))
    values = {name: np.clip(base + 0.1 * place * rng.random(len(base)), 0, 1) for place, name in enumerate(names)}
    frame = pd.DataFrame(values, index=list(languages))
    frame.loc[languages[0]] = 0.0
    observed = pd.DataFrame(rng.uniform(0.3, 1, frame.shape).round(2), index=frame.index, columns=frame.columns)
    if len(languages) > 3:
        frame.loc[languages[2], names[-1]] = math.nan
    return Distances(frame, observed, "made up")


def effects_of(tasks: Sequence[str], names: Sequence[str] = DISTANCES) -> list[Effect]:
    wanted = [*tasks, "all"] if len(tasks) > 1 else tasks
    return [
        Effect(outcome, task, name, -0.123, -0.201, -0.045, 0.0021, 0.0169, -0.031, 0.061, 7, "a note of its own")
        for task in wanted
        for outcome in (PER_DOUBLING, TOTAL_GAIN)
        for name in names
    ]


def layer_records(layers: Sequence[int] = (1, 4, 7, 10)) -> list[ResultRecord]:
    found = []
    for layer, size, (place, language) in product(layers, SIZES, enumerate(("de", "fr", "th"))):
        task = "mnli" if size else None
        fields = {"run": f"tatoeba@mnli-n{size}", "intermediate": task, "intermediate_phase": task, "seed": 0}
        fields |= {"count": 1000, "model_id": None, "intermediate_size": size, "versions": {"torch": "2.13.0"}}
        value = 20 + 4 * layer + 0.002 * size - layer**2 / 3 - place
        found.append(layer_record(language, layer, value, **fields))
    return found


def runs_of(targets: Sequence[str], tasks: Sequence[str], seeds: int = 3) -> list[dict[str, Any]]:
    found = []
    for target, task, size, seed in product(targets, tasks, SIZES[1:], range(seeds)):
        name = f"{target}@{task}-n{size}-s{seed}"
        own = {"name": name, "intermediate": task, "size": size, "seed": seed, "subset_seed": 0}
        found.append({**own, "state": "done", "scores": "52.3", "reason": "", "folder": f"../{name}"})
    if len(found) > 2:
        found[1] |= {"state": "failed", "scores": "", "reason": "out of memory <GPU 3>"}
        found[2] |= {"state": "degenerate", "scores": "33.3", "reason": "one class for everything"}
    return found


def content(
    languages: Sequence[str] = ("en", "aa", "bb", "cc", "dd", "ee", "ff", "gg"),
    targets: Sequence[str] = ("xnli",),
    tasks: Sequence[str] = ("mnli", "ccg"),
    seeds: int = 3,
    **fields: Any,
) -> StudyContent:
    curves = curves_of(languages, targets, tasks, seeds)
    lines = [[task, *["+3.2 ± 0.4"] * len(targets)] for task in tasks]
    delta = Sheet("Change by intermediate task", ["after", *targets], lines, ["note"])
    covariates = {"fertility": [1.25] * len(languages), "overlap": [0.5] * len(languages)}
    made: dict[str, Any] = {
        "title": "Sizes & languages",
        "commands": ["dist-stilts study run demo", "dist-stilts study report demo"],
        "headline": "Gains diminish, and sooner for distant languages.",
        "sentences": ["Doubling brings 0.12 logits less per unit of syntactic distance.", "No other distance matters."],
        "curves": curves,
        "effects": effects_of(tasks),
        "distances": distances_of(languages),
        "covariates": pd.DataFrame(covariates, list(languages)),
        "scores": scores_of(curves),
        "records": layer_records(),
        "tables": [delta],
        "runs": runs_of(targets, tasks, seeds),
        "method": ["Subsets are nested.", "Intervals are bootstrap intervals."],
        "caveats": ["This world is made up."],
    }
    return StudyContent(**{**made, **fields})
