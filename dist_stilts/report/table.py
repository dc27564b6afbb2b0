"""Tables from result records: one per (task, split, metric), runs down, languages across.

    records -> pivot -> render (Markdown, CSV, LaTeX, JSON), or sheets for a terminal

Nothing is left out in silence: a degenerate run keeps its cell and its place in the mean, carries a dagger, and is
named in a note; so is a mean over fewer languages than the table has.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from dist_stilts.conventions import ENGLISH
from dist_stilts.report.intervals import mean_of_languages
from dist_stilts.report.numbers import ABSENT, COLLAPSED, plus_minus, score
from dist_stilts.report.render import Sheet, write_as
from dist_stilts.report.spreadsheet import csv_text
from dist_stilts.results.files import distinct
from dist_stilts.results.metrics import READ_FIRST
from dist_stilts.results.order import natural
from dist_stilts.results.record import HYPOTHESIS_ONLY, RANDOM_ENCODER, Identity, ResultRecord
from dist_stilts.results.settings import SETTINGS, all_but, label, tell_apart
from dist_stilts.tasks.languages import in_order

ROW = all_but("split", "after", "rows")
"""Settings that tell apart rows with the same label."""


@dataclass(frozen=True)
class Cell:
    """One score: percent (or ``None``), rows scored, why it is degenerate if it is, and gold labels that no training
    row has."""

    value: float | None
    count: int
    degenerate: str | None = None
    unseen: int = 0


@dataclass(frozen=True)
class Mean:
    """Mean over languages and 95 % half width, both percent; ``None`` where the metric is not the task's own."""

    value: float
    half_width: float | None
    languages: int


@dataclass(frozen=True)
class TableRow:
    """One run: its label, its cells by language, the mean with English and, for zero-shot tables, without it; and what
    its model is called."""

    label: str
    cells: dict[str, Cell]
    mean: Mean | None
    mean_xx: Mean | None
    model: str = ""

    @property
    def degenerate(self) -> bool:
        """Whether any of its scores is."""
        return any(cell.degenerate for cell in self.cells.values())


@dataclass(frozen=True)
class Table:
    """All runs of one (task, split, metric); ``is_main``: whether the metric is the task's own score."""

    task: str
    split: str
    metric: str
    languages: tuple[str, ...]
    rows: tuple[TableRow, ...]
    is_main: bool = True

    @property
    def is_read(self) -> bool:
        """Whether people read it: the task's own score, and what stands beside it (UD-POS: token accuracy)."""
        return self.is_main or self.metric in READ_FIRST

    @property
    def has_mean_xx(self) -> bool:
        """Whether the table has both English and other languages."""
        return any(row.mean_xx for row in self.rows)

    @property
    def caption(self) -> str:
        """What the numbers are, and how many rows they stand on."""
        unit = "percent, ± 95 % half width from test sampling alone" if self.is_read else "as recorded"
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
            notes += [f"{COLLAPSED} {row.label}, {', '.join(langs)}: {why}" for why, langs in by_reason.items()]
            if unseen := [f"{cell.unseen:,} in {lang}" for lang, cell in row.cells.items() if cell.unseen]:
                notes.append(f"{row.label}: gold labels that no training row has, scored as wrong: {', '.join(unseen)}")
            if row.mean and row.mean.languages < len(self.languages):
                notes.append(f"{row.label}: mean over {row.mean.languages} of {len(self.languages)} languages")
        return notes


def pivot(records: Iterable[ResultRecord], distances: Mapping[str, float] | None = None) -> list[Table]:
    """Arrange records as tables, in the order in which their tasks first appear.

    Args:
        records: of which no two contradict each other.
        distances: distance from English by language; orders the columns, which otherwise go by name. English is first.
    """
    groups: dict[tuple[str, str, str], list[ResultRecord]] = {}
    for record in records:
        groups.setdefault((record.task, record.split, record.metric), []).append(record)
    return [_table(key, group, distances or {}) for key, group in groups.items()]


def _table(key: tuple[str, str, str], group: list[ResultRecord], distances: Mapping[str, float]) -> Table:
    columns = in_order((record.language for record in group), distances)
    is_main = any(record.main for record in group)
    is_share = is_main or key[2] in READ_FIRST
    runs = _runs(sorted(group, key=_row_order))
    first = [run[0] for run in runs]
    names = tell_apart([label(record) for record in first], first, ROW)
    rows = [_row(name, run, columns, is_share) for name, run in zip(names, runs, strict=True)]
    return Table(*key, tuple(columns), tuple(rows), is_main)


def _runs(group: Iterable[ResultRecord]) -> list[list[ResultRecord]]:
    """The records of every row: those of one model and run, read in one way. None has two scores in one language:
    what was scored in two folders, on texts that differ, is two rows, each with all that its folder holds."""
    runs: dict[object, list[ResultRecord]] = {}
    for record in group:
        about = record.identity._replace(language="", data_revision="")
        runs.setdefault((label(record), about), []).append(record)
    return [part for run in runs.values() for part in _one_per_language(run)]


