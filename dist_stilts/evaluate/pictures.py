"""Pictures of what `evaluate` scored: a sweep over layers, and precision against recall of mined pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dist_stilts.evaluate.retrieval import CURVE
from dist_stilts.layout import ScoresFolder, layer_folder, prediction_file
from dist_stilts.report.retrieval_plots import Curve, layer_sweep, precision_recall
from dist_stilts.results.record import THRESHOLD, ResultRecord

Point = tuple[float, float, float]
"""Threshold, precision, recall."""


def draw(records: Sequence[ResultRecord], folder: ScoresFolder) -> list[Path]:
    """Draw what there is to draw; nothing without retrieval.

    Args:
        records: those of one `evaluate`, of any age; those of the last one count.

    Returns:
        The pictures, PNG.
    """
    drawn = []
    if swept := sweeps(records):
        drawn += layer_sweep(folder.layers, [record for record in records if record.task in swept])
    if curves := {name: curve for name, curve in _curves(records, folder.predictions) if len(curve.recall)}:
        drawn += precision_recall(folder.precision_recall, curves)
    return [path for path in drawn if path.suffix == ".png"]


def sweeps(records: Iterable[ResultRecord]) -> set[str]:
    """The tasks of which more than one layer was read."""
    layers = {(record.task, record.reading.layer) for record in records if record.reading.layer is not None}
    return {task for task, _ in layers if sum(task == other for other, _ in layers) > 1}


def _curves(records: Sequence[ResultRecord], predictions: Path) -> Iterator[tuple[str, Curve]]:
    """The curve of each language as it was mined last; where several layers were read, that of its best by F1."""
    mined: dict[tuple[str, str, str], list[ResultRecord]] = {}
    for record in records:
        if record.reading.mining and record.value is not None:
            mined.setdefault((record.task, record.split, record.language), []).append(record)
    for (task, split, language), scores in mined.items():
        last = [record for record in scores if _miner(record) == _miner(scores[-1])]
        if not (scored := [record for record in last if record.main]):
            continue  # gold was withheld
        layer = max(scored, key=lambda record: record.number).layer
        threshold = [r.number for r in last if r.unit == THRESHOLD and r.layer == layer][-1]
        for folder in (layer_folder(predictions, layer), predictions):
            file = prediction_file(folder, task, split, language, CURVE)
            if file.is_file():
                yield f"{language}, layer {layer}", drawn_curve(read_curve(file), threshold)
                break


def _miner(record: ResultRecord) -> tuple[str, str]:
    return record.model.id, record.reading.mining


def read_curve(file: Path) -> list[Point]:
    """The points of a curve file, from the highest threshold down."""
    _, *lines = file.read_text(encoding="utf-8").splitlines()
    return [(float(t), float(p), float(r)) for t, p, r, _ in (line.split("\t") for line in lines)]


def drawn_curve(points: Sequence[Point], threshold: float) -> Curve:
    """A curve as it is drawn, with a dot where the threshold cuts it."""
    kept = sum(point[0] >= threshold for point in points)
    thresholds, precision, recall = zip(*points, strict=True) if points else ((), (), ())
    return Curve(recall, precision, thresholds, kept - 1 if kept else None)
