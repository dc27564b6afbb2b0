"""What a result record says besides its score (law 11), and by it, what need not be scored again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dist_stilts.conventions import fingerprint, sha256_of_file
from dist_stilts.evaluate.predict import evaluation_dtype
from dist_stilts.families.kinds import family_of
from dist_stilts.model.adapters import model_folder
from dist_stilts.model.provenance import Provenance, read_provenance
from dist_stilts.parallel.world import World
from dist_stilts.results.metrics import last_metric
from dist_stilts.results.record import Identity, Model, Reading, ResultRecord, Scoring, Training
from dist_stilts.tasks.hub import fetch_model
from dist_stilts.tasks.sources import base_of, data_revision, is_available, parse_split
from dist_stilts.tasks.spec import RETRIEVAL
from dist_stilts.tasks.specs_text import PLAIN_TEXT

if TYPE_CHECKING:
    from dist_stilts.evaluate.suite import Job, Unit


def model_of(path: str, revision: str | None = None) -> Model:
    """Which model a folder or a name on the Hub stands for: it is known by its weights, as both may hold others later.

    Raises:
        UserError: no model there.
    """
    folder = fetch_model(path, revision)
    commit = folder.name if folder.parent.name == "snapshots" and not Path(path).is_dir() else ""
    provenance = read_provenance(folder)
    if provenance is None:
        return Model(_weights_digest(model_folder(path, revision)), path=path, revision=commit)
    return Model(provenance.digest[:12], provenance.run, path, provenance.origin, commit)


def _weights_digest(folder: Path) -> str:
    """12 digits of the files of a foreign model's weights: gigabytes are read."""
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    return fingerprint([sha256_of_file(file) for file in files])


def training_of(provenance: Provenance | None, phase: str | None = None, role: str | None = None) -> Training:
    """How a model came to be, as far as its provenance tells: nothing of seeds, and nothing at all of foreign ones.

    Args:
        phase, role: of the run that scores the model; None for those of the model's last phase.
    """
    trained = provenance.trained_on if provenance else []
    if phase is None and trained:
        phase, role = trained[-1]["phase"], trained[-1].get("role")
    own = [entry for entry in trained if (entry["phase"], entry.get("role")) == (phase, role)]
    before = [entry for entry in trained if entry.get("role") == "intermediate"]
    labelled = [entry for entry in before if entry["task"] != PLAIN_TEXT] or before
    return Training(
        run=provenance.run if provenance else "",
        phase=phase or "",
        role=role or "",
        train_tasks=tuple(entry["task"] for entry in own),
        train_size=sum(entry.get("examples", 0) for entry in own) or None,
        intermediate=",".join(entry["task"] for entry in before),
        intermediate_phase="+".join(dict.fromkeys(entry["phase"] for entry in before)),
        intermediate_size=sum(entry.get("examples", 0) for entry in labelled),
        collapsed=provenance.degenerate if provenance else None,
    )


def reading(job: Job, unit: Unit, world: World) -> Reading:
    """How a unit's texts are read, what the model's outputs are taken for, and how pairs are found."""
    spec, layer = unit.spec, unit.layer
    dtype = str(evaluation_dtype(job.config.dtype, world.device)).removeprefix("torch.")
    if spec.family not in RETRIEVAL and family_of(spec).windowed:
        return Reading(job.inputs, None, max_length=job.qa.max_length, stride=job.qa.stride, dtype=dtype)
    settings = job.config.retrieval
    pooling = settings.reads if spec.family in RETRIEVAL else ""
    mining = settings.mines if spec.family == "bucc" else ""
    labels = unit.matching.condition if unit.matching else ""
    return Reading(job.inputs, layer, pooling, mining, job.max_length, dtype=dtype, labels=labels)


def scoring(job: Job, world: World, seconds: float) -> Scoring:
    """When and where the job scores; ``seconds``: how long the unit took."""
    return Scoring(job.versions, world.size, round(seconds, 3), time.time())


def scored_identities(known: Iterable[ResultRecord]) -> set[Identity]:
    """What the records are of, in any run; without a metric, what has no score, as its gold is withheld."""
    found = set()
    for record in known:
        found.add(record.identity.in_any_run())
        if record.main and record.value is None:
            found.add(record.identity.in_any_run()._replace(metric=""))
    return found


def unscored(wanted: Sequence[Unit], known: Iterable[ResultRecord], job: Job, world: World, model: Model) -> list[int]:
    """The places of the units on which the model, reading these texts in this way, was not scored to the end, in any
    run. It reads the texts' files: for one rank, whose answer is that of all."""
    scored = scored_identities(known)
    if not scored:
        return list(range(len(wanted)))
    scored |= {identity._replace(data_revision="") for identity in scored}
    last = [_last(unit, job, world, model) for unit in wanted]
    return [place for place, one in enumerate(last) if not {one, one._replace(metric="")} & scored]


def _last(unit: Unit, job: Job, world: World, model: Model) -> Identity:
    """What the last record of a unit is of."""
    return ResultRecord(
        unit.spec.name,
        unit.language,
        unit.split,
        last_metric(unit.spec),
        None,
        data_revision=_revision(unit, job),
        model=model,
        reading=reading(job, unit, world),
    ).identity.in_any_run()


def _revision(unit: Unit, job: Job) -> str:
    """That of the unit's texts; "" where they are gone, and whether they changed cannot be seen."""
    name = parse_split(unit.split).name
    if base_of(unit.spec, job.root) and not is_available(unit.spec, job.root, name, unit.language):
        return ""
    return data_revision(unit.spec, job.root, unit.split, unit.language)
