"""What an intermediate phase changes, target by target: the numbers of tables like those of Phang et al. 2020.

    scores -> arm (one row's sound runs on one target) -> cell (change against the baseline) -> averages over targets

A target's score is the unweighted mean over its languages, and the average weighs every task alike, as in XTREME (Hu et
al. 2020). Two rows are compared over the languages that all of their sound runs have, and no others.
Degenerate scores are in no mean; how many runs lack one is counted (law 11).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from dist_stilts.analysis.differences import BySeed, Spread, difference, mean
from dist_stilts.errors import UserError
from dist_stilts.results.order import intermediate_place, target_place
from dist_stilts.tasks.registry import find_task
from dist_stilts.tasks.spec import RETRIEVAL
from dist_stilts.tasks.specs_text import PLAIN_TEXT

AVERAGE, WITHOUT_RETRIEVAL = "average", "average without retrieval"
BASELINE, CHANGE, BEST = "baseline", "change", "best"
"""Kinds of row: scores in percent; points against these; the row that English dev chooses, target by target."""
RUN = ["seed", "subset_seed", "run"]
"""The columns that tell runs of one row apart."""
COLLAPSED = 0.5
"""Share of a run's languages: with so many degenerate, the run is, and none of its languages is read."""


@dataclass(frozen=True)
class Cell:
    """One row on one target, or its average over targets.

    Attributes:
        value: percent in the baseline's row, points in others; None where nothing can be said.
        half_width: of the 95 % interval over seeds, None without one; seeds: that the value stands on.
        languages: that the score is the mean of; missing: others, that only one side has or that are degenerate.
        runs: of this row, sound or not; degenerate: those of which a score is left out; reasons: why.
        chosen: best row only: the row that dev chose.
        after, before: the scores by seed; fixed: whether ``before`` has no seeds.
        targets: averages only: how many there are.
    """

    value: float | None = None
    half_width: float | None = None
    seeds: int = 0
    test: str = ""
    languages: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    runs: int = 0
    degenerate: int = 0
    reasons: tuple[str, ...] = ()
    chosen: str = ""
    after: BySeed = field(default_factory=dict)
    before: BySeed = field(default_factory=dict)
    fixed: bool = False
    targets: int = 0


@dataclass(frozen=True)
class Row:
    """One intermediate phase at one size; ``cells`` by target, then the averages."""

    label: str
    intermediate: str
    tasks: str
    size: int
    kind: str
    cells: dict[str, Cell]


@dataclass(frozen=True)
class Arm:
    """The runs of one row on one target.

    Attributes:
        values: percent [run x language], runs by (seed, subset seed, name); sound runs, and languages that all have.
        seen: languages that any run was scored in; dev: mean over sound runs, percent, nan without.
        runs, degenerate, reasons: as in :class:`Cell`; fixed: whether no seed has a part in the score.
    """

    values: pd.DataFrame
    seen: tuple[str, ...]
    dev: float
    fixed: bool
    runs: int
    degenerate: int
    reasons: tuple[str, ...]

    def by_seed(self, languages: Sequence[str]) -> BySeed:
        """Mean over languages, then over a seed's runs: choices of rows that differ are averaged within a seed."""
        runs = self.values[list(languages)].mean(axis=1)
        return {int(seed): float(score) for seed, score in runs.groupby(level="seed").mean().items()}


