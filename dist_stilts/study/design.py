"""A study as a list of runs: a recipe's phases for every size, choice of rows and seed, what they share only once.

    pretraining (once) -> intermediate phases: size x subset seed x seed -> targets: each from every start, by its seed

What is not trained, or not on chosen rows, does not vary with a seed that has no part in it: it is one run, whose name
has no such seed, and every run that starts there has it as its parent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dist_stilts.errors import UserError, nearest
from dist_stilts.evaluate.suite import EvalTask
from dist_stilts.experiment.identity import recognised
from dist_stilts.experiment.plan import Run, folder_of, planned
from dist_stilts.experiment.run_config import FROM_RANDOM, TRUNK, Recipe
from dist_stilts.experiment.training_data import data_root
from dist_stilts.simulate.languages import languages as simulated
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import known_languages

VARIED = ("intermediate", TRUNK)
"""Roles whose training rows are what the study varies."""


def study_runs(recipe: Recipe) -> list[Run]:
    """List every run of the study once, parents first.

    Raises:
        UserError: what a recipe can have wrong; seeds that stand there twice; sizes with 0 where no run does without an
            intermediate phase; unknown languages.
    """
    study = recipe.study
    for name, seeds in (("seeds", study.seeds), ("subset_seeds", study.subset_seeds)):
        if len(set(seeds)) < len(seeds):
            raise UserError(f"study.{name}: a seed stands there twice", fix="Name each once")
    plain = planned(_sized(recipe))
    if 0 in study.sizes and not any(run.evaluate and not _after_intermediate(run) for run in plain):
        raise UserError(
            "study.sizes has 0, but every phase that is scored comes after an intermediate one",
            fix="Let the targets start from `encoder`, too (phases.TARGET.start)",
        )
    varied: dict[str, Run] = {}
    for subset_seed in study.subset_seeds or [recipe.subset_seed]:
        for seed in study.seeds or [recipe.seed]:
            own: dict[str, Run] = {}
            for run in plain:
                own[run.name] = _varied(run, recipe, seed, subset_seed, own)
            varied |= {run.name: run for run in own.values() if run.name not in varied}
    return recognised(list(varied.values()), folder_of(recipe))


def _sized(recipe: Recipe) -> Recipe:
    """The recipe with the study's sizes and languages written into its phases."""
    intermediate = [name for name, phase in recipe.phases.items() if phase.role == "intermediate"]
    if unknown := [name for name in recipe.study.sizes_of if name not in intermediate]:
        raise UserError(
            f"study.sizes_of: '{unknown[0]}' is no intermediate phase", fix=nearest(unknown[0], intermediate)
        )
    languages = _languages(recipe)
    phases = {}
    for name, phase in recipe.phases.items():
        sizes = phase.sizes
        if phase.role == "intermediate":
            wanted = recipe.study.sizes_of.get(name) or phase.sizes or recipe.study.sizes
            sizes = [size for size in wanted if size != 0]
        phases[name] = replace(phase, sizes=sizes, evaluate=_scored(phase.evaluate, languages))
    return replace(recipe, phases=phases)


def _scored(evaluate: Mapping[str, EvalTask], languages: Mapping[str, list[str]]) -> dict[str, EvalTask]:
    """What is scored in all languages, in those of the study that the task has; a task that has none is left out."""
    own = {}
    for name, wanted in evaluate.items():
        narrowed = name in languages and wanted.languages == ["all"]
        own[name] = replace(wanted, languages=languages[name]) if narrowed else wanted
    return {name: wanted for name, wanted in own.items() if wanted.languages}


def _languages(recipe: Recipe) -> dict[str, list[str]]:
    """The study's languages by task, as far as each has them; nothing where the study names none.

    Raises:
        UserError: a language that nothing has.
    """
    wanted = recipe.study.languages
    tasks = dict.fromkeys(name for phase in recipe.phases.values() for name in phase.evaluate)
    known = {name: known_languages(get_task(name), data_root(recipe)) for name in tasks} if wanted else {}
    if recipe.data.simulate:  # the world may not be written yet
        world = [language.code for language in simulated() if language.distance]
        known = {name: (*codes, *world) for name, codes in known.items()}
    everywhere = {code for codes in known.values() for code in codes}
    if unknown := [language for language in wanted if language not in everywhere]:
        raise UserError(
            f"study.languages: no task of the study has '{unknown[0]}'", fix=nearest(unknown[0], everywhere)
        )
    return {name: [language for language in wanted if language in codes] for name, codes in known.items()}


def _varied(run: Run, recipe: Recipe, seed: int, subset_seed: int, own: Mapping[str, Run]) -> Run:
    """The run with the seeds that have a part in it, named after them where there are several."""
    parent = own[run.parent.name] if run.parent else None
    own_seed = seed if _has_seed(run) else recipe.seed
    suffix = [
        *([f"-d{subset_seed}"] if len(recipe.study.subset_seeds) > 1 and _chooses_rows(run) else []),
        *([f"-s{seed}"] if len(recipe.study.seeds) > 1 and any(map(_has_seed, run.lineage())) else []),
    ]
    return replace(
        run,
        name=run.name + "".join(suffix),
        start=parent.name if parent else run.start,
        parent=parent,
        seed=own_seed,
        head_seed=own_seed if recipe.head_seed is None else recipe.head_seed,
        subset_seed=subset_seed if _chooses_rows_itself(run) else recipe.subset_seed,
    )


def _has_seed(run: Run) -> bool:
    """Whether the study's seed has a part in the run itself: pretraining, and a start as it is, happen once."""
    return bool(run.tasks) and run.role != "pretrain" and not (run.role == "baseline" and run.start == FROM_RANDOM)


def _after_intermediate(run: Run) -> bool:
    return any(ancestor.role in VARIED for ancestor in run.lineage())


def _chooses_rows(run: Run) -> bool:
    """Whether the run or one before it was trained on rows that the study chooses."""
    return any(map(_chooses_rows_itself, run.lineage()))


def _chooses_rows_itself(run: Run) -> bool:
    """All rows are no choice, unless in an order: a trunk's, and so of what starts from it."""
    from_trunk = run.parent is not None and run.parent.role == TRUNK
    return run.role in VARIED and (run.size is not None or run.role == TRUNK or from_trunk)
