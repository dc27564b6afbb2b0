"""One HTML page that stands on its own: what was run, the tables, the figures, the conditions and the caveats.

No script and nothing from elsewhere: styles and figures are in the file, so it can be mailed or archived as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dist_stilts.experiment.plots import curves
from dist_stilts.layout import write_text
from dist_stilts.report.records import Record
from dist_stilts.report.table import Table, header, label, lines, pivot

CONDITIONS = ("model_id", "origin", "data_revision", "seed", "world_size", "dtype", "layer", "pooling")
"""Record fields whose values are listed as they are; versions, counts and times follow."""


def write_page(
    folder: Path,
    title: str,
    records: Sequence[Record],
    distances: Mapping[str, float] | None,
    commands: Sequence[str],
) -> Path:
    """Write ``page.html``, and its figures once more as files under ``figures/``.

    Args:
        folder: made if needed.
        records: result records; optional fields may be missing.
        distances: distance from English by language, if known.
        commands: the command lines that made the records, in order.

    Returns:
        The page's path.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    tables = pivot(records, distances)
    figures = [path for path in curves(records, folder / "figures", distances) if path.suffix == ".svg"]
    environment = Environment(
        loader=PackageLoader("dist_stilts.experiment", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("page.html.j2").render(
        title=title,
        commands=commands,
        runs=_runs(records),
        tables=[_for_template(table) for table in tables if table.is_main],
        figures=[inline_svg(path) for path in figures],
        conditions=conditions(records),
        caveats=caveats(records, tables),
    )
    page = folder / "page.html"
    write_text(page, html)
    return page


def _runs(records: Iterable[Record]) -> list[dict[str, Any]]:
    """One line per run: what it is, what it was trained on, what it was scored on."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((str(record.get("run") or ""), label(record)), []).append(record)
    return [
        {
            "name": name,
            "label": what,
            "training": _values(run, "train_tasks"),
            "size": _values(run, "train_size"),
            "scored": ", ".join(dict.fromkeys(record["task"] for record in run)),
            "seeds": _values(run, "seed"),
            "degenerate": any(record.get("degenerate") for record in run),
        }
        for (name, what), run in groups.items()
    ]


def _for_template(table: Table) -> dict[str, Any]:
    return {"caption": table.caption, "header": header(table), "lines": lines(table), "notes": table.notes}


def inline_svg(path: Path) -> str:
    """Return a figure as an element of the page: scalable, with its ids made unique by the file's name.

    Ids are one name space per page; two figures that share one would draw with each other's shapes.
    """
    svg = path.read_text(encoding="utf-8")
    svg = svg[svg.index("<svg") :]
    prefix = re.sub(r"\W", "-", path.stem)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(url\(|href=")#', rf"\g<1>#{prefix}-", svg)
    return re.sub(r'(<svg[^>]*?) width="[^"]*"', rf'\1 role="img" aria-label="{prefix}"', svg, count=1)


def conditions(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Everything that could explain a difference between these numbers and others (law 11), as (name, values)."""
    found = [(field.replace("_", " "), _values(records, field)) for field in CONDITIONS]
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


def caveats(records: Sequence[Record], tables: Sequence[Table]) -> list[str]:
    """What a reader must not overlook, from the records themselves."""
    seeds = {record["seed"] for record in records if record.get("seed") is not None}
    found = [
        f"{len(seeds)} seeds: the intervals cover test sampling only. How far seeds differ is seen between rows."
        if len(seeds) > 1
        else "One seed: the intervals cover test sampling only. Another seed may move a score further than that."
    ]
    found.append(
        "Intervals take languages as independent and each score as a proportion of its rows, which is an approximation "
        "for F1; test sets that are translations of one another make the interval of a mean too narrow."
    )
    if any(record["task"] == "udpos" and record["metric"] == "f1" for record in records):
        found.append("udpos f1 is seqeval over plain tags, as XTREME scores it; accuracy beside it is per word.")
    kinds = {label({**record, "intermediate": None}) for record in records}
    missing = [name for name in ("random encoder", "hypothesis only") if not any(name in kind for kind in kinds)]
    if missing:
        found.append(
            f"Not run: {' and '.join(missing)}. Without it a score cannot be told from an artefact of the data."
        )
    notes = [f"{table.task} {table.metric}: {note}" for table in tables if table.is_main for note in table.notes]
    found += notes or ["No run was degenerate, and every mean is over all languages of its table."]
    return found


def _run_of(record: Record) -> tuple[str, str]:
    return str(record.get("run")), str(record.get("run_id"))


def _values(records: Iterable[Record], field: str) -> str:
    """The different values of a field, in order of appearance."""
    values = [record[field] for record in records if record.get(field) is not None]
    texts = [" + ".join(map(str, value)) if isinstance(value, list) else str(value) for value in values]
    return ", ".join(dict.fromkeys(filter(None, texts)))
