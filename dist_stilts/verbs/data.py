"""The verbs about data: which tasks there are, how their examples look, making and preparing them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dist_stilts.errors import UserError
from dist_stilts.ranges import MOST, MOST_SEED, SCALE
from dist_stilts.verbs import complete
from dist_stilts.verbs.common import Json, Overrides, RecipeName, load_recipe, say

if TYPE_CHECKING:
    from dist_stilts.tasks.spec import HubSource, TaskSpec


def tasks(
    name: Annotated[
        str | None,
        typer.Argument(help="Show one task, and an example with --data and --model.", autocompletion=complete.tasks),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder to show an example from.")] = None,
    model: Annotated[str | None, typer.Option(help="Model or tokenizer folder, or Hub name.")] = None,
    language: Annotated[str | None, typer.Option(help="The example's language; default: the first there is.")] = None,
    split: Annotated[str | None, typer.Option(help="The example's split; default: dev, if the task has it.")] = None,
    as_json: Json = False,
) -> None:
    """List the tasks. Example: `dist-stilts tasks xnli --data DIR --model FacebookAI/xlm-roberta-large`"""
    from dist_stilts.report.lists import task_block, task_table
    from dist_stilts.tasks.registry import INTERMEDIATE, MULTI, all_tasks, get_task

    if name is None:
        known = [facts(spec) for spec in all_tasks()]
        print(json.dumps(known, indent=2) if as_json else task_table(known))
        if not as_json:
            say(f"in a recipe, {MULTI} stands for {', '.join(INTERMEDIATE)}")
        return
    found = facts(get_task(name))
    lines: list[str] = []
    if data and model:
        from dist_stilts.data.show import example
        from dist_stilts.model.encoder import load_tokenizer

        lines = example(name, data, split, language, load_tokenizer(model))
    if as_json:
        print(json.dumps({**found, "example": lines}, indent=2))
    else:
        print("\n".join([task_block(found), *lines]))
    if not lines and not as_json:
        say(f"to see an example as a model reads it: dist-stilts tasks {name} --data DIR --model MODEL")


def facts(spec: TaskSpec) -> dict[str, Any]:
    """What there is to know of a task, for people and machines."""
    hub = spec.hub
    return {
        "name": spec.name,
        "aliases": list(spec.aliases),
        "family": spec.family,
        "metric": spec.metric,
        "languages": list(spec.languages),
        "splits": list(spec.splits),
        "sizes": dict(spec.sizes),
        "trained on": spec.trained_on or None,
        "made of": list(spec.parts),
        "labels": list(spec.labels) or ("those of the training rows" if spec.open_labels else None),
        "hub": "that of its parts" if spec.parts else hub and _address(hub),
        "files": [f"{spec.folders[0]}/{layout}" for layout in spec.layouts] if spec.folders else [],
        "other folders": list(spec.folders[1:]),
        "licence": spec.licence,
        "citation": spec.citation,
    }


def _address(hub: HubSource) -> str:
    return f"{hub.path}{f' ({hub.config})' if hub.config else ''} @ {hub.revision}"


def simulate(
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Another seed, another world.")] = 0,
    placebo: Annotated[bool, typer.Option(help="All languages share English grammar: a negative control.")] = False,
    scale: Annotated[
        float,
        typer.Option(min=SCALE.least, max=SCALE.most, help="Share of the default numbers of rows."),
    ] = 1.0,
) -> None:
    """Write a simulated multilingual world in the public file formats. Example: `dist-stilts simulate --out world`"""
    from dist_stilts.simulate import write_world
    from dist_stilts.writing import real, require_folder

    if not out.exists():
        require_folder(real(out).parent)
    write_world(out, seed=seed, placebo=placebo, scale=scale, on_progress=say)
    say(f"the world is in {out}; use it with data.root={out} encoder.tokenizer={out / 'tokenizer'}")


def prepare(recipe: RecipeName, overrides: Overrides = None, as_json: Json = False) -> None:
    """Tokenise all that a recipe trains on and scores, without GPUs. Example: `dist-stilts prepare quickstart`"""
    from dist_stilts.experiment.check import check_settings
    from dist_stilts.experiment.execute import make_world, require_out
    from dist_stilts.experiment.plan import expand, folder_of
    from dist_stilts.experiment.training_data import prepare_all, recipe_tokenizer
    from dist_stilts.report.lists import preparation
    from dist_stilts.report.progress import bar

    config = load_recipe(recipe, overrides)
    runs = expand(config)
    check_settings(config, runs, ranks=1)
    require_out(config)
    make_world(config)
    done = list(prepare_all(runs, config, recipe_tokenizer(config), bar()).values())
    print(json.dumps(done, indent=2) if as_json else preparation(done))
    say(f"prepared {len(done)} splits of {len(runs)} runs in {folder_of(config).prepared}")


def translate(
    task: Annotated[str, typer.Argument(help="Task whose English rows are translated.", autocompletion=complete.tasks)],
    to: Annotated[str, typer.Option(help="Comma-separated language codes, such as de,fr.")],
    model: Annotated[str, typer.Option(help="NLLB or M2M100 model: a folder or a Hub name.")],
    data: Annotated[Path | None, typer.Option(help="Data folder to read; default: the Hub.")] = None,
    out: Annotated[Path | None, typer.Option(help="Data folder to write to; default: --data.")] = None,
    split: Annotated[str, typer.Option(help="Split or slice.")] = "train",
    revision: Annotated[str | None, typer.Option(help="The model's revision on the Hub.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="Translate the first rows only.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=MOST, help="Pieces of text per rank and forward pass.")] = 16,
    beams: Annotated[int, typer.Option(min=1, max=MOST, help="1 is greedy.")] = 1,
    max_length: Annotated[int, typer.Option(min=8, max=MOST, help="Most tokens per piece of text.")] = 256,
) -> None:
    """Make a machine-translated training set, which a recipe chooses by `languages: [en, de]`; again = continue.

    Example: `dist-stilts translate commonsenseqa --to de,fr --model facebook/nllb-200-distilled-600M --data DIR`
    """
    from dist_stilts.parallel.world import started
    from dist_stilts.report.progress import bar
    from dist_stilts.tasks.registry import get_task
    from dist_stilts.translate import job

    where = out or data
    if where is None:
        raise UserError("nothing says where to write", fix="Give --out DIR")
    request = job.Request(
        get_task(task), data, where, split, to.split(","), model, revision, limit, batch_size, beams, max_length
    )
    with started() as world:
        outcomes = job.translate(request, world, bar(not world.is_main))
    if world.is_main:
        for outcome in outcomes:
            say(outcome.line())
