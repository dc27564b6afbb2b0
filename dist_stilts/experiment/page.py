"""One HTML page that stands on its own: what was run, the tables, the figures, the conditions and the caveats.

No script and nothing from elsewhere: styles and figures are in the file, so it can be mailed or archived as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from dist_stilts.experiment.plots import curves
from dist_stilts.report.numbers import COLLAPSED
from dist_stilts.report.pages import conditions, inline_svg, values_of, write_html
from dist_stilts.report.render import Sheet
from dist_stilts.report.table import Table, pivot, sheets
from dist_stilts.results.record import HYPOTHESIS_ONLY, RANDOM_ENCODER, ResultRecord
from dist_stilts.results.settings import label


def write_page(
    folder: Path,
    title: str,
    records: Sequence[ResultRecord],
    distances: Mapping[str, float] | None,
    commands: Sequence[str],
    left_out: Sequence[str] = (),
) -> Path:
    """Write ``page.html``, and its figures once more as files under ``figures/``.

    Args:
        folder: made if needed.
        records: of which no two contradict each other.
        distances: distance from English by language, if known.
        commands: the command lines that made the records, in order.
        left_out: a line for each run that could not be read.

    Returns:
        The page's path.
    """
    tables = pivot(records, distances)
    figures = [path for path in curves(records, folder / "figures", distances) if path.suffix == ".svg"]
    return write_html(
        folder / "page.html",
        "experiment",
        "page.html.j2",
        title=title,
        commands=commands,
        runs=_runs(records),
        tables=sheets(tables),
        figures=[inline_svg(path) for path in figures],
        conditions=conditions(records),
        caveats=[*left_out, *caveats(records, tables)],
    )


def _runs(records: Iterable[ResultRecord]) -> Sheet:
    """One line per run: what it is, what it was trained on, what it was scored on."""
    groups: dict[tuple[str, str], list[ResultRecord]] = {}
    for record in records:
        groups.setdefault((record.training.run, label(record)), []).append(record)
    found = [
        [
            what + COLLAPSED * any(record.collapsed for record in run),
            name,
            _values(run, lambda record: record.training.train_tasks),
            _values(run, lambda record: record.training.train_size),
            ", ".join(dict.fromkeys(record.task for record in run)),
            _values(run, lambda record: record.training.seed),
        ]
        for (name, what), run in groups.items()
    ]
    return Sheet("Runs", ["what it is", "run", "trained on", "rows", "scored on", "seed"], found, [])


def caveats(records: Sequence[ResultRecord], tables: Sequence[Table]) -> list[str]:
    """What a reader must not overlook, from the records themselves."""
    seeds = {record.training.seed for record in records if record.training.seed is not None}
    found = [
        f"{len(seeds)} seeds: the intervals cover test sampling only. How far seeds differ is seen between rows."
        if len(seeds) > 1
        else "One seed: the intervals cover test sampling only. Another seed may move a score further than that."
    ]
    found.append(
        "Intervals take languages as independent and each score as a proportion of its rows, which is an approximation "
        "for F1; test sets that are translations of one another make the interval of a mean too narrow."
    )
    if any(record.task == "udpos" and record.metric == "f1" for record in records):
        found.append("udpos f1 is seqeval over plain tags, as XTREME scores it; accuracy beside it is per word.")
    known = {control for record in records for control in record.controls}
    missing = [name for name in (RANDOM_ENCODER, HYPOTHESIS_ONLY) if name not in known]
    if missing:
        found.append(
            f"Not run: {' and '.join(missing)}. Without it a score cannot be told from an artefact of the data."
        )
    notes = [f"{table.task} {table.metric}: {note}" for table in tables if table.is_main for note in table.notes]
    found += notes or ["No run was degenerate, and every mean is over all languages of its table."]
    return found


def _values(records: Iterable[ResultRecord], read: Callable[[ResultRecord], object]) -> str:
    return ", ".join(values_of(records, read))
