"""Do branches of one trunk agree with full runs? Hägele et al. 2024 (arXiv 2405.18392), for learning curves.

    python benchmarks/trunk.py [--seeds 2] [--branch 0.2] [--epochs 8] [--pretraining 2500] [--out DIR]

The quickstart's simulated world, one process on the CPU: one short pretraining, then MNLI at three sizes and two
targets from each, once with a full run per size and once with branches of a trunk, at several seeds. Claim: a branch
scores what a full run of its size scores, for fewer training tokens. Prints one table, in Markdown.

Scores are means over languages. A difference is that of two runs of one seed; its interval is Student's over the seeds,
with the variance pooled over the sizes of a target, because two seeds have none to speak of. Beside it, how far full
runs of different seeds lie apart (standard deviation, pooled alike): what a single full run is worth.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dist_stilts.config import find_recipe, load
from dist_stilts.experiment.execute import make_world
from dist_stilts.experiment.phases import run_phase
from dist_stilts.experiment.plan import expand, folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.states import forget_states
from dist_stilts.experiment.status import read_status
from dist_stilts.parallel.world import World, started
from dist_stilts.report.monitor import say
from dist_stilts.results.files import read

SIZES = (300, 1000, 3000)
TARGETS = ("xnli", "udpos")
Scores = dict[tuple[str, int], list[float]]
"""(target, size) to the mean over languages, percent, of each seed."""


def main() -> None:
    """Train everything, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--branch", type=float, default=0.2, help="share of the trunk's steps that a decay lasts")
    parser.add_argument("--epochs", type=float, default=8)
    parser.add_argument("--pretraining", type=int, default=2500, help="steps")
    parser.add_argument("--out", type=Path, help="folder to work in; default: a temporary one")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary, started() as world:
        start = pretrained(given.out or Path(temporary), given.pretraining, world)
        modes = {"full": None, "branched": given.branch}
        recipes = {
            mode: [with_sizes(start, mode, seed, given.epochs, branch) for seed in range(given.seeds)]
            for mode, branch in modes.items()
        }
        for recipe in [recipe for of_seed in zip(*recipes.values(), strict=True) for recipe in of_seed]:
            do(recipe, world)
        scores = {mode: scores_of(of_mode) for mode, of_mode in recipes.items()}
        tokens = {mode: tokens_of(of_mode) for mode, of_mode in recipes.items()}
    print_table(scores["full"], scores["branched"], given.seeds)
    ratio = tokens["branched"] / tokens["full"]
    print(f"\nMNLI training tokens: full {tokens['full']:,}, branched {tokens['branched']:,}, ratio {ratio:.2f}")
    say(f"{time.monotonic() - began:.0f} s")


def pretrained(out: Path, steps: int, world: World) -> Recipe:
    """The quickstart with its world and its pretrained encoder, both made if they are not there."""
    recipe = load(Recipe, find_recipe("quickstart"), [f"out={out}", "name=pretrained"])
    phase = recipe.phases["pretrain"]
    phase.train["steps"], phase.evaluate = steps, {}
    recipe.phases = {"pretrain": phase, **{name: recipe.phases[name] for name in ("mnli", *TARGETS)}}
    make_world(recipe)
    do(replace(recipe, phases={"pretrain": phase}), world)
    return recipe


def with_sizes(start: Recipe, mode: str, seed: int, epochs: float, branch: float | None) -> Recipe:
    """MNLI at each size from the pretrained encoder, and the targets from each."""
    folder = folder_of(start)
    mnli = replace(start.phases["mnli"], start=["encoder"], sizes=list(SIZES), branch=branch, evaluate={})
    mnli.train = {"steps": None, "epochs": epochs, "batch_size": 16}  # few steps teach it nothing
    targets = {name: replace(start.phases[name], start=["mnli"]) for name in TARGETS}
    return replace(
        start,
        name=f"{mode}-{seed}",
        seed=seed,
        encoder=replace(start.encoder, path=str(folder.run("pretrain").model)),
        data=replace(start.data, simulate=None, root=str(folder.world)),
        phases={"mnli": mnli, **targets},
    )


def do(recipe: Recipe, world: World) -> None:
    """All runs of a recipe, in this process."""
    runs = expand(recipe)
    for run in runs:
        run_phase(run, recipe, world)
        forget_states(runs, recipe)


def scores_of(recipes: Sequence[Recipe]) -> Scores:
    """What the targets scored, seed by seed."""
    found: Scores = {}
    for recipe in recipes:
        for run in expand(recipe):
            if run.role == "target":
                records = read(folder_of(recipe).run(run.name).results)
                values = [record.value for record in records if record.main]
                size = records[0].training.intermediate_size
                found.setdefault((run.phase, size), []).append(float(np.mean(values)))
    return found


def tokens_of(recipes: Sequence[Recipe]) -> int:
    """Real tokens that MNLI was trained on, all seeds and sizes together."""
    runs = [(recipe, run) for recipe in recipes for run in expand(recipe) if run.phase == "mnli"]
    return sum(read_status(folder_of(recipe).run(run.name)).tokens for recipe, run in runs)


def print_table(full: Scores, branched: Scores, seeds: int) -> None:
    """One line per target and size."""
    print(f"| target | MNLI rows | full | branched | difference, {seeds} seeds | sd of full runs between seeds |")
    print("|---|---:|---:|---:|---:|---:|")
    for target in TARGETS:
        differences = np.array([np.subtract(branched[target, size], full[target, size]) for size in SIZES])
        between = spread(np.array([full[target, size] for size in SIZES]))
        for size, difference in zip(SIZES, differences, strict=True):
            a, b = np.mean(full[target, size]), np.mean(branched[target, size])
            cell = f"{difference.mean():+.2f} ± {half_width(differences):.2f}" if seeds > 1 else f"{b - a:+.2f}"
            print(f"| {target} | {size:,} | {a:.2f} | {b:.2f} | {cell} | {between:.2f} |")


def spread(values: np.ndarray) -> float:
    """Standard deviation within the rows of ``[sizes, seeds]``, pooled over them; nan with one seed."""
    return math.sqrt(values.var(axis=1, ddof=1).mean()) if values.shape[1] > 1 else math.nan


def half_width(differences: np.ndarray) -> float:
    """Half of the 95 % interval of a row's mean; ``differences`` is ``[sizes, seeds]``."""
    from scipy.stats import t

    sizes, seeds = differences.shape
    return float(t.ppf(0.975, sizes * (seeds - 1)) * spread(differences) / math.sqrt(seeds))


if __name__ == "__main__":
    main()
