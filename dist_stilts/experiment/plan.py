"""A recipe's phases as a list of runs, parents first: which starts from which, under what name and identity.

Pure, but for folders of older versions that hold runs of users' own tasks: these are known again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dist_stilts.config import merge_into, plain
from dist_stilts.conventions import fingerprint
from dist_stilts.errors import UserError, nearest
from dist_stilts.evaluate.suite import EvalTask
from dist_stilts.experiment.branches import branched
from dist_stilts.experiment.identity import recognised, stated, trained_content
from dist_stilts.experiment.run_config import BETWEEN, FRESH, FROM_ENCODER, FROM_RANDOM, FULL, TRUNK, Recipe, TrainTask
from dist_stilts.families.kinds import family_of
from dist_stilts.layout import RecipeFolder
from dist_stilts.names import check_name
from dist_stilts.tasks.registry import INTERMEDIATE, MULTI, get_task
from dist_stilts.tasks.spec import RETRIEVAL
from dist_stilts.train.plan import OPERATIONAL, SAME_TRAINING, TrainConfig

TAKEN = {
    FROM_ENCODER: "the recipe's encoder, which phases start from",
    FROM_RANDOM: "an encoder with fresh weights, which phases start from",
    "all": "all phases, where one is asked for",
    **dict.fromkeys(
        ("world", "study", "figures", "table.md", "data.txt", "page.html"), "a file or folder beside the runs"
    ),
}
"""Names that no phase can have."""
LATER = ("task_sampling", "temperature", "select", "averaged", "patience", "restarts", "share")
"""Settings that are younger than the first runs. At its default each leaves training as it was before there was such a
setting, so it is left out of a run's content then: older runs keep their identities, and with these their folders."""


@dataclass(frozen=True)
class Run:
    """One phase from one start at one size.

    Attributes:
        start: ``encoder``, ``random``, or the name of the parent run.
        parent: the parent run, if there is one.
        size: training rows; None = all.
        heads: ``fresh``, or ``reuse`` for those of the start that fit.
        head_seed: of fresh heads.
        scored: entries of ``own_tasks`` that it is scored on, of which training knows nothing.
        id_there: the identity that an older version gave it, if its folder has another.
    """

    name: str
    phase: str
    role: str
    start: str
    parent: Run | None
    tasks: dict[str, TrainTask]
    size: int | None
    inputs: str
    train: TrainConfig
    evaluate: dict[str, EvalTask]
    seed: int
    subset_seed: int
    encoder: dict[str, Any]
    data: dict[str, Any]
    heads: str
    head_seed: int
    scored: dict[str, Any] = field(default_factory=dict)
    id_there: str = ""

    @property
    def content(self) -> dict[str, Any]:
        """Everything that shapes the trained weights, and nothing else."""
        unused = {*OPERATIONAL, *_unused(self.train)}
        precision = SAME_TRAINING.get(self.train.deepspeed, self.train.deepspeed)
        train = _stated(replace(self.train, deepspeed=precision))
        training = {
            "tasks": {name: _stated(task) for name, task in self.tasks.items()},
            "size": self.size,
            "inputs": self.inputs,
            "train": {key: value for key, value in train.items() if key not in unused},
            "subset_seed": self.subset_seed,
            **({"heads": self.heads} if self.heads != FRESH else {}),
            **({"head_seed": self.head_seed} if self.head_seed != self.seed else {}),
        }
        content = {
            "phase": self.phase,
            "role": self.role,
            "start": self.start,
            "parent": self.parent.id if self.parent else None,
            "seed": self.seed,
            "encoder": self.encoder,
            "data": self.data,
            **(training if self.tasks else {}),
        }
        return trained_content(content)

    @cached_property
    def id(self) -> str:
        """Hash of :attr:`content`, the parent's id included: the same run, the same id."""
        return self.id_there or fingerprint(self.content)

    @property
    def origin(self) -> str:
        """``random`` if the encoder was never pretrained, else ``pretrained``; MLM counts as pretraining."""
        if self.start == FROM_ENCODER or not all(family_of(get_task(name)).has_gold for name in self.tasks):
            return "pretrained"
        return self.parent.origin if self.parent else "random"

    @property
    def own_tasks(self) -> bool:
        """Whether it, or one that it starts from, is trained on files of the user's own."""
        return any(run.data["own_tasks"] for run in self.lineage())

    @property
    def continues(self) -> bool:
        """Whether it goes on with its parent's training: the weights, the heads and the optimiser's state."""
        return self.parent is not None and self.parent.role == TRUNK

    @property
    def skipped_rows(self) -> int:
        """Rows at the head of the subset that are left out: a trunk's segment has those that none before it had."""
        return (self.parent.size or 0) if self.parent and self.role == self.parent.role == TRUNK else 0

    @property
    def order_seed(self) -> int:
        """Seed of batches, masks and dropout; whoever goes on with another's training does not draw as it did."""
        return int(fingerprint([self.seed, self.start]), 16) if self.continues else self.seed

    @property
    def shares(self) -> list[float | None]:
        """The share of the steps that each task asks for, if it does."""
        return [task.share for task in self.tasks.values()]

    def lineage(self) -> list[Run]:
        """This run and its ancestors, oldest first."""
        return [*(self.parent.lineage() if self.parent else []), self]


