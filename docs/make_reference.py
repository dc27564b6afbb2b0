#!/usr/bin/env python3
"""Writes docs/recipe-keys.md, the reference of every recipe key, from the dataclasses that read recipes.

Usage: python docs/make_reference.py

What it says is in dist_stilts/recipe_keys.py; here it becomes tables. A test keeps the page up to date.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from dist_stilts.experiment.run_config import Recipe
from dist_stilts.recipe_keys import Key, one_line, sections

PAGE = Path(__file__).with_name("recipe-keys.md")
HEADER = """\
# Every key of a recipe

Made from the code by `python docs/make_reference.py`: change the text there, not here. On a terminal: `dist-stilts
recipes keys`, or `dist-stilts recipes keys train` for a part.

A recipe is a YAML file; on the command line `key=value` after it changes any of these (`train.learning_rate=1e-5`).
Later wins over earlier: defaults, then the file, then the command line. `NAME` stands for a name of your own. A wrong
key or type, or what is not allowed, is refused before anything starts, with its line and the nearest right key.

What a value is follows from the key: a text is taken as it stands (`name=010` is the text 010, `encoder.path=a: b #1`
has a space and a `#`), everything else is YAML (`phases.xnli.sizes=[100, full]`). `null` stands for none where a key
may be null; an empty value is refused. `~` at the beginning of a path is your home, and `${oc.env:VARIABLE}` an
environment variable.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEADER, *(line for section in sections(Recipe) for line in table(*section))])


def table(path: str, config: type, keys: list[Key]) -> Iterator[str]:
    """The table of one section, below what it says of itself."""
    yield f"## {f'`{path}`' if path else 'At the top'}\n"
    yield one_line(inspect.getdoc(config) or "") + "\n"
    yield "| key | type | allowed | default | meaning |\n|---|---|---|---|---|"
    for key in keys:
        default = "*needed*" if key.default is None else key.default and f"`{key.default}`"
        yield f"| `{key.path}` | {cell(key.kind)} | {cell(key.allowed)} | {default} | {cell(key.meaning)} |"
    yield ""


def cell(text: str) -> str:
    """A text in a cell of a table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
