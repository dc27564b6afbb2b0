"""The paper's own tables: the baseline's scores, and what every intermediate phase changes about them.

    scores -> rows (:mod:`dist_stilts.analysis.delta_rows`) -> delta tables -> Markdown, LaTeX, CSV, JSON, a terminal

Nothing is left out in silence: what a number does not stand on (languages, runs, targets, seeds) is in a note.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from dist_stilts.analysis.delta_rows import (
    AVERAGE,
    BASELINE,
    BEST,
    CHANGE,
    WITHOUT_RETRIEVAL,
    Cell,
    Row,
    base_tasks,
    is_retrieval,
    rows_of,
    task_of,
)
from dist_stilts.conventions import ENGLISH
from dist_stilts.report.numbers import ABSENT, COLLAPSED, plus_minus
from dist_stilts.report.render import Sheet, write_as
from dist_stilts.report.spreadsheet import csv_text
from dist_stilts.tasks.specs_text import PLAIN_TEXT

AVERAGES = (AVERAGE, WITHOUT_RETRIEVAL)


@dataclass(frozen=True)
class DeltaTable(Sheet):
    """A table of changes as it is read, and the numbers behind it.

    Attributes:
        variant: ``all languages``, as XTREME averages, or ``zero-shot``, without English.
        metrics: by target.
    """

    variant: str
    rows: tuple[Row, ...]
    metrics: dict[str, str]


def delta_tables(scores: pd.DataFrame, size: int | None = None) -> list[DeltaTable]:
    """The table over all languages and, if any of them is English, the one without it; none without scores.

    Args:
        scores: a frame of :mod:`dist_stilts.analysis.scores`, of finished runs.
        size: intermediate examples; None = of each phase its largest.

    Raises:
        UserError: no intermediate phase has that size.
    """
    english = scores["language"] == ENGLISH
    variants = {"all languages": scores, **({"zero-shot": scores[~english]} if english.any() else {})}
    return [_table(variant, part, size) for variant, part in variants.items() if len(part)]


def _table(variant: str, scores: pd.DataFrame, size: int | None) -> DeltaTable:
    rows = rows_of(scores, size)
    columns = list(rows[0].cells)
    metrics = {str(target): str(name) for target, name in scores.groupby("target")["metric"].first().items()}
    shown = {row.intermediate for row in rows}
    absent = [name for name in scores["intermediate"].unique() if name not in shown]
    notes = [
        *_variants(rows),
        *([f"no run of n={size}: {', '.join(absent)}"] if absent else []),
        *_dagger_notes(rows),
        *_chance_notes(scores),
        *_language_notes(rows),
        *_average_notes(rows),
        *_choice_notes(rows),
        *_fixed_notes(rows[0]),
        "metrics: " + ", ".join(f"{target} {metrics[target]}" for target in columns if target in metrics),
    ]
    header = ["intermediate phase", *columns]
    lines = [[row.label, *(_text(row.cells[column], row.kind) for column in columns)] for row in rows]
    return DeltaTable(_caption(variant, rows), header, lines, notes, variant, tuple(rows), metrics)


def _caption(variant: str, rows: Sequence[Row]) -> str:
    over = "mean over languages" + (", English left out" if variant == "zero-shot" else "")
    return f"Change by an English intermediate phase: points, first row percent; {over}; {_intervals(rows)}"


def _intervals(rows: Sequence[Row]) -> str:
    """What the ± in the cells is, as far as there is one."""
    cells = [cell for row in rows for name, cell in row.cells.items() if name not in AVERAGES]
    some = [cell for cell in cells if cell.half_width is not None]
    bare = any(len(cell.after) == 1 and cell.half_width is None and not cell.fixed for cell in cells)
    if not some:
        return ("one seed: " if bare else "") + "no intervals"
    seeds = sorted({cell.seeds for cell in some})
    how = {"paired t": "paired by seed", "Welch": "Welch's where seeds differ"}
    tests = ", ".join(text for test, text in how.items() if any(cell.test == test for cell in some))
    span = f"{seeds[0]}" + (f" to {seeds[-1]}" if len(seeds) > 1 else "")
    missing = "; no ± where there is one seed" if bare else ""
    return f"± 95 % half width over {span} seeds{f' ({tests})' if tests else ''}{missing}"


def _text(cell: Cell, kind: str) -> str:
    dagger = COLLAPSED * bool(cell.degenerate)
    if cell.value is None:
        return ABSENT + dagger
    number = plus_minus(cell.value, cell.half_width, sign=kind != BASELINE)
    return f"{number}{dagger}{f' ({cell.chosen})' if cell.chosen else ''}"


def _variants(rows: Sequence[Row]) -> Iterator[str]:
    """Which rows are the same tasks in another form: with masked language modelling, or in translation."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.kind == CHANGE:
            groups.setdefault(base_tasks(row.tasks), []).append(row)
    for group in groups.values():
        forms = [row.intermediate + (" (with MLM)" if PLAIN_TEXT in row.tasks.split(",") else "") for row in group]
        if len(group) > 1:
            yield f"the same tasks in several forms: {', '.join(forms)}"
        elif forms != [group[0].intermediate]:
            yield forms[0]


