"""How a study was done and what its reader must keep in mind, in plain words made from its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dist_stilts.experiment.run_config import PhaseConfig, Recipe


def method(recipe: Recipe) -> list[str]:
    """What was varied, what was trained how long, how it was read: one statement per entry."""
    study = recipe.study
    seeds, subsets = study.seeds or [recipe.seed], study.subset_seeds or [recipe.subset_seed]
    return [
        f"Encoder: {recipe.encoder.path or 'trained from random weights, once'}. Every run starts there; English "
        "intermediate task, then English target task, then scores in all languages without a label of theirs "
        "(Phang et al. 2020).",
        f"Training seeds {_list(seeds)} (heads, order, dropout) and seeds of the choice of rows {_list(subsets)}, "
        "every one with every other. Subsets are nested and stratified by class: a larger one holds the smaller ones.",
        *(_policy(name, phase, recipe) for name, phase in recipe.phases.items() if phase.role == "intermediate"),
        "Curves: constant, a + b log2(1 + n/n0), saturating power law, log-law (Isik et al. 2024); exact least squares "
        "over a grid of shapes, weighted by runs and rows, chosen by AICc and by the error at the largest size when it "
        "is held out.",
        f"Intervals are 95 %, from {study.draws:,} draws over runs and, where outcomes per row are known, test rows. "
        f"Gains have ended where a doubling brings less than {study.delta:g} points.",
        "Distances: mixed-effects regression on the logit scale with languages as units; p by permuting the "
        f"languages ({study.permutations:,} times), Holm-corrected over distances. English takes no part in it.",
        "Weights are the last of each run, or chosen on English dev; degenerate runs are counted and in no mean.",
    ]


def _policy(name: str, phase: PhaseConfig, recipe: Recipe) -> str:
    """What every size is trained for."""
    steps = phase.train.get("steps", recipe.train.steps)
    epochs = phase.train.get("epochs", recipe.train.epochs)
    tasks = " + ".join(phase.tasks)
    if phase.branch is not None:
        return (
            f"{name} ({tasks}): one run at constant rate passes through the sizes, {epochs:g} epochs of the rows each "
            f"adds; at each a branch decays over {phase.branch:.0%} of the epochs so far (Hägele et al. 2024)."
        )
    if steps:
        return f"{name} ({tasks}): {steps:,} steps at every size, so small sizes are seen more often."
    return f"{name} ({tasks}): {epochs:g} epochs at every size, so small sizes have fewer steps."


def caveats(recipe: Recipe, unknown: Mapping[str, Sequence[str]]) -> list[str]:
    """What a reader must not overlook, beyond what the verdict says of its numbers.

    Args:
        unknown: distance -> languages for which it is not known.
    """
    found = ["One encoder: what holds for it need not hold for another one, nor for another pretraining of it."]
    if recipe.data.simulate:
        found.append("The world is simulated: languages and distances are made up, the models are trained for real.")
    for distance, languages in unknown.items():
        if languages:
            found.append(f"The {distance} distance is not known for {_list(languages)}: left out where it counts.")
    return found


def _list(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
