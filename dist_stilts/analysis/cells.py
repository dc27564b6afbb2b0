"""The runs of one curve: scores by size of the English data, and, where they are known, the outcomes of test rows.

    frame of scores -> one :class:`Cells` per (intermediate, target, language), and one for the mean of the others

Promise: a degenerate score is never averaged in, and always counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dist_stilts.conventions import ENGLISH

Floats = NDArray[np.floating[Any]]
Outcomes = Mapping[tuple[str, str, str], np.ndarray]
"""(run, target, language) -> what was got right, 0..1, per test row in an order common to all runs."""

MEAN = "mean xx"
"""What the mean over all languages but English is called where a language stands."""


@dataclass(frozen=True)
class Cells:
    """One curve's scores.

    Attributes:
        sizes: ascending [k]; values: percent, one array of runs per size; trained: whether anything was trained [k].
        count: test rows behind one score; left_out: degenerate scores.
        rows: outcomes, one entry per set of test rows: per size [runs, rows], scaled so that the mean over the rows,
            summed over the sets, is the score / 100. Empty where any run's are unknown.
        is_mean: whether the scores are means over all languages but English.
    """

    intermediate: str
    target: str
    metric: str
    language: str
    sizes: tuple[int, ...]
    values: tuple[Floats, ...]
    trained: tuple[bool, ...]
    count: int
    left_out: int
    rows: tuple[tuple[Floats, ...], ...] = ()
    is_mean: bool = False

    @property
    def means(self) -> Floats:
        """Mean score per size [k]."""
        return np.array([scores.mean() for scores in self.values])

    @property
    def runs(self) -> Floats:
        """Number of runs per size [k]."""
        return np.array([len(scores) for scores in self.values], np.float64)


def cells(scores: pd.DataFrame, outcomes: Outcomes) -> Iterator[Cells]:
    """Every curve of a frame of scores, by intermediate, target, metric and language, the mean last."""
    baseline = scores["size"] == 0
    for intermediate in sorted(set(scores["intermediate"]) - {""}):
        of_one = scores[baseline | (scores["intermediate"] == intermediate)]
        for (target, metric), group in of_one.groupby(["target", "metric"], sort=True):
            if (group["size"] > 0).any():
                yield from _of_target((intermediate, str(target), str(metric)), group, outcomes)


def _of_target(name: tuple[str, str, str], group: pd.DataFrame, outcomes: Outcomes) -> Iterator[Cells]:
    for language, rows in group.groupby("language", sort=True):
        yield _of_language(name, str(language), rows, outcomes)
    others = group[group["language"] != ENGLISH]
    if len(others):
        yield _of_mean(name, others, outcomes)


def _of_language(name: tuple[str, str, str], language: str, rows: pd.DataFrame, outcomes: Outcomes) -> Cells:
    kept = rows[~rows["degenerate"].astype(bool)]
    by_size = [part for _, part in kept.groupby("size", sort=True)]
    known = [_stack(part, name[1], language, outcomes) for part in by_size]
    return Cells(
        *name,
        language=language,
        sizes=tuple(int(part["size"].iloc[0]) for part in by_size),
        values=tuple(part["value"].to_numpy(np.float64) for part in by_size),
        trained=tuple(bool(part["trained"].any()) for part in by_size),
        count=int(rows["count"].max()),
        left_out=len(rows) - len(kept),
        rows=_one_set([block for block in known if block is not None]) if None not in map(_kind, known) else (),
    )


def _kind(block: Floats | None) -> bool | None:
    return None if block is None else True


def _one_set(blocks: list[Floats]) -> tuple[tuple[Floats, ...], ...]:
    return (tuple(blocks),) if blocks and len({block.shape[1] for block in blocks}) == 1 else ()


def _stack(part: pd.DataFrame, target: str, language: str, outcomes: Outcomes) -> Floats | None:
    """Outcomes of the runs of one size [runs, rows], or None where one is missing or of another length."""
    found = [outcomes.get((str(run), target, language)) for run in part["run"]]
    arrays = [np.asarray(array, np.float64) for array in found if array is not None and len(array)]
    if len(arrays) < len(found) or len({len(array) for array in arrays}) != 1:
        return None
    return np.stack(arrays)


def _of_mean(name: tuple[str, str, str], group: pd.DataFrame, outcomes: Outcomes) -> Cells:
    """The mean over the languages that have a score at every size, of the runs that have all of them."""
    good = group[~group["degenerate"].astype(bool)]
    table = good.pivot_table(index=["size", "run"], columns="language", values="value")
    everywhere = table.groupby("size").count().min() > 0 if len(table) else pd.Series(dtype=bool)
    table = table[[language for language in table.columns if everywhere[language]]].dropna()
    kept = good[good["language"].isin(table.columns)].set_index(["size", "run"])
    kept = kept[kept.index.isin(table.index)].reset_index()
    parts = [
        _of_language(name, str(language), rows.sort_values(["size", "run"]), outcomes)
        for language, rows in kept.groupby("language", sort=True)
    ]
    by_size = [part.to_numpy().mean(axis=1) for _, part in table.groupby("size", sort=True)]
    runs = group.groupby(["size", "run"]).ngroups
    return Cells(
        *name,
        language=MEAN,
        sizes=parts[0].sizes if parts else (),
        values=tuple(by_size) if parts else (),
        trained=parts[0].trained if parts else (),
        count=sum(part.count for part in parts),
        left_out=runs - len(table) if parts else runs,
        rows=_mean_rows(parts),
        is_mean=True,
    )


def _mean_rows(parts: list[Cells]) -> tuple[tuple[Floats, ...], ...]:
    """Row by row where all test sets are of one length, which parallel ones are; else every set by itself."""
    if not parts or not all(part.rows for part in parts):
        return ()
    sets = [part.rows[0] for part in parts]
    if len({blocks[0].shape[1] for blocks in sets}) > 1:
        return tuple(tuple(block / len(sets) for block in blocks) for blocks in sets)
    return (tuple(np.mean([blocks[index] for blocks in sets], axis=0) for index in range(len(sets[0]))),)
