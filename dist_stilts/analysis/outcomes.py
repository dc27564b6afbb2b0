"""What every test row added to a score: the files that a bootstrap over test rows draws from.

The evaluator writes them beside the predictions, one number per line, for scores that are means over rows. Runs without
them are older, or scored by F1; they are simply absent. A file that does not fit its record is no evidence and is left
out, with a warning.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from dist_stilts.analysis.scores import scored
from dist_stilts.layout import OUTCOMES, RunFolder, layer_folder, prediction_file
from dist_stilts.results.record import ResultRecord

Outcomes = Mapping[tuple[str, str, str], np.ndarray]
"""(run, target, language) as in a frame of scores -> float32 [count] in 0..1, in the order of the test rows."""

TOLERANCE = 0.02
"""Percent that the mean of the rows may be off: they are written with four digits."""

log = logging.getLogger(__name__)


def load(records: Iterable[ResultRecord], folder_of_run: Callable[[str], RunFolder]) -> Outcomes:
    """Read the outcomes of the scores that :func:`dist_stilts.analysis.scores.frame` holds.

    Args:
        records: result records, as for the frame.
        folder_of_run: where the run of a name lies.
    """
    found: dict[tuple[str, str, str], np.ndarray] = {}
    for record, target, run in scored(records):
        outcomes = _read(record, folder_of_run(record.training.run).predictions)
        if outcomes is not None:
            found[run, target, record.language] = outcomes
    return found


def _read(record: ResultRecord, predictions: Path) -> np.ndarray | None:
    """One score's outcomes; those of one layer of several lie in a folder of that layer."""
    layer = record.reading.layer
    folders = [predictions] if layer is None else [layer_folder(predictions, layer), predictions]
    where = (record.task, record.split, record.language, OUTCOMES)
    file = next((file for folder in folders if (file := prediction_file(folder, *where)).is_file()), None)
    if file is None:
        return None
    try:
        outcomes = np.array(file.read_text(encoding="utf-8").split(), dtype=np.float32)
    except ValueError:
        log.warning("%s: not one number per line; ignored", file)
        return None
    problem = _mismatch(outcomes, record)
    if problem:
        log.warning("%s: %s; ignored", file, problem)
    return None if problem else outcomes


def _mismatch(outcomes: np.ndarray, record: ResultRecord) -> str:
    """Why these are not the outcomes of that score: a later scoring, of another layer say, writes the same file."""
    if len(outcomes) != record.count:
        return f"{len(outcomes)} rows, but the score is of {record.count}"
    mean, value = 100 * float(outcomes.mean(dtype=np.float64)), record.number
    if abs(mean - value) > TOLERANCE:
        return f"the rows' mean is {mean:.2f}, but the score is {value:.2f}"
    return ""
