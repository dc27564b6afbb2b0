"""What the verbs share: how a recipe is named on the command line, loaded, and how things are said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dist_stilts.conventions import ENGLISH, installed_version
from dist_stilts.errors import UserError
from dist_stilts.parallel.launchers import own_rank
from dist_stilts.report.progress import say
from dist_stilts.verbs import complete

__all__ = [
    "Json",
    "Overrides",
    "RecipeName",
    "check_options",
    "completed_by",
    "load_recipe",
    "say",
    "show_version",
]

if TYPE_CHECKING:
    from dist_stilts.experiment.run_config import Recipe
    from dist_stilts.tasks.read_own import OwnTask

RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="A shipped recipe's name or a YAML file.",
        show_default=False,
        autocompletion=complete.recipes,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe, such as train.learning_rate=1e-5."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


PROGRAM = ("dist-stilts", "torch", "transformers", "deepspeed")
"""This program, and what it stands on."""


def show_version(wanted: bool) -> None:
    """Print the versions of this program and of what it stands on, as installed: nothing is imported; then end."""
    from platform import python_version

    if wanted:
        own, *below = (f"{name} {installed_version(name)}" for name in PROGRAM)
        print(f"{own} ({', '.join([f'Python {python_version()}', *below])})")
        raise typer.Exit


def load_recipe(name: str, overrides: list[str] | None) -> Recipe:
    """The recipe with its overrides, its own tasks known from now on; one without a name is named after its file.

    Raises:
        UserError: it is wrong, or its name is none.
    """
    from dist_stilts.config import find_recipe, load
    from dist_stilts.experiment.run_config import Recipe
    from dist_stilts.names import check_name
    from dist_stilts.tasks.read_own import own_spec
    from dist_stilts.tasks.registry import register

    path = find_recipe(name)
    recipe = load(Recipe, path, overrides or [], name=path.stem)
    check_name(recipe.name, f"{path}: name", {"prepared": "the folder of tokenised data"})
    for task, own in recipe.data.own_tasks.items():
        register(own_spec(task, own))
        _say_what_is_the_source(task, own)
    if own_rank() == 0 and not any(override.startswith("name=") for override in overrides or []):
        _say_what_is_left_alone(recipe, path.stem)
    return recipe


def _say_what_is_the_source(task: str, own: OwnTask) -> None:
    """Say so if an own task's source language is not English although it has English."""
    from dist_stilts.tasks.registry import get_task

    source = get_task(task).source
    if own_rank() == 0 and source != ENGLISH and ENGLISH in own.languages:
        say(f"note: {task} is trained on in '{source}', the first of its languages")


def _say_what_is_left_alone(recipe: Recipe, stem: str) -> None:
    """Say so if older versions, which took no notice of a recipe's own name, have left runs under its file's."""
    folder, older = Path(recipe.out, recipe.name), Path(recipe.out, stem)
    if not folder.exists() and any(older.glob("*/status.json")):
        say(
            f"note: the runs of this recipe go to {folder}, as its name says; those in {older}, where older versions "
            f"put them, are left alone: name={stem} goes on with them"
        )


def check_options(*configs: Any, **named: str) -> None:
    """UserError for what the keys of some configs do not allow, by the names that options have.

    Args:
        named: key to option, where that is not the key's own last name.
    """
    from dist_stilts.ranges import check

    def option(key: str) -> str:
        return f"--{named.get(key.replace('.', '_'), key.rpartition('.')[2]).replace('_', '-')}"

    for config in configs:
        check(config, option)


@contextmanager
def completed_by(command: str) -> Iterator[None]:
    """Name the command that makes tokenised data when what runs here must not make them."""
    from dist_stilts.data.prepare import NotPrepared

    try:
        yield
    except NotPrepared as error:
        fix = f"Ranks do not tokenise: run `{command}` first"
        raise UserError(error.what, where=error.place, fix=fix) from error