def _stated(config: TrainConfig | TrainTask) -> dict[str, Any]:
    """The config as a plain dictionary, without what is :data:`LATER` and at its default."""
    defaults = plain(type(config)())
    return {key: value for key, value in plain(config).items() if key not in LATER or value != defaults[key]}


def _unused(train: TrainConfig) -> list[str]:
    """Settings that change no weight because of what the others are."""
    watched = train.select == "best" or train.patience > 0  # only then has the score on dev a say in the weights
    return [
        *(("epochs", "max_steps") if train.steps else ()),
        *(() if watched else ("evaluate_every",)),
        *(() if train.task_sampling == "temperature" else ("temperature",)),
        *(() if train.select == "average" else ("averaged",)),
    ]


def folder_of(recipe: Recipe) -> RecipeFolder:
    """The folder of a recipe's runs."""
    return RecipeFolder(Path(recipe.out), recipe.name)


def expand(recipe: Recipe) -> list[Run]:
    """List all runs of a recipe, parents before children, as its folder knows them; errors as for :func:`planned`."""
    return recognised(planned(recipe), folder_of(recipe))


def planned(recipe: Recipe) -> list[Run]:
    """List all runs of a recipe, parents before children, whatever its folder holds.

    Raises:
        UserError: unknown start, task, split or role; phases that start from each other.
    """
    if not recipe.phases:
        raise UserError("the recipe has no phases", fix="See a shipped recipe for an example")
    for phase in recipe.phases:
        check_name(phase, "phases", TAKEN)
    made: dict[str, list[Run]] = {}
    waiting = dict(recipe.phases)
    for phase, config in recipe.phases.items():
        for start in config.start:
            if start not in (FROM_ENCODER, FROM_RANDOM, *recipe.phases):
                raise UserError(
                    f"phases.{phase}.start: unknown phase '{start}'",
                    fix=nearest(start, [FROM_ENCODER, FROM_RANDOM, *recipe.phases]),
                )
    while waiting:
        ready = [phase for phase, config in waiting.items() if not set(config.start) & set(waiting)]
        if not ready:
            raise UserError(f"phases start from each other: {', '.join(waiting)}", fix="Break the circle")
        for phase in ready:
            made[phase] = _runs_of(recipe, phase, made)
            del waiting[phase]
    runs = [run for runs in made.values() for run in runs]
    _refuse_one_folder_for_two(runs)
    return runs


def _refuse_one_folder_for_two(runs: Sequence[Run]) -> None:
    """UserError if two runs bear one name, and so would share a folder: size 100 of ``a``, and a phase ``a-n100``."""
    first: dict[str, Run] = {}
    for run in runs:
        if (other := first.setdefault(run.name, run)) is not run:
            what = f"phases '{other.phase}' and '{run.phase}' both have a run '{run.name}'"
            raise UserError(what, fix="Rename one of the phases")


def select(runs: Sequence[Run], wanted: str) -> list[Run]:
    """Pick runs by name, by phase, or ``all``."""
    chosen = [run for run in runs if wanted in ("all", run.name, run.phase)]
    if not chosen:
        raise UserError(f"no run or phase '{wanted}' in the recipe", fix=nearest(wanted, [run.name for run in runs]))
    return chosen


