"""What a worker does: run after run, whichever is ready and nobody else has, until nothing is left that it could do.

Every rank of the worker calls :func:`work`; rank 0 chooses. A run that fails ends the worker, because what it leaves in
memory is not known; whoever started the worker starts another one, and the failed run is not tried again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from dist_stilts.experiment.claim import Busy
from dist_stilts.experiment.phases import run_phase
from dist_stilts.experiment.plan import Run
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.states import forget_states
from dist_stilts.parallel import preemption
from dist_stilts.parallel.collectives import broadcast_value
from dist_stilts.parallel.world import World
from dist_stilts.study.progress import READY, RUNNING, WAITING, Standing, look

SECONDS_BETWEEN_LOOKS = 1.0
"""How long a worker waits before it looks again whether a parent that another one trains is done."""


def work(runs: Sequence[Run], recipe: Recipe, world: World, command: str) -> None:
    """Do what is to be done of a study, beside other workers on the same folder.

    Args:
        runs: all of the study, parents first.
        command: what a user typed to run the study, for its models' cards.

    Raises:
        Preempted: a rank was asked to stop; all have saved.
        UserError: a run failed.
    """
    by_name, standings = {run.name: run for run in runs}, None
    while True:
        standings = look(runs, recipe, standings) if world.is_main else None
        name, is_over = broadcast_value(choose(standings) if standings else (None, True))
        if name:
            try:
                run_phase(by_name[name], recipe, world, command)
            except Busy:  # another worker was faster
                continue
            if world.is_main:
                forget_states(runs, recipe)
        elif is_over:
            return
        else:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        preemption.check()


def choose(standings: Mapping[str, Standing]) -> tuple[str | None, bool]:
    """The first run that is ready, if any, and whether none will be: what runs now could still make others ready."""
    states = {name: standing.state for name, standing in standings.items()}
    ready = next((name for name, state in states.items() if state == READY), None)
    open_ended = RUNNING in states.values() and WAITING in states.values()
    return ready, ready is None and not open_ended
