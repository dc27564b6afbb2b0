"""The verb that makes one model out of several: ``average``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dist_stilts.verbs.common import say


def average(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Folders of runs, or their model folders.")],
    out: Annotated[Path, typer.Option(help="Model folder to write; must not exist.")],
) -> None:
    """Average the weights of models that were trained apart from one start, such as several seeds of a run.

    Example: `dist-stilts average runs/seed0/xnli runs/seed1/xnli runs/seed2/xnli --out runs/xnli-average`
    """
    from dist_stilts.model.averaging import average as average_models

    made, doubts = average_models(models, out)
    for doubt in doubts:
        say(f"warning: {doubt}")
    parts = ", ".join(f"{part['run']} ({part['digest'][:12]})" for part in made.averaged_from)
    say(f"{out}: the average of {len(models)} models, digest {made.digest[:12]}: {parts}")