def _one_per_language(run: list[ResultRecord]) -> list[list[ResultRecord]]:
    once = distinct(run)
    if len({record.language for record in once}) == len(once):
        return [once]
    folders: dict[object, list[ResultRecord]] = {}
    for record in run:
        folders.setdefault(record.place and record.place.file, []).append(record)
    parts: dict[frozenset[Identity], list[ResultRecord]] = {}
    for part in folders.values():
        parts.setdefault(frozenset(record.identity for record in part), part)
    return [part for scores, part in parts.items() if not any(scores < others for others in parts)]


def _row_order(record: ResultRecord) -> tuple[object, ...]:
    """Plain runs by intermediate task and size, then the controls; settings last."""
    controls = tuple(control in record.controls for control in (HYPOTHESIS_ONLY, RANDOM_ENCODER))
    settings = tuple(natural(SETTINGS[name](record)) for name in ROW)
    return (*controls, record.training.intermediate, record.training.intermediate_size, *settings)


def _row(name: str, run: list[ResultRecord], columns: Sequence[str], is_share: bool) -> TableRow:
    scores = {record.language: Cell(record.value, record.count, record.collapsed, record.unseen) for record in run}
    cells = {code: scores[code] for code in columns if code in scores}
    zero_shot = {code: cell for code, cell in cells.items() if code != ENGLISH}
    mean_xx = _mean(zero_shot.values(), is_share) if ENGLISH in columns else None
    model = run[0].model.called or run[0].model.id
    return TableRow(name, cells, _mean(cells.values(), is_share), mean_xx, model)


def _mean(cells: Iterable[Cell], is_share: bool) -> Mean | None:
    """Mean over languages, with its interval where the metric is a share of rows and all counts are known."""
    scored = [(cell.value, cell.count) for cell in cells if cell.value is not None]
    if not scored:
        return None
    if not is_share or not all(count for _, count in scored):
        return Mean(sum(value for value, _ in scored) / len(scored), None, len(scored))
    values, counts = zip(*scored, strict=True)
    return Mean(*mean_of_languages(values, counts), len(scored))


def header(table: Table) -> list[str]:
    """Column heads: run, languages, mean, and the mean without English where there is one."""
    return ["run", *table.languages, "mean", *(["mean xx"] if table.has_mean_xx else [])]


def lines(table: Table) -> list[list[str]]:
    """The table as text, one list per row under :func:`header`; a dagger marks what :attr:`Table.notes` explains."""
    digits = 1 if table.is_read else 3
    return [
        [
            row.label,
            *(_cell_text(row.cells.get(lang), digits) for lang in table.languages),
            _mean_text(row.mean, row.degenerate, digits),
            *([_mean_text(row.mean_xx, row.degenerate, digits)] if table.has_mean_xx else []),
        ]
        for row in table.rows
    ]


def _cell_text(cell: Cell | None, digits: int) -> str:
    return score(cell.value, cell.degenerate, digits) if cell else ABSENT


def _mean_text(mean: Mean | None, degenerate: bool, digits: int) -> str:
    return plus_minus(mean.value, mean.half_width, digits) + COLLAPSED * degenerate if mean else ABSENT


def sheets(tables: Iterable[Table]) -> list[Sheet]:
    """The tables of main metrics, as they are read."""
    return [Sheet(table.caption, header(table), lines(table), table.notes) for table in tables if table.is_read]


def render(tables: Sequence[Table], format: str, remarks: Sequence[str] = ()) -> str:
    """Write tables as ``md`` or ``latex`` (main metrics, for reading) or as ``csv`` or ``json`` (everything).

    Args:
        remarks: lines to stand below all of them, where people read.

    Raises:
        UserError: another format.
    """
    return write_as(format, sheets(tables), csv=lambda: _csv(tables), json=lambda: _json(tables), remarks=remarks)


def _csv(tables: Sequence[Table]) -> str:
    """One line per score or mean: what spreadsheets and data frames want."""
    rows: list[Sequence[object]] = [
        ("task", "split", "metric", "run", "language", "value", "half_width", "count", "degenerate", "model")
    ]
    for table in tables:
        for row in table.rows:
            start = [table.task, table.split, table.metric, row.label]
            for lang, cell in row.cells.items():
                rows.append([*start, lang, cell.value, None, cell.count, cell.degenerate, row.model])
            for name, mean in (("mean", row.mean), ("mean xx", row.mean_xx)):
                if mean:
                    rows.append([*start, name, mean.value, mean.half_width, None, None, row.model])
    return csv_text(rows)


def _json(tables: Sequence[Table]) -> str:
    whole = [{**asdict(table), "caption": table.caption, "notes": table.notes} for table in tables]
    return json.dumps(whole, ensure_ascii=False, indent=1)
