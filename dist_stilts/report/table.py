"""Tables from result records: one per (task, split, metric), runs down, languages across.

    run folders -> collect -> pivot -> render (Markdown, CSV, LaTeX, JSON), or sheets for a terminal

Nothing is left out in silence: a degenerate run keeps its cell and its place in the mean, carries a dagger, and is
named in a note; so is a mean over fewer languages than the table has.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dist_stilts.conventions import ENGLISH
from dist_stilts.errors import UserError
from dist_stilts.layout import RunFolder
from dist_stilts.report import records as result_records
from dist_stilts.report.intervals import mean_of_languages
from dist_stilts.report.records import MAIN_METRICS, Record
from dist_stilts.report.render import Sheet, write_as

IDENTITY = ("run", "run_id", "task", "split", "metric", "language", "inputs", "layer", "pooling", "mining", "seed")
"""Fields that make two records two scores; of equal ones the last counts."""
SETTINGS = ("seed", "layer", "pooling", "mining", "run", "run_id")
"""Fields that tell apart rows with the same label, in the order in which they are tried."""


@dataclass(frozen=True)
class Cell:
    """One score: percent (or ``None``), rows scored, and why it is degenerate if it is."""

    value: float | None
    count: int
    degenerate: str | None = None


@dataclass(frozen=True)
class Mean:
    """Mean over languages and 95 % half width, both percent; ``None`` where the metric is no proportion."""

    value: float
    half_width: float | None
    languages: int


@dataclass(frozen=True)
class TableRow:
    """One run: its label, its cells by language, the mean with English and, for zero-shot tables, without it."""

    label: str
    cells: dict[str, Cell]
    mean: Mean | None
    mean_xx: Mean | None

    @property
    def degenerate(self) -> bool:
        """Whether any of its scores is."""
        return any(cell.degenerate for cell in self.cells.values())


@dataclass(frozen=True)
class Table:
    """All runs of one (task, split, metric)."""

    task: str
    split: str
    metric: str
    languages: tuple[str, ...]
    rows: tuple[TableRow, ...]

    @property
    def is_main(self) -> bool:
        """Whether the metric is one that people read first."""
        return self.metric in MAIN_METRICS

    @property
    def has_mean_xx(self) -> bool:
        """Whether the table has both English and other languages."""
        return any(row.mean_xx for row in self.rows)

    @property
    def caption(self) -> str:
        """What the numbers are, and how many rows they stand on."""
        unit = "percent, ± 95 % half width from test sampling alone" if self.is_main else "as recorded"
        return f"{self.task} {self.split}: {self.metric} ({unit}; {self._rows_scored()})"

    def _rows_scored(self) -> str:
        counts = {lang: sorted({r.cells[lang].count for r in self.rows if lang in r.cells}) for lang in self.languages}
        spans = {lang: f"{c[0]} to {c[-1]}" if len(c) > 1 else str(c[0]) for lang, c in counts.items()}
        if len(set(spans.values())) == 1:
            return f"n = {spans[self.languages[0]]} rows per language"
        return "n = " + ", ".join(f"{lang} {span}" for lang, span in spans.items()) + " rows"

    @property
    def notes(self) -> list[str]:
        """One line per reason to read a row with care."""
        notes = []
        for row in self.rows:
            by_reason: dict[str, list[str]] = {}
            for lang, cell in row.cells.items():
                if cell.degenerate:
                    fate = "kept in the mean" if cell.value is not None else "no score"
                    by_reason.setdefault(f"{cell.degenerate} ({fate})", []).append(lang)
            notes += [f"† {row.label}, {', '.join(langs)}: {why}" for why, langs in by_reason.items()]
            if row.mean and row.mean.languages < len(self.languages):
                notes.append(f"{row.label}: mean over {row.mean.languages} of {len(self.languages)} languages")
        return notes


def collect(run_dirs: Iterable[Path]) -> list[Record]:
    """Read the results of run folders, or of recipe folders that contain run folders; repeated scores count once.

    Raises:
        UserError: a folder holds no results.
    """
    found = [record for folder in scored_runs(run_dirs) for record in result_records.read(folder.results)]
    return result_records.latest(found, IDENTITY)


def scored_runs(run_dirs: Iterable[Path]) -> list[RunFolder]:
    """The folders with results among some, or one level below them.

    Raises:
        UserError: one of them has none.
    """
    found: list[RunFolder] = []
    for path in run_dirs:
        own, below = RunFolder(path), [RunFolder(child) for child in sorted(path.glob("*/"))]
        scored = [own] if own.results.is_file() else [folder for folder in below if folder.results.is_file()]
        if not scored:
            raise UserError("no results here or one level below", where=path, fix="Name an evaluated run or recipe")
        found += scored
    return found


def label(record: Record) -> str:
    """Name a run by what it is: ``no intermediate``, ``mnli n=300``, ``random encoder``, ``hypothesis only``."""
    controls = []
    if record.get("origin") == "random":
        controls.append("random encoder")
    if record.get("inputs") == "hypothesis":
        controls.append("hypothesis only")
    task, size = record.get("intermediate"), record.get("intermediate_size") or 0
    if task:
        tasks = str(task).replace(",", " + ")
        controls.append(f"{tasks} n={size}" if size else tasks)
    return ", ".join(controls) or "no intermediate"


def pivot(records: Iterable[Record], distances: Mapping[str, float] | None = None) -> list[Table]:
    """Arrange records as tables, in the order in which their tasks first appear.

    Args:
        records: result records; optional fields may be missing.
        distances: distance from English by language; orders the columns, which otherwise go by name. English is first.
    """
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record["task"], record.get("split", "test"), record["metric"]), []).append(record)
    return [_table(key, group, distances or {}) for key, group in groups.items()]


def _table(key: tuple[str, str, str], group: list[Record], distances: Mapping[str, float]) -> Table:
    languages = sorted(
        {record["language"] for record in group},
        key=lambda lang: (lang != ENGLISH, distances.get(lang, math.inf), lang),
    )
    runs: dict[tuple[object, ...], list[Record]] = {}
    for record in sorted(group, key=_row_order):
        runs.setdefault((label(record), *(str(record.get(key)) for key in SETTINGS)), []).append(record)
    metric = key[2]
    rows = [
        _row(name, run, languages, metric)
        for name, run in zip(_distinct_labels(list(runs)), runs.values(), strict=True)
    ]
    return Table(*key, tuple(languages), tuple(rows))


def _row_order(record: Record) -> tuple[object, ...]:
    """Plain runs by intermediate task and size, then the controls; settings last."""
    controls = (record.get("inputs") == "hypothesis", record.get("origin") == "random")
    settings = tuple(str(record.get(key, "")).zfill(8) for key in SETTINGS)
    return (*controls, str(record.get("intermediate") or ""), record.get("intermediate_size") or 0, *settings)


def _distinct_labels(keys: Sequence[tuple[object, ...]]) -> list[str]:
    """Add to labels that several rows share the first settings that tell those rows apart."""
    names = [str(key[0]) for key in keys]
    for position, setting in enumerate(SETTINGS, start=1):
        values: dict[str, set[object]] = {}
        for name, key in zip(names, keys, strict=True):
            values.setdefault(name, set()).add(key[position])
        names = [
            f"{name}, {setting} {key[position]}" if len(values[name]) > 1 else name
            for name, key in zip(names, keys, strict=True)
        ]
    return names


def _row(name: str, run: list[Record], languages: Sequence[str], metric: str) -> TableRow:
    scores = {record["language"]: record for record in run}
    cells = {
        lang: Cell(scores[lang].get("value"), scores[lang].get("count") or 0, scores[lang].get("degenerate"))
        for lang in languages
        if lang in scores
    }
    zero_shot = {lang: cell for lang, cell in cells.items() if lang != ENGLISH}
    mean_xx = _mean(zero_shot.values(), metric) if ENGLISH in languages else None
    return TableRow(name, cells, _mean(cells.values(), metric), mean_xx)


def _mean(cells: Iterable[Cell], metric: str) -> Mean | None:
    """Mean over languages, with its interval where the metric is a proportion and all counts are known."""
    scored = [(cell.value, cell.count) for cell in cells if cell.value is not None]
    if not scored:
        return None
    if metric not in MAIN_METRICS or not all(count for _, count in scored):
        return Mean(sum(value for value, _ in scored) / len(scored), None, len(scored))
    values, counts = zip(*scored, strict=True)
    return Mean(*mean_of_languages(values, counts), len(scored))


def header(table: Table) -> list[str]:
    """Column heads: run, languages, mean, and the mean without English where there is one."""
    return ["run", *table.languages, "mean", *(["mean xx"] if table.has_mean_xx else [])]


def lines(table: Table) -> list[list[str]]:
    """The table as text, one list per row under :func:`header`; a dagger marks what :attr:`Table.notes` explains."""
    return [
        [
            row.label,
            *(_cell_text(row.cells.get(lang), table.is_main) for lang in table.languages),
            _mean_text(row.mean, row.degenerate, table.is_main),
            *([_mean_text(row.mean_xx, row.degenerate, table.is_main)] if table.has_mean_xx else []),
        ]
        for row in table.rows
    ]


def _cell_text(cell: Cell | None, is_main: bool) -> str:
    value = "-" if cell is None or cell.value is None else f"{cell.value:.{1 if is_main else 3}f}"
    return value + ("†" if cell and cell.degenerate else "")


def _mean_text(mean: Mean | None, degenerate: bool, is_main: bool) -> str:
    if mean is None:
        return "-"
    half_width = "" if mean.half_width is None else f" ± {mean.half_width:.1f}"
    return f"{mean.value:.{1 if is_main else 3}f}{half_width}{'†' if degenerate else ''}"


def sheets(tables: Iterable[Table]) -> list[Sheet]:
    """The tables of main metrics, as they are read."""
    return [Sheet(table.caption, header(table), lines(table), table.notes) for table in tables if table.is_main]


def render(tables: Sequence[Table], format: str) -> str:
    """Write tables as ``md`` or ``latex`` (main metrics, for reading) or as ``csv`` or ``json`` (everything).

    Raises:
        UserError: another format.
    """
    return write_as(format, sheets(tables), csv=lambda: _csv(tables), json=lambda: _json(tables))


def _csv(tables: Sequence[Table]) -> str:
    """One line per score or mean: what spreadsheets and data frames want."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["task", "split", "metric", "run", "language", "value", "half_width", "count", "degenerate"])
    for table in tables:
        for row in table.rows:
            start = [table.task, table.split, table.metric, row.label]
            for lang, cell in row.cells.items():
                writer.writerow([*start, lang, cell.value, None, cell.count, cell.degenerate])
            for name, mean in (("mean", row.mean), ("mean xx", row.mean_xx)):
                if mean:
                    writer.writerow([*start, name, mean.value, mean.half_width, None, None])
    return text.getvalue()


def _json(tables: Sequence[Table]) -> str:
    whole = [{**asdict(table), "caption": table.caption, "notes": table.notes} for table in tables]
    return json.dumps(whole, ensure_ascii=False, indent=1)
