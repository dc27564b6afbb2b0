"""How far languages are from English: out of URIEL+, out of a simulated world, or out of a table of the user's.

Promises: every distance says what share of its features was observed and not imputed; what a set of distances cannot
tell apart, does not know or had to impute is said with figures; nothing is downloaded or computed anew.

URIEL+'s distances are a table beside this module, made once by ``benchmarks/typology_table.py``, which says how and
why.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import pandas as pd

from dist_stilts.conventions import ENGLISH
from dist_stilts.errors import UserError, near, nearest
from dist_stilts.simulate.manifest import read_manifest
from dist_stilts.tasks.files import read_lines, shown

OBSERVED = " observed"
"""Ending of the column that holds the observed shares of the distance named before it."""
LABELS = ("iso", "glottocode")
"""Columns of our table that name the language in other ways."""
NEAR = 0.1
"""A distance below this is close to none."""
TELLING = 0.25
"""Share of the languages from which on a value that they have in common is worth saying."""
HALF = 0.5
"""With less than this share of its features observed, a distance rests on imputation."""
NEARLY_ALL = 0.9
"""From this share on nothing need be said."""


@dataclass(frozen=True)
class Distances:
    """Distances from English.

    Attributes:
        values: [language x distance], 0..1, nan where unknown.
        observed: the same shape; share of the features that were observed in both languages, 0..1.
        notes: distance -> what is to be known about it, generated from the numbers of the languages but English.
        source: where the distances come from.
    """

    values: pd.DataFrame
    observed: pd.DataFrame
    notes: dict[str, str] = field(init=False)
    source: str

    def __post_init__(self) -> None:
        notes = {name: _note(self.values[name], self.observed[name]) for name in self.values.columns}
        object.__setattr__(self, "notes", {name: note for name, note in notes.items() if note})


def uriel(languages: Iterable[str]) -> Distances:
    """Return URIEL+'s distances (Khan et al., COLING 2025): angular, over features that may be imputed.

    Args:
        languages: ISO 639-1 codes.

    Returns:
        syntactic, phonological, inventory, morphological, genetic, geographic, featural (all features of the first
        four) and script (of all scripts that the language is written in, not of the one that a data set uses).

    Raises:
        UserError: a language that the table does not have.
    """
    text = (resources.files("dist_stilts.analysis") / "typology.tsv").read_text(encoding="utf-8")
    source = text.partition("\n")[0].removeprefix("# ")
    table = _read(enumerate(text.splitlines(), 1), Path("typology.tsv"), source)
    wanted = list(dict.fromkeys(languages))
    for language in wanted:
        if language not in table.values.index:
            raise _unknown(language, text)
    return Distances(table.values.loc[wanted], table.observed.loc[wanted], source)


def _unknown(language: str, text: str) -> UserError:
    """The error for a language that our table lacks; a three-letter code is answered with the two-letter one."""
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    rows = list(csv.DictReader(lines, delimiter="\t"))
    two_letters = {iso: row["language"] for row in rows for iso in row["iso"].split("+")}
    meant = [two_letters[language]] if language in two_letters else near(language, (row["language"] for row in rows))
    hint = f"{len(rows)} languages have them, from {rows[0]['language']} to {rows[-1]['language']}."
    if meant:
        hint = f"did you mean '{meant[0]}'?"
    return UserError(
        f"no typological distances are known for the language '{language}'",
        fix=f"{hint} Or give a table of your own: study.distances: FILE",
    )


def from_table(file: Path) -> Distances:
    """Read distances from a CSV or TSV file: column ``language``, one column per distance, values 0..1.

    An empty cell is an unknown distance. A column called like a distance with `` observed`` after it holds the observed
    shares, which else are 1. Lines that begin with ``#`` are skipped; so are the columns ``iso`` and ``glottocode``.

    Raises:
        UserError: no such file, no usable columns, a bad cell, a language twice; with file and line.
    """
    return _read(read_lines(file), file, str(file))


def _read(numbered: Iterable[tuple[int, str]], file: Path, source: str) -> Distances:
    lines = ((number, line) for number, line in numbered if line.strip() and not line.startswith("#"))
    number, header = next(lines, (1, ""))
    delimiter = "\t" if "\t" in header else ","
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    _check_columns(names, (file, number))
    rows: dict[str, dict[str, float]] = {}
    for number, line in lines:
        cells = next(csv.reader([line], delimiter=delimiter))
        language, values = _row(names, cells, (file, number))
        if language in rows:
            raise UserError(
                f"the language '{language}' is there twice", where=(file, number), fix="Keep one of its rows"
            )
        rows[language] = values
    if not rows:
        raise UserError("holds no language", where=file, fix="Write one row per language below the header")
    return _split(pd.DataFrame.from_dict(rows, orient="index"), source)


def _check_columns(names: Sequence[str], where: tuple[Path, int]) -> None:
    """UserError unless there are a language, a distance, and no name twice."""
    distances = [name for name in names if name not in ("language", *LABELS) and not name.endswith(OBSERVED)]
    expected = "The first line names the columns: language and one per distance, such as language,syntactic"
    if "language" not in names or not distances:
        raise UserError("no column 'language' with distances beside it", where=where, fix=expected)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"two columns are called '{twice}'", where=where, fix=expected)
    alone = next((n for n in names if n.endswith(OBSERVED) and n.removesuffix(OBSERVED) not in distances), None)
    if alone:
        raise UserError(f"column '{alone}' belongs to no distance", where=where, fix=nearest(alone, distances))


def _row(names: Sequence[str], cells: Sequence[str], where: tuple[Path, int]) -> tuple[str, dict[str, float]]:
    """A row's language and its numbers by column."""
    if len(cells) != len(names):
        raise UserError(f"{len(cells)} cells, expected {len(names)}", where=where, fix=f"Columns: {', '.join(names)}")
    row = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
    language = row.pop("language")
    if not language:
        raise UserError("a row without a language", where=where, fix="Write its code, such as de")
    return language, {name: _number(cell, name, where) for name, cell in row.items() if name not in LABELS}


