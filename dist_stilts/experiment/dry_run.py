"""What a recipe would do, without doing it: runs, steps, tokens, memory per GPU, and the commands that would start it.

Works before any data or model is there: what is not known is taken from published sizes and said to be so.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from dist_stilts.config import dump
from dist_stilts.experiment.estimate import describe_memory, longest
from dist_stilts.experiment.forecast import rows_of
from dist_stilts.experiment.launch import launch_command
from dist_stilts.experiment.plan import Run, expand, folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.train.engine import deepspeed_config
from dist_stilts.train.plan import derive, task_probabilities


def describe(recipe: Recipe, name: str, overrides: Sequence[str], ranks: int) -> str:
    """The whole plan as text."""
    runs = expand(recipe)
    lines = ["# resolved recipe", dump(recipe), f"# {len(runs)} runs on {ranks} ranks, in {folder_of(recipe).path}"]
    for run in runs:
        lines += describe_run(run, recipe, ranks)
    lines += ["", "# memory per GPU (estimate)", *describe_memory(recipe, runs, ranks)]
    module = ["-m", "dist_stilts", "train", name, "--phase", "all", *overrides]
    lines += [
        "",
        "# commands (any one of them)",
        shlex.join(["dist-stilts", "run", name, "--ranks", str(ranks), *overrides]),
        shlex.join(launch_command(["train", name, "--phase", "all", *overrides], ranks, 29500)),
        shlex.join(["torchrun", f"--nproc-per-node={ranks}", *module]),
    ]
    return "\n".join(lines)


def describe_run(run: Run, recipe: Recipe, ranks: int) -> list[str]:
    """A run's lines: where it starts, what it trains on and for how long, what it scores."""
    lines = [f"{run.name}: {run.role}, from {run.start}"]
    if run.continues:
        lines.append("    goes on with its weights, heads and optimiser, without a new warm-up")
    if run.tasks:
        lines += describe_training(run, recipe, ranks)
    for task, wanted in run.evaluate.items():
        lines.append(f"    scores {task} {', '.join(wanted.splits)} in {', '.join(wanted.languages)}")
    return lines


def describe_training(run: Run, recipe: Recipe, ranks: int) -> list[str]:
    """The lines of a run that trains: rows and chances of its tasks, steps, batches."""
    sizes = {task: rows_of(run, recipe, task) for task in run.tasks}
    # A task with a share of its own trains as often whatever its rows, unless all have one: then all rows count.
    unsized = [task for task, share in zip(sizes, run.shares, strict=True) if share is not None]
    needed = [task for task in sizes if task not in unsized] or unsized
    if unknown := ", ".join(task for task in needed if sizes[task] is None):
        trained = ", ".join(run.tasks)
        return [f"    trains on {trained}; steps follow from the rows of {unknown}, not known here"]
    known = [size or 1 for size in sizes.values()]
    plan = derive(run.train, known, ranks, run.shares)
    deepspeed_config(run.train.deepspeed, run.train, plan)
    decay = "at a constant rate" if run.train.schedule == "constant" else f"{run.train.schedule} decay"
    rows = f"{plan.steps * plan.batch_size:,} rows, each text at most {longest(run, recipe)} tokens"
    chances = task_probabilities(run.train, known, run.shares)
    return [
        f"    trains on {', '.join(map(_trained, sizes, sizes.values(), chances))}",
        f"    {plan.line()}, {decay}; {rows}",
    ]


def _trained(task: str, size: int | None, chance: float) -> str:
    """One task with its rows, and its share of the steps if there are others."""
    rows = "unknown rows" if size is None else f"{size:,} rows"
    return f"{task} ({rows})" if chance == 1 else f"{task} ({rows}, {chance:.1%} of the steps)"
