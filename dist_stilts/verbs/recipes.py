"""The verbs about recipes: which there are, what is in one, one for somebody's own files, what every key means."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from dist_stilts.errors import UserError
from dist_stilts.verbs.common import RecipeName, say

recipes = typer.Typer(
    rich_markup_mode="markdown",
    help="List the recipes that ship, show one, or write one for your own files.\n\n"
    "Example: `dist-stilts recipes new classify --data train.csv`",
)
Kind = Literal["classify", "tagging", "qa", "choice", "pairs", "regression", "multilabel"]


@recipes.callback(invoke_without_command=True)
def _list_by_default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_recipes()


@recipes.command("list")
def list_recipes() -> None:
    """List the recipes that ship, one line each, as their files say it.

    Example: `dist-stilts recipes`
    """
    from dist_stilts.config import find_recipe, shipped_recipes

    names = shipped_recipes()
    for name in names:
        print(f"{name:<{max(map(len, names))}}  {_headline(find_recipe(name))}")
    say("next:  dist-stilts recipes show NAME, dist-stilts run NAME --dry-run")
    say("       dist-stilts recipes new classify --data FILE writes one for your own files")


def _headline(file: Path) -> str:
    """The first line of a recipe, which is a comment."""
    with file.open(encoding="utf-8") as lines:
        return next(lines).removeprefix("#").strip()


@recipes.command()
def show(recipe: RecipeName) -> None:
    """Print a recipe as it stands in its file. Example: `dist-stilts recipes show quickstart > mine.yaml`"""
    from dist_stilts.config import find_recipe

    print(find_recipe(recipe).read_text(encoding="utf-8"), end="")


@recipes.command()
def keys(
    prefix: Annotated[str, typer.Argument(metavar="[KEY]", help="Only this key or section, such as train.")] = "",
) -> None:
    """Print every key of a recipe with its type, range, default and meaning.

    Example: `dist-stilts recipes keys train`
    """
    from dist_stilts.errors import nearest
    from dist_stilts.experiment.run_config import Recipe
    from dist_stilts.recipe_keys import Key, sections

    every = [key for _, _, found in sections(Recipe) for key in found]
    asked = prefix.strip(".").split(".") if prefix.strip(".") else []
    wanted = [key for key in every if _is_below(key.path, asked)]
    if not wanted:
        raise UserError(f"no key '{prefix}'", fix=nearest(prefix, [key.path for key in every]))

    def line(key: Key) -> str:
        default = "needed" if key.default is None else f"default {key.default}" if key.default else ""
        return f"{key.path}  ({'; '.join(filter(None, (key.kind, key.allowed, default)))})\n    {key.meaning}"

    print("\n".join(map(line, wanted)))


def _is_below(path: str, asked: Sequence[str]) -> bool:
    """Whether a key is what is asked for or below it; a name of the user's stands for NAME."""
    parts = path.split(".")
    return len(parts) >= len(asked) and all(part in (name, "NAME") for part, name in zip(parts, asked, strict=False))


@recipes.command()
def new(
    kind: Annotated[Kind, typer.Argument(help="What the recipe is for; pairs: two files, line by line translations.")],
    data: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE", help="Training rows: CSV, TSV, JSON lines, Parquet or CoNLL. For pairs one side or both."
        ),
    ],
    test: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Test rows, a file per language; default: those beside the training file."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="RECIPE", help="File to write; default: NAME.yaml here.")] = None,
    encoder: Annotated[str | None, typer.Option(help="Hub name or folder of the encoder.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(metavar="FIELD=NAME", help="Which column a field is, where the guess is wrong.")
    ] = None,
) -> None:
    """Write a commented recipe for your own files, which runs: columns, labels, splits and languages are looked up.

    A file is never overwritten. Guesses are said, and stand in the recipe as comments.

    Example: `dist-stilts recipes new classify --data train.csv --test test.de.csv --test test.zh.csv`
    """
    from dist_stilts.experiment.look import look_into
    from dist_stilts.experiment.starter import PAIRS, pairs_text, recipe_text
    from dist_stilts.writing import check_file, require_file, write_text

    name = _name(kind, data[0], out)
    file = out or Path(f"{name}.yaml")
    check_file(file)
    _check(kind, data, test, column, file)
    require_file(file)
    model = str(Path(encoder).resolve()) if encoder and Path(encoder).is_dir() else encoder
    if kind == PAIRS:
        text, notes = pairs_text(name, data, model, shlex.quote(str(file)))
    else:
        look = look_into(kind, name, data[0], test or [], _columns(column))
        text, notes = recipe_text(kind, name, look, model, shlex.quote(str(file))), look.notes
    write_text(file, text)
    say("\n".join(f"guess: {note}" for note in notes))
    say(f"wrote {file}; next:  dist-stilts run {shlex.quote(str(file))} --dry-run")


def _name(kind: str, file: Path, out: Path | None) -> str:
    """A name for task and runs: that of the file to write, what is left of the data's name, or its folder's."""
    from dist_stilts.tasks.registry import MULTI, all_tasks
    from dist_stilts.tasks.siblings import read_as_english

    rest = "-".join(read_as_english(file.name.partition(".")[0]).rest)
    folder = file.absolute().parent.name
    name = re.sub(r"[^\w-]+", "-", out.stem if out else rest or folder).strip("-") or kind
    taken = {MULTI, *(taken for spec in all_tasks() for taken in (spec.name, *spec.aliases))}
    return f"my-{name}" if name in taken else name


def _check(kind: str, data: Sequence[Path], test: object, column: object, file: Path) -> None:
    """UserError for what does not go together, and for a file that is there already."""
    if file.suffix not in (".yaml", ".yml"):
        raise UserError(f"{file} is no name of a recipe", fix="Give --out a name that ends in .yaml")
    if file.exists():
        raise UserError("is there already, and is not overwritten", where=file, fix="Give another --out")
    if kind != "pairs" and len(data) > 1:
        raise UserError(f"{len(data)} training files", fix="Give one --data; other languages are --test")
    if kind == "pairs" and (test or column):
        raise UserError("pairs have no training rows and no columns", fix="Leave --test and --column out")


def _columns(given: Sequence[str] | None) -> dict[str, str]:
    for text in given or []:
        if not re.fullmatch(r"[^=]+=.+", text):
            raise UserError(f"--column {text} is not FIELD=NAME", fix="Write it as label=topic")
    return dict(text.split("=", 1) for text in given or [])