def _runs_of(recipe: Recipe, phase: str, made: dict[str, list[Run]]) -> list[Run]:
    config = recipe.phases[phase]
    where = f"phases.{phase}"
    tasks = _named(config.tasks)
    for name in tasks:
        if get_task(name).family in RETRIEVAL:
            raise UserError(f"{where}.tasks: {name} is retrieval and trains nothing", fix="Put it under evaluate")
    for name in config.evaluate:
        get_task(name)
    sizes = resolve_sizes(config.sizes, f"{where}.sizes") or [None]
    parents: list[tuple[str, Run | None]] = []
    for start in config.start:
        parents += [(run.name, run) for run in made[start] if run.role != TRUNK] if start in made else [(start, None)]
    train = merge_into(recipe.train, config.train, f"{where}.train")
    _check_selection(phase, train, tasks)
    entries = {name: stated(plain(task)) for name, task in recipe.data.own_tasks.items()}
    own = {name: entry for name, entry in entries.items() if name in tasks}
    encoder = {key: value for key, value in plain(recipe.encoder).items() if value is not None}
    runs = [
        Run(
            name=phase + (f"-n{size}" if size else "") + (f"@{start}" if len(parents) > 1 else ""),
            phase=phase,
            role=config.role,
            start=start,
            parent=parent,
            tasks=tasks,
            size=size,
            inputs=config.inputs,
            train=train,
            evaluate=config.evaluate,
            seed=recipe.seed,
            subset_seed=recipe.subset_seed,
            encoder=encoder,
            data={**plain(recipe.data), "own_tasks": own},
            heads=config.heads,
            head_seed=recipe.seed if recipe.head_seed is None else recipe.head_seed,
            scored={name: entry for name, entry in entries.items() if name in config.evaluate},
        )
        for start, parent in parents
        for size in sizes
    ]
    return runs if config.branch is None else branched(runs, config.branch)


def resolve_sizes(sizes: Sequence[int | str], where: str) -> list[int | None]:
    """Sizes as numbers of rows, None for ``full``; ``...`` becomes 1, 3, 10, 30 and so on between its neighbours.

    Raises:
        UserError: ``...`` that is not between two ascending numbers; a size twice.
    """
    found: list[int | None] = []
    for place, size in enumerate(sizes):
        if size == FULL:
            found.append(None)
        elif size == BETWEEN:
            low, high = (sizes[i] if 0 <= i < len(sizes) else None for i in (place - 1, place + 1))
            if not isinstance(low, int) or not isinstance(high, int) or not 0 < low < high:
                raise UserError(f"{where}: '...' needs a smaller number before and a larger one after it")
            found += [step for step in half_decades(high) if low < step < high]
        else:
            found.append(int(size))
    if len(set(found)) < len(found):
        raise UserError(f"{where}: a size stands there twice", fix="Name each once")
    return found


def half_decades(high: int) -> list[int]:
    """1, 3, 10, 30 ... up to ``high``: evenly spaced on a logarithmic axis, nearly."""
    steps = [factor * 10**power for power in range(len(str(high))) for factor in (1, 3)]
    return [step for step in steps if step <= high]


def has_dev(name: str, train: TrainTask) -> bool:
    """Whether a task's progress is scored. TyDiQA has no dev: what is only the default is not missed."""
    spec = get_task(name)
    return bool(train.dev) and family_of(spec).has_gold and (train.dev != "dev" or "dev" in spec.splits)


def _check_selection(phase: str, train: TrainConfig, tasks: dict[str, TrainTask]) -> None:
    """UserError if weights are to be selected on English dev that the phase does not have or never scores."""
    wants = [*(["select: best"] if train.select == "best" else []), *(["patience"] if train.patience > 0 else [])]
    if not wants or not tasks:
        return
    if not any(has_dev(name, task) for name, task in tasks.items()):
        raise UserError(
            f"phase '{phase}' has train.{wants[0]}, but none of its tasks has an English dev split",
            fix=f"Name one (tasks.TASK.dev: train[90%:], say), or set phases.{phase}.train.select=last",
        )
    if not train.evaluate_every:
        raise UserError(f"phase '{phase}': train.{wants[0]} needs scores along the way", fix="Set train.evaluate_every")


def _named(tasks: dict[str, TrainTask]) -> dict[str, TrainTask]:
    """Put the nine intermediate tasks in the place of ``multi``; what is said of one of them by name goes before.
    Languages that are not named are each task's source language."""
    if MULTI in tasks:
        own = {name: task for name, task in tasks.items() if name != MULTI}
        tasks = {**dict.fromkeys(INTERMEDIATE, tasks[MULTI]), **own}
    return {name: replace(task, languages=task.languages or [get_task(name).source]) for name, task in tasks.items()}