def rows_of(scores: pd.DataFrame, size: int | None = None) -> list[Row]:
    """The baseline, every intermediate phase, and the best of them per target.

    Args:
        scores: a frame of :mod:`dist_stilts.analysis.scores`.
        size: of the intermediate phases; None = of each its largest. Phases without that size have no row.

    Raises:
        UserError: no phase has that size.
    """
    targets = ordered(scores["target"].unique())
    before = {target: arm(scores[(scores["target"] == target) & (scores["size"] == 0)]) for target in targets}
    first = {target: _score(before[target]) for target in targets}
    rows = [Row("no intermediate", "", "", 0, BASELINE, first)]
    arms = [before]
    for name, tasks, rows_trained in _phases(scores, size):
        own = scores[(scores["intermediate"] == name) & (scores["size"] == rows_trained)]
        after = {target: arm(own[own["target"] == target]) for target in targets}
        cells = {target: _change(after[target], before[target]) for target in targets}
        rows.append(Row(f"{name} n={rows_trained}", name, tasks, rows_trained, CHANGE, cells))
        arms.append(after)
    if len(rows) > 1:
        best = {target: _best([each[target] for each in arms], rows, target) for target in targets}
        rows.append(Row("best per target, chosen on English dev", "", "", 0, BEST, best))
    return [replace(row, cells=row.cells | _averages(row)) for row in rows]


def ordered(targets: Sequence[str]) -> list[str]:
    """In XTREME's order, others after it; settings of one task as they come."""
    return sorted(targets, key=lambda target: target_place(task_of(target)))


def task_of(target: str) -> str:
    """The task without the settings that its name may carry."""
    return target.partition(" ")[0]


def is_retrieval(target: str) -> bool:
    """Whether sentences are compared and nothing was trained for the target, so that it has no dev in English."""
    task = find_task(task_of(target))
    return task is not None and task.family in RETRIEVAL


def base_tasks(tasks: str) -> str:
    """An intermediate phase's tasks without masked language modelling: what it shares with its variants."""
    return ",".join(dict.fromkeys(task for task in tasks.split(",") if task != PLAIN_TEXT))


def _phases(scores: pd.DataFrame, size: int | None) -> list[tuple[str, str, int]]:
    """Name, tasks and size of every intermediate phase: single tasks first, each followed by its variants."""
    trained = scores[scores["size"] > 0]
    known = trained.groupby("intermediate")["size"].unique()
    if size is not None and not any(size in sizes for sizes in known):
        there = ", ".join(f"{number}" for number in sorted(trained["size"].unique()))
        raise UserError(f"no intermediate phase of {size} examples", fix=f"Sizes: {there or 'none'}")
    tasks = trained.groupby("intermediate")["tasks"].first()
    found = [
        (str(name), str(tasks[name]), int(max(sizes)) if size is None else size)
        for name, sizes in known.items()
        if size is None or size in sizes
    ]
    return sorted(found, key=lambda phase: _place(*phase[:2]))


def _place(name: str, tasks: str) -> tuple[object, ...]:
    base = base_tasks(tasks)
    first = base.partition(",")[0]
    return "," in base, intermediate_place(first), base, base != tasks, name != base, name


def arm(rows: pd.DataFrame) -> Arm:
    """Put one row's scores on one target side by side, without those that are degenerate."""
    if rows.empty:
        return Arm(pd.DataFrame(), (), math.nan, False, 0, 0, ())
    runs = rows.groupby(RUN)
    collapsed = runs["degenerate"].transform("mean") >= COLLAPSED
    sound, ill = rows[~collapsed & ~rows["degenerate"]], rows[rows["degenerate"]]
    values = sound.pivot_table(index=RUN, columns="language", values="value", sort=False)
    return Arm(
        values.dropna(axis="columns"),
        tuple(rows["language"].unique()),
        float(rows[~collapsed].drop_duplicates(RUN)["dev"].mean()),
        len(values) == 1 and not rows["trained"].any(),
        runs.ngroups,
        len(ill.drop_duplicates(RUN)),
        _reasons(ill),
    )


def _reasons(ill: pd.DataFrame) -> tuple[str, ...]:
    """Each with the languages that it is given for, in any run."""
    languages = ill.groupby("reason", sort=False)["language"].unique()
    return tuple(f"{reason} ({', '.join(found)})" for reason, found in languages.items())


def _score(only: Arm) -> Cell:
    """The baseline on one target."""
    languages = tuple(only.values.columns)
    about = _about(only, _without(only.seen, languages))
    if not languages:
        return about
    after = only.by_seed(languages)
    return _filled(replace(about, languages=languages, after=after, fixed=only.fixed), mean(after))


