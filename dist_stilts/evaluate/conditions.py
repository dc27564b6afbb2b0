"""What a result record says besides its score (law 11), and by it, what need not be scored again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dist_stilts.evaluate.predict import evaluation_dtype
from dist_stilts.model.encoder import Provenance, read_provenance
from dist_stilts.parallel.world import World
from dist_stilts.report.records import read
from dist_stilts.tasks.registry import find_task
from dist_stilts.tasks.spec import RETRIEVAL, TaskSpec

if TYPE_CHECKING:
    from dist_stilts.evaluate.suite import Job

Record = dict[str, Any]

LAST_METRIC = {"token": "accuracy", "tatoeba": "accuracy_from_foreign", "bucc": "threshold"}
"""The metric of a unit that is written last (others: the task's own): if it is there, all are."""


def conditions(job: Job, provenance: Provenance | None, world: World, seconds: float) -> Record:
    """What all records of a job say, and how long the unit took."""
    return {
        "model_id": provenance.digest[:12] if provenance else job.model,
        "origin": provenance.origin if provenance else "pretrained",
        "inputs": job.inputs,
        "dtype": str(evaluation_dtype(job.config.dtype, world.device)).removeprefix("torch."),
        "world_size": world.size,
        "wall_seconds": round(seconds, 3),
        "time": time.time(),
        **job.conditions,
    }


def reading(job: Job, spec: TaskSpec, layer: int | None) -> Record:
    """How a task's texts are read, and pairs found, as the records say it."""
    if spec.family == "span":
        return {"layer": None, "pooling": None, "max_length": job.qa.max_length, "stride": job.qa.stride}
    settings = job.config.retrieval
    return {
        "layer": layer,
        "pooling": settings.reads if spec.family in RETRIEVAL else None,
        "max_length": job.max_length,
        "stride": None,
        **({"mining": settings.mines} if spec.family == "bucc" else {}),
    }


def already_scored(job: Job, world: World) -> dict[tuple[str, str, str, int | None], str]:
    """Task, split, language and layer of the units on which this model, read in this way, was scored to the end.

    Each with the revision of the data that was scored last.
    """
    if not job.results.exists():
        return {}
    common = conditions(job, read_provenance(Path(job.model)), world, 0.0)
    found = {}
    for record in read(job.results):
        spec = find_task(record["task"])  # None: a task of another recipe's own
        if spec is None or record["metric"] != LAST_METRIC.get(spec.family, spec.metric):
            continue
        same = {**{key: common[key] for key in ("model_id", "inputs", "dtype")}, **reading(job, spec, record["layer"])}
        if same.items() <= record.items():
            unit = (record["task"], record["split"], record["language"], record["layer"])
            found[unit] = record["data_revision"]
    return found
