"""What ``run --dry-run`` and ``study run --dry-run`` share: the screen, the rest of it, the exit code."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from dist_stilts.errors import UserError
from dist_stilts.redaction import redact

if TYPE_CHECKING:
    from dist_stilts.experiment.plan import Run
    from dist_stilts.experiment.run_config import Recipe

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Run nothing; print phases, runs, steps, memory, time and what is missing, on one screen. Exit code 0: it "
        "could start; 2: something is missing.",
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="With --dry-run: every run, and all else.")]


def check_verbose(verbose: bool, dry_run: bool) -> None:
    """UserError for the one without the other."""
    if verbose and not dry_run:
        raise UserError("--verbose is for --dry-run", fix="Add --dry-run, or leave --verbose out")


def rehearse(config: Recipe, runs: Sequence[Run], ranks: int, details: Callable[[], str] | None) -> None:
    """Print what would be done on one screen and, if asked to, what ``details`` says and all that is missing.

    Raises:
        UserError: something is missing.
    """
    from dist_stilts.experiment.screen import screen

    rest = [argument for argument in sys.argv[1:] if argument not in ("--dry-run", "--verbose")]
    text, found = screen(config, runs, shlex.join(["dist-stilts", *rest]), ranks)
    print(redact(text))
    if details:
        everything = [*(f"missing: {line}" for line in found.missing), *(f"note: {line}" for line in found.notes)]
        print(redact("\n".join(["", *everything, details()])), flush=True)
    if found.missing:
        number = len(found.missing)
        raise UserError(f"it cannot start: {found.missing[0]}{f' ({number - 1} more above)' if number > 1 else ''}")