def _dagger_notes(rows: Sequence[Row]) -> Iterator[str]:
    """One line per row: of how many runs scores are left out, target by target, and the first reason of all."""
    for row in rows:
        ill = {target: cell for target, cell in row.cells.items() if cell.degenerate and row.kind != BEST}
        if ill:
            counts = ", ".join(f"{target} {cell.degenerate} of {cell.runs} runs" for target, cell in ill.items())
            reasons = list(dict.fromkeys(reason for cell in ill.values() for reason in cell.reasons))
            more = f"; and {len(reasons) - 1} more" if len(reasons) > 1 else ""
            yield f"{COLLAPSED} {row.label}, degenerate and left out: {counts}; {reasons[0]}{more}"


def _chance_notes(scores: pd.DataFrame) -> Iterator[str]:
    if "at_chance" in scores and scores["at_chance"].any():
        yield "scores at chance are in the means where every run of that size and of all smaller ones is at chance"


def _language_notes(rows: Sequence[Row]) -> Iterator[str]:
    """Where a number stands on fewer languages than were scored: degenerate in some run, or on one side only."""
    same: dict[tuple[str, tuple[str, ...], int], list[str]] = {}
    for row in rows:
        for target, cell in row.cells.items():
            if cell.missing and cell.value is not None and row.kind != BEST:
                same.setdefault((target, cell.missing, len(cell.languages)), []).append(row.label)
    for (target, missing, count), labels in same.items():
        yield (
            f"{target}, {', '.join(labels)}: over the {count} of {count + len(missing)} languages that all runs "
            f"compared have, without {', '.join(missing)}"
        )


def _average_notes(rows: Sequence[Row]) -> Iterator[str]:
    targets = [name for name in rows[0].cells if name not in AVERAGES]
    several = list(dict.fromkeys(task_of(name) for name in targets if task_of(name) != name))
    if several:
        yield f"settings of one task ({', '.join(several)}) share that task's weight in the average"
    for row in rows:
        count = row.cells[AVERAGE].targets
        if 0 < count < len(targets):
            yield f"{row.label}: average over {count} of {len(targets)} targets"


def _choice_notes(rows: Sequence[Row]) -> Iterator[str]:
    """Why the last row has no choice for a target."""
    cells = rows[-1].cells
    if rows[-1].kind != BEST:
        return
    left = [name for name, cell in cells.items() if cell.value is None and name not in AVERAGES]
    retrieval = [name for name in left if is_retrieval(name)]
    others = [name for name in left if name not in retrieval]
    if retrieval:
        yield f"{', '.join(retrieval)}: no English dev to choose on, and nothing is chosen on test scores"
    if others:
        yield f"{', '.join(others)}: no choice, for lack of sound runs with a score on English dev, or of a baseline"


def _fixed_notes(baseline: Row) -> Iterator[str]:
    fixed = [target for target, cell in baseline.cells.items() if cell.fixed]
    if fixed:
        yield f"{', '.join(fixed)}: nothing was trained for the baseline, so that it does not vary with the seed"


def render(tables: Sequence[DeltaTable], format: str, remarks: Sequence[str] = ()) -> str:
    """Write tables as ``md`` or ``latex`` for reading, or as ``csv`` or ``json`` with all numbers.

    Args:
        remarks: lines to stand below all of them, where people read.

    Raises:
        UserError: another format.
    """
    return write_as(format, tables, csv=lambda: _csv(tables), json=lambda: _json(tables), remarks=remarks)


def _csv(tables: Iterable[DeltaTable]) -> str:
    """One line per row and target, averages last; languages are separated by spaces."""
    first = ("variant", "row", "intermediate", "size", "kind", "target", "metric")
    numbers = (
        "value",
        "half_width",
        "test",
        "seeds",
        "languages",
        "missing",
        "runs",
        "degenerate",
        "chosen",
        "targets",
    )
    rows: list[Sequence[object]] = [(*first, *numbers)]
    for table in tables:
        for row in table.rows:
            start = [table.variant, row.label, row.intermediate, row.size, row.kind]
            for target, cell in row.cells.items():
                values = [getattr(cell, name) for name in numbers]
                joined = [" ".join(value) if isinstance(value, tuple) else value for value in values]
                rows.append([*start, target, table.metrics.get(target), *joined])
    return csv_text(rows)


def _json(tables: Iterable[DeltaTable]) -> str:
    return json.dumps([asdict(table) for table in tables], ensure_ascii=False, indent=1)
