"""What is left of a run's checkpoints once its model is whole: nothing, unless other runs go on with its training."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from dist_stilts.experiment.plan import Run, folder_of
from dist_stilts.experiment.run_config import TRUNK, Recipe
from dist_stilts.layout import RunFolder
from dist_stilts.train.checkpoint import finished
from dist_stilts.writing import is_complete


def keep_state(run: Run, folder: RunFolder) -> None:
    """Delete a finished training's checkpoints: optimiser states fill disks. A trunk's last one becomes its state."""
    if run.role == TRUNK and (checkpoints := finished(folder)):
        shutil.rmtree(folder.state, ignore_errors=True)
        checkpoints[0].rename(folder.state)
    shutil.rmtree(folder.checkpoints, ignore_errors=True)


def forget_states(runs: Sequence[Run], recipe: Recipe) -> None:
    """Delete the states that no run of the recipe needs any more; the end of a trunk keeps its own, for larger sizes.

    Args:
        runs: all that the recipe expands to.
    """
    for trunk in runs:
        children = [run for run in runs if run.parent and run.parent.name == trunk.name and run.continues]
        if not any(child.role == TRUNK for child in children):
            continue
        if all(is_complete(folder_of(recipe).run(child.name).model) for child in children):
            shutil.rmtree(folder_of(recipe).run(trunk.name).state, ignore_errors=True)
