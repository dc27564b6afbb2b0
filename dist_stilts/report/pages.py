"""What the HTML pages share: their templates, figures as elements, and the conditions of their numbers.

A page stands on its own: styles and figures are in the file, so it can be mailed or archived as it is.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dist_stilts.layout import write_text
from dist_stilts.report.records import Record

CONDITIONS = ("model_id", "origin", "data_revision", "seed", "world_size", "dtype", "layer", "pooling")
"""Record fields whose values are listed as they are; versions, counts and times follow."""
LISTED = 12
"""So many different values of a field are listed; of more, the first and how many there are."""


def write_html(page: Path, room: str, template: str, **values: Any) -> Path:
    """Fill a template of the package ``dist_stilts.<room>``, which may build on those of this room; returns the page.

    Raises:
        jinja2.UndefinedError: the template uses what it is not given.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(f"dist_stilts.{name}", "") for name in (room, "report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    write_text(page, environment.get_template(template).render(**values))
    return page


def inline_svg(path: Path, description: str = "") -> str:
    """Return a figure as an element of the page: scalable, with its ids made unique by the file's name.

    Ids are one name space per page; two figures that share one would draw with each other's shapes.

    Args:
        description: what is seen, for those who cannot see it; the file's name if there is none.
    """
    svg = path.read_text(encoding="utf-8")
    svg = svg[svg.index("<svg") :]
    prefix = re.sub(r"\W", "-", path.stem)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(url\(|href=")#', rf"\g<1>#{prefix}-", svg)
    start, rest = svg.split(">", 1)
    start = re.sub(r' width="[^"]*"', f' role="img" aria-label="{html.escape(description or prefix)}"', start, count=1)
    return f"{start}>{rest}"


def conditions(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Everything that could explain a difference between these numbers and others (law 11), as (name, values)."""
    found = [(field.replace("_", " "), shortened(values_of(records, field))) for field in CONDITIONS]
    packages: dict[str, set[str]] = {}
    for record in records:
        for package, version in (record.get("versions") or {}).items():
            packages.setdefault(package, set()).add(str(version))
    found.append(("versions", ", ".join(f"{name} {' / '.join(sorted(packages[name]))}" for name in sorted(packages))))
    counts = sorted({record.get("count") or 0 for record in records})
    if counts:
        found.append(("rows per score", f"{counts[0]:,} to {counts[-1]:,}" if len(counts) > 1 else f"{counts[0]:,}"))
    found.append(("scores", f"{len(records):,} in {len({_run_of(record) for record in records}):,} runs"))
    times = sorted(str(record["time"]) for record in records if record.get("time"))
    if times:
        found.append(("scored", times[0] if times[0] == times[-1] else f"{times[0]} to {times[-1]}"))
    return [(name, values) for name, values in found if values]


def values_of(records: Iterable[Record], field: str) -> list[str]:
    """The different values of a field as text, in order of appearance."""
    values = [record[field] for record in records if record.get(field) is not None]
    texts = [" + ".join(map(str, value)) if isinstance(value, list) else str(value) for value in values]
    return list(dict.fromkeys(filter(None, texts)))


def shortened(values: Sequence[str]) -> str:
    """A list for people, cut where it would be long."""
    more = f" and {len(values) - LISTED:,} more" if len(values) > LISTED else ""
    return ", ".join(values[:LISTED]) + more


def _run_of(record: Record) -> tuple[str, str]:
    return str(record.get("run")), str(record.get("run_id"))