def _change(after: Arm, before: Arm) -> Cell:
    """An intermediate phase against the baseline, over the languages that both have."""
    languages = tuple(language for language in after.values.columns if language in before.values.columns)
    seen = tuple(dict.fromkeys((*after.seen, *before.seen)))
    about = _about(after, _without(seen, languages))
    if not languages:
        return about
    higher, lower = after.by_seed(languages), before.by_seed(languages)
    change = difference(higher, lower, fixed=before.fixed)
    return _filled(replace(about, languages=languages, after=higher, before=lower, fixed=before.fixed), change)


def _about(own: Arm, missing: tuple[str, ...]) -> Cell:
    """A cell without a value: what it is not made of."""
    return Cell(missing=missing, runs=own.runs, degenerate=own.degenerate, reasons=own.reasons)


def _without(languages: Sequence[str], those: Sequence[str]) -> tuple[str, ...]:
    return tuple(language for language in languages if language not in those)


def _filled(cell: Cell, spread: Spread) -> Cell:
    return replace(cell, value=spread.value, half_width=spread.half_width, seeds=spread.seeds, test=spread.test)


def _best(arms: Sequence[Arm], rows: Sequence[Row], target: str) -> Cell:
    """The change of the row with the best English dev, the baseline's among them; test scores have no say.

    Of equal ones it is the first. Without the baseline there is nothing to gain on, without a dev score no choice.
    """
    devs = [-math.inf if math.isnan(each.dev) or is_retrieval(target) else each.dev for each in arms]
    first = rows[0].cells[target]
    if max(devs) == -math.inf or first.value is None:
        return Cell()
    place = devs.index(max(devs))
    if place:
        return replace(rows[place].cells[target], chosen=rows[place].label)
    return replace(first, value=0.0, half_width=None, test="", before=first.after, chosen=rows[0].label)


def _averages(row: Row) -> dict[str, Cell]:
    """The averages over all targets that the row has, and over those of them that are no retrieval."""
    known = {target: cell for target, cell in row.cells.items() if cell.value is not None}
    others = {target: cell for target, cell in known.items() if not is_retrieval(target)}
    found = {AVERAGE: _average(known, row.kind)}
    if any(is_retrieval(target) for target in row.cells):
        found[WITHOUT_RETRIEVAL] = _average(others, row.kind)
    return found


def _average(cells: dict[str, Cell], kind: str) -> Cell:
    """Mean of the cells, every task with the same weight; its interval is over the seeds that all of them have."""
    if not cells:
        return Cell()
    settings = Counter(map(task_of, cells))
    weights = {target: 1 / settings[task_of(target)] / len(settings) for target in cells}
    value = sum(weights[target] * float(cell.value or 0.0) for target, cell in cells.items())
    after = _weighted(
        [(weights[target], cell.after, kind == BASELINE and cell.fixed) for target, cell in cells.items()]
    )
    if kind == BASELINE:
        spread = mean(after) if after else None
    else:
        before = _weighted([(weights[target], cell.before, cell.fixed) for target, cell in cells.items()])
        fixed = all(cell.fixed for cell in cells.values())
        spread = difference(after, before, fixed=fixed) if after and before else None
    average = Cell(value, targets=len(cells))
    return replace(_filled(average, spread), value=value) if spread else average


def _weighted(parts: Sequence[tuple[float, BySeed, bool]]) -> BySeed:
    """The sum of scores, each times its weight, seed by seed; one that is fixed counts the same for every seed."""
    varying = [scores for _, scores, fixed in parts if not fixed]
    seeds = set.intersection(*(set(scores) for scores in varying)) if varying else {0}
    return {
        seed: sum(weight * (next(iter(scores.values())) if fixed else scores[seed]) for weight, scores, fixed in parts)
        for seed in sorted(seeds)
    }