def _number(cell: str, name: str, where: tuple[Path, int]) -> float:
    """A cell's value; nan if it is empty, UserError if it is anything but a number from 0 to 1."""
    if not cell:
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if 0 <= value <= 1:
        return value
    raise UserError(
        f"{shown(cell)} is no value of '{name}'",
        where=where,
        fix="Write a number from 0 to 1 (divide by the largest possible distance), or nothing where it is unknown",
    )


def _split(table: pd.DataFrame, source: str) -> Distances:
    """Distances out of columns of values and of observed shares."""
    values = table[[name for name in table.columns if not name.endswith(OBSERVED)]]
    shares = {name: table.get(f"{name}{OBSERVED}", values[name].notna().astype(float)) for name in values.columns}
    return Distances(values, pd.DataFrame(shares, index=values.index), source)


def from_world(file: Path) -> Distances:
    """Read the distances of a simulated world out of its ``world.json``.

    Returns:
        grammar: share of the grammar's parameters that differ from English; script: 1 for another than English's, else
        0. Both fully observed. In a placebo world ``grammar`` is a label without a cause.

    Raises:
        UserError: not such a file.
    """
    world = read_manifest(file)
    entries = {entry["code"]: entry for entry in world["languages"]} if world else {}
    if world is None or ENGLISH not in entries:
        raise UserError(
            "describes no simulated languages with their distances from English",
            where=file,
            fix="Name the world.json that `dist-stilts simulate` wrote",
        )
    grammar = {code: float(entry["distance"]) for code, entry in entries.items()}
    other = {code: float(entry["script"] != entries[ENGLISH]["script"]) for code, entry in entries.items()}
    values = pd.DataFrame({"grammar": grammar, "script": other}, dtype=float)
    kind = "placebo world (distances are labels without a cause)" if world.get("placebo") else "simulated world"
    return _split(values, f"{kind}, seed {world.get('seed')}")


def missing(distances: Distances, languages: Iterable[str]) -> dict[str, list[str]]:
    """Return, per distance, the languages for which it is unknown, in the order given; distances without any are left
    out."""
    values = distances.values.reindex(list(dict.fromkeys(languages)))
    lacking = {name: list(values.index[values[name].isna()]) for name in values.columns}
    return {name: codes for name, codes in lacking.items() if codes}


def _note(values: pd.Series, observed: pd.Series) -> str:
    """What is to be known about one distance, clause by clause; empty if there is nothing."""
    values, observed = values.drop(ENGLISH, errors="ignore"), observed.drop(ENGLISH, errors="ignore")
    spread = [_yes_no_clause(values)] if values.dropna().isin((0, 1)).all() else [_same(values), _near(values)]
    clauses = [_unknown_clause(values), *spread, _imputed_clause(values, observed)]
    return "; ".join(clause for clause in clauses if clause)


def _yes_no_clause(values: pd.Series) -> str:
    return f"1 for {_of(values.index[values == 1], values)}, 0 for {(values == 0).sum()}, and nothing between"


def _unknown_clause(values: pd.Series) -> str:
    unknown = values.index[values.isna()]
    return f"unknown for {_of(unknown, values)} ({', '.join(unknown)})" if len(unknown) else ""


def _same(values: pd.Series) -> str:
    known = values.dropna()
    largest = known.index[known == known.max()]
    if len(largest) < 2 or len(largest) < TELLING * len(known):
        return ""
    return f"saturated: {known.max():.2f} for {_of(largest, values)}, which it cannot tell apart"


def _near(values: pd.Series) -> str:
    near = values.index[values < NEAR]
    if len(near) < 2 or len(near) < TELLING * values.count():
        return ""
    return f"near 0: below {NEAR:.1f} for {_of(near, values)}, which it hardly tells apart ({', '.join(near)})"


def _imputed_clause(values: pd.Series, observed: pd.Series) -> str:
    observed = observed[values.notna()]
    if not (observed < NEARLY_ALL).any():
        return ""
    average = f"on average {observed.mean():.0%} of its features are observed, the others imputed"
    few = observed[observed < HALF].sort_values(kind="stable")
    if few.empty:
        return average
    listed = ", ".join(f"{code} {share:.0%}" for code, share in few.items())
    return f"{average}; less than half of them for {_of(few.index, values)} ({listed})"


def _of(some: Sized, values: pd.Series) -> str:
    return f"{len(some)} of {len(values)} languages"
