"""What a recipe would do, without doing it: runs, steps, tokens, memory per GPU, and the commands that would start it.

Works before any data or model is there: what is not known is taken from published sizes and said to be so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dist_stilts.config import dump
from dist_stilts.conventions import GIB
from dist_stilts.errors import UserError
from dist_stilts.experiment.execute import launch_command
from dist_stilts.experiment.plan import Run, expand, folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.training_data import data_root
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import parse_split, stream_rows
from dist_stilts.train.engine import deepspeed_config
from dist_stilts.train.plan import AUTO, BatchPlan, derive, task_probabilities

ACTIVATION_BYTES = 34
"""Per token, layer and hidden unit, 16-bit, fused attention: Korthikanti et al. 2022, eq. 1 without its last term."""


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
        " ".join(["dist-stilts", "run", name, "--ranks", str(ranks), *overrides]),
        " ".join(launch_command(["train", name, "--phase", "all", *overrides], ranks, 29500)),
        " ".join(["torchrun", f"--nproc-per-node={ranks}", *module]),
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
    spans = any(get_task(task).family == "span" for task in run.tasks)
    length = max(recipe.data.max_length, recipe.data.qa.max_length if spans else 0)
    decay = "at a constant rate" if run.train.schedule == "constant" else f"{run.train.schedule} decay"
    line = f"    {plan.line()}, {decay}; {plan.steps * plan.batch_size:,} rows, each text at most {length} tokens"
    chances = task_probabilities(run.train, known, run.shares)
    return [f"    trains on {', '.join(map(_trained, sizes, sizes.values(), chances))}", line]


def _trained(task: str, size: int | None, chance: float) -> str:
    """One task with its rows, and its share of the steps if there are others."""
    rows = "unknown rows" if size is None else f"{size:,} rows"
    return f"{task} ({rows})" if chance == 1 else f"{task} ({rows}, {chance:.1%} of the steps)"


def rows_of(run: Run, recipe: Recipe, task: str) -> int | None:
    """Training rows of a task: the run's subset, what is on disk, or the published number; None if none is known."""
    size = run.size or _all_rows(run, recipe, task)
    return size and size - run.skipped_rows


def _all_rows(run: Run, recipe: Recipe, task: str) -> int | None:
    spec, wanted, root = get_task(task), run.tasks[task], data_root(recipe)
    if root is not None and Path(root).is_dir() and wanted.languages != ["all"]:
        try:
            parts = (stream_rows(spec, root, wanted.split, language, Counter()) for language in wanted.languages)
            return sum(1 for part in parts for _ in part)
        except UserError:
            return None
    part = parse_split(wanted.split)
    if part.name == "train" and "train" in spec.sizes:
        return round(spec.sizes["train"] * (part.hi - part.lo) / 100) * len(wanted.languages)
    return None


def _most_tokens(plan: BatchPlan, length: int) -> int:
    """What one rank may take through the model at once, if every text is as long as it may be."""
    share = plan.rows_per_rank * length
    return share if plan.micro_tokens == AUTO else max(length, min(share, int(plan.micro_tokens)))


def describe_memory(recipe: Recipe, runs: Sequence[Run], ranks: int) -> list[str]:
    """Parameters, gradients, optimiser and activations under ZeRO-2 with bf16, from the encoder's architecture."""
    config = recipe.encoder.config
    if not config or not {"hidden_size", "num_hidden_layers"} <= config.keys():
        return ["not known: encoder.config does not give the architecture"]
    width, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
    inner, vocabulary = int(config.get("intermediate_size", 4 * width)), int(config.get("vocab_size", 0))
    block = 4 * width * width + 2 * width * inner + 9 * width + inner
    parameters = (vocabulary + int(config.get("max_position_embeddings", 514))) * width + layers * block
    length = recipe.data.max_length
    trained = [run for run in runs if run.tasks]
    tokens = max((_most_tokens(derive(run.train, [1], ranks), length) for run in trained), default=length)
    parts = {
        "bf16 parameters": 2 * parameters,
        "fp32 gradients, sharded": 4 * parameters / ranks,
        "fp32 master weights and two moments, sharded": 12 * parameters / ranks,
        f"activations of at most {tokens:,} tokens": ACTIVATION_BYTES * tokens * width * layers,
    }
    lines = [f"{parameters / 1e6:,.0f} M parameters in the encoder"]
    lines += [f"{size / GIB:7.2f} GiB  {part}" for part, size in parts.items()]
    return [*lines, f"{sum(parts.values()) / GIB:7.2f} GiB  together, buffers of DeepSpeed and CUDA not counted"]
