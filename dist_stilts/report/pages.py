"""What the HTML pages share: their templates, figures as elements, and the conditions of their numbers.

A page stands on its own: styles and figures are in the file, so it can be mailed or archived as it is.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from dist_stilts.redaction import redact
from dist_stilts.results.record import ResultRecord
from dist_stilts.writing import write_text

CONDITIONS: dict[str, Callable[[ResultRecord], object]] = {
    "model": lambda record: record.model.called,
    "model id": lambda record: record.model.id,
    "origin": lambda record: record.model.origin,
    "data revision": lambda record: record.data_revision,
    "seed": lambda record: record.training.seed,
    "world size": lambda record: record.scoring.world_size,
    "dtype": lambda record: record.reading.dtype,
    "layer": lambda record: record.reading.layer,
    "pooling": lambda record: record.reading.pooling,
}
"""What is listed as it is; versions, counts and times follow."""
LISTED = 12
"""So many different values of a field are listed; of more, the first and how many there are."""


FONTS = "'DejaVu Sans', Verdana, sans-serif"
"""Of figures on a page; Verdana's letters are as wide. Matplotlib's own list would be a third of the file."""


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
    write_text(page, redact(environment.get_template(template).render(**values)))
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
    svg = re.sub(r"'DejaVu Sans'[^;\"]*sans-serif", FONTS, svg)
    start, rest = svg.split(">", 1)
    start = re.sub(r' width="[^"]*"', f' role="img" aria-label="{html.escape(description or prefix)}"', start, count=1)
    return f"{start}>{rest}"


def conditions(records: Sequence[ResultRecord]) -> list[tuple[str, str]]:
    """Everything that could explain a difference between these numbers and others (law 11), as (name, values)."""
    found = [(name, shortened(values_of(records, read))) for name, read in CONDITIONS.items()]
    packages: dict[str, set[str]] = {}
    for record in records:
        for package, version in record.scoring.versions.items():
            packages.setdefault(package, set()).add(str(version))
    found.append(("versions", ", ".join(f"{name} {' / '.join(sorted(packages[name]))}" for name in sorted(packages))))
    counts = sorted({record.count for record in records})
    if counts:
        found.append(("rows per score", f"{counts[0]:,} to {counts[-1]:,}" if len(counts) > 1 else f"{counts[0]:,}"))
    runs = {(record.training.run, record.training.run_id) for record in records}
    found.append(("scores", f"{len(records):,} in {len(runs):,} runs"))
    times = sorted(str(record.scoring.time) for record in records if record.scoring.time)
    if times:
        found.append(("scored", times[0] if times[0] == times[-1] else f"{times[0]} to {times[-1]}"))
    return [(name, values) for name, values in found if values]


def values_of(records: Iterable[ResultRecord], read: Callable[[ResultRecord], object]) -> list[str]:
    """The different values of a field as text, in order of appearance."""
    values = [value for record in records if (value := read(record)) is not None]
    texts = [" + ".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in values]
    return list(dict.fromkeys(filter(None, texts)))


def shortened(values: Sequence[str]) -> str:
    """A list for people, cut where it would be long."""
    more = f" and {len(values) - LISTED:,} more" if len(values) > LISTED else ""
    return ", ".join(values[:LISTED]) + more
