"""What a result record says besides its score (law 11), and by it, what need not be scored again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dist_stilts.evaluate.predict import evaluation_dtype
from dist_stilts.model.encoder import Provenance, read_provenance
from dist_stilts.parallel.world import World
from dist_stilts.results.metrics import last_metric
from dist_stilts.results.record import Identity, Model, Reading, ResultRecord, Scoring, Training
from dist_stilts.tasks.sources import data_revision
from dist_stilts.tasks.spec import RETRIEVAL, TaskSpec

if TYPE_CHECKING:
    from dist_stilts.evaluate.suite import Job, Unit


def model_of(job: Job, provenance: Provenance | None) -> Model:
    """Which model the job scores."""
    if provenance is None:
        return Model(job.model, path=job.model)
    return Model(provenance.digest[:12], provenance.run, job.model, provenance.origin)


def training_of(provenance: Provenance | None, phase: str | None = None, role: str | None = None) -> Training:
    """How a model came to be, as far as its provenance tells: nothing of seeds, and nothing at all of foreign ones.

    Args:
        phase, role: of the run that scores the model; None for those of the model's last phase.
    """
    trained = provenance.trained_on if provenance else []
    last = {**(trained[-1] if trained else {}), **({} if phase is None else {"phase": phase, "role": role})}
    own = [entry for entry in trained if all(entry.get(key) == last.get(key) for key in ("phase", "role"))]
    before = [entry for entry in trained if entry.get("role") == "intermediate"]
    labelled = [entry for entry in before if entry["task"] != "mlm"] or before  # plain text is no English task data
    return Training(
        run=provenance.run if provenance else "",
        phase=last.get("phase") or "",
        role=last.get("role") or "",
        train_tasks=tuple(entry["task"] for entry in own),
        train_size=sum(entry.get("examples", 0) for entry in own) or None,
        intermediate=",".join(entry["task"] for entry in before),
        intermediate_phase="+".join(dict.fromkeys(entry["phase"] for entry in before)),
        intermediate_size=sum(entry.get("examples", 0) for entry in labelled),
        collapsed=provenance.degenerate if provenance else None,
    )


def reading(job: Job, spec: TaskSpec, layer: int | None, world: World) -> Reading:
    """How a task's texts are read, and pairs found."""
    dtype = str(evaluation_dtype(job.config.dtype, world.device)).removeprefix("torch.")
    if spec.family == "span":
        return Reading(job.inputs, None, max_length=job.qa.max_length, stride=job.qa.stride, dtype=dtype)
    settings = job.config.retrieval
    pooling = settings.reads if spec.family in RETRIEVAL else ""
    mining = settings.mines if spec.family == "bucc" else ""
    return Reading(job.inputs, layer, pooling, mining, job.max_length, dtype=dtype)


def scoring(job: Job, world: World, seconds: float) -> Scoring:
    """When and where the job scores; ``seconds``: how long the unit took."""
    return Scoring(job.versions, world.size, round(seconds, 3), time.time())


def settled(known: Iterable[ResultRecord]) -> set[Identity]:
    """What the records are of, in any run; without a metric, what has no score, as its gold is withheld."""
    found = set()
    for record in known:
        found.add(record.identity.in_any_run())
        if record.main and record.value is None:
            found.add(record.identity.in_any_run()._replace(metric=""))
    return found


def unscored(wanted: Iterable[Unit], job: Job, world: World, done: set[Identity]) -> list[Unit]:
    """The units on which this model, reading these texts in this way, was not scored to the end, in any run."""
    if not done:
        return list(wanted)
    model = model_of(job, read_provenance(Path(job.model)))
    last = [(unit, _last(unit, job, world, model)) for unit in wanted]
    return [unit for unit, one in last if not {one, one._replace(metric="")} & done]


def _last(unit: Unit, job: Job, world: World, model: Model) -> Identity:
    """What the last record of a unit is of."""
    return ResultRecord(
        unit.spec.name,
        unit.language,
        unit.split,
        last_metric(unit.spec),
        None,
        data_revision=data_revision(unit.spec, job.root, unit.split, unit.language),
        model=model,
        reading=reading(job, unit.spec, unit.layer, world),
    ).identity.in_any_run()
