"""What one process does before the ranks are started and after they have ended: check, prepare the data, report.

All runs of a recipe share one process group, because starting one costs seconds; each run builds and destroys its own
engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dist_stilts.errors import UserError
from dist_stilts.experiment.check import check_settings
from dist_stilts.experiment.claim import check_folder
from dist_stilts.experiment.plan import Run, expand, folder_of, select
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.status import is_done
from dist_stilts.experiment.training_data import data_root
from dist_stilts.layout import world_file
from dist_stilts.report.progress import bar, say
from dist_stilts.simulate.manifest import read_manifest
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import check_source
from dist_stilts.writing import require_room, write_text

if TYPE_CHECKING:
    from dist_stilts.report.table import Table


def needed(recipe: Recipe, wanted: str = "all") -> list[Run]:
    """The chosen runs and what they start from, parents first."""
    runs = expand(recipe)
    chosen = {ancestor.name for run in select(runs, wanted) for ancestor in run.lineage()}
    return [run for run in runs if run.name in chosen]


def pending(recipe: Recipe, wanted: str = "all") -> list[Run]:
    """Those of the :func:`needed` runs that are not done."""
    folder = folder_of(recipe)
    return [run for run in needed(recipe, wanted) if not is_done(run, folder.run(run.name), recipe.evaluation)]


def check_before_start(recipe: Recipe, runs: Sequence[Run], ranks: int) -> None:
    """Find what would stop the ranks while nothing is started yet.

    Raises:
        UserError: settings that cannot be (more ranks than rows in a batch), missing data, a folder of another recipe,
            or one that cannot be written to.
    """
    check_settings(recipe, runs, ranks)
    root = data_root(recipe)
    if root and not recipe.data.simulate and not root.is_dir():
        raise UserError("the data folder does not exist", where=root, fix="Set data.root=DIR")
    for run in runs:
        for name in (*run.tasks, *run.evaluate):
            check_source(get_task(name), root)
        check_folder(run, folder_of(recipe).run(run.name))
    require_out(recipe)


def require_out(recipe: Recipe) -> None:
    """Make the recipe's folder; UserError if it cannot be written to, or something else lies where its files belong."""
    require_room(folder_of(recipe))


_REMARKS = 8
"""Remarks about the data that are said; all are in the report."""


def default_ranks(recipe: Recipe) -> int:
    """Processes to start: as the recipe says, else one per GPU, else two."""
    if recipe.ranks:
        return recipe.ranks
    import torch

    return torch.cuda.device_count() or 2


def make_world(recipe: Recipe) -> None:
    """Write the simulated world, where the recipe has one and it is not there yet."""
    if recipe.data.simulate:
        from dist_stilts.simulate import write_world

        wanted, root = recipe.data.simulate, folder_of(recipe).world
        write_world(root, seed=wanted.seed, placebo=wanted.placebo, scale=wanted.scale, on_progress=say, own=True)


def prepare_data(recipe: Recipe, runs: Sequence[Run]) -> None:
    """Tokenise what the runs need, in this process, with a progress bar: ranks do not. Reports what was cut."""
    from dist_stilts.experiment.training_data import prepare_all, recipe_tokenizer
    from dist_stilts.report.lists import preparation, remarks

    done = list(prepare_all(runs, recipe, recipe_tokenizer(recipe), bar()).values())
    report = folder_of(recipe).data_report
    if done:
        write_text(report, preparation(done) + "\n")
        say(
            f"data: {sum(row['examples'] for row in done):,} examples, {sum(row['tokens'] for row in done):,} tokens, "
            f"{sum(row['truncated_rows'] for row in done):,} rows cut: {report}"
        )
        said = remarks(done)
        for line in said[:_REMARKS]:
            say(f"data: {line}")
        if len(said) > _REMARKS:
            say(f"data: {len(said) - _REMARKS:,} more remarks: {report}")


def finish(recipe: Recipe, command: str) -> tuple[list[Table], list[Path]]:
    """Write the table and the page of all runs; returns the tables and the files, none if the recipe scores nothing."""
    from dist_stilts.experiment.page import write_page
    from dist_stilts.report.table import pivot, render
    from dist_stilts.results.files import collect

    folder = folder_of(recipe)
    if not any(folder.run(run.name).results.exists() for run in expand(recipe)):
        return [], []
    records, damaged = collect([folder.path])
    left_out = list(map(str, damaged))
    distances = language_distances(recipe)
    tables = pivot(records, distances)
    write_text(folder.table, render(tables, "md", left_out))
    page = write_page(folder.path, recipe.name, records, distances, [command], left_out)
    for line in left_out:
        say(f"warning: {line}")
    return tables, [folder.table, page]


def language_distances(recipe: Recipe) -> dict[str, float] | None:
    """Distance of each language from English, where the simulated world declares it."""
    if not recipe.data.simulate:
        return None
    world = read_manifest(world_file(folder_of(recipe).world))
    return {entry["code"]: entry["distance"] for entry in world["languages"]} if world else None
