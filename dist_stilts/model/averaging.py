"""The average of models that were trained apart from one start (run averaging), as a model folder like any other.

Averages need no labels of a target language (Schmidt et al. 2023, arXiv 2305.16834), but make sense only for models
that began alike. That is checked: the same architecture, tokenizer, start and heads. Heads that were drawn apart are
warned of, no more: the authors' released scripts train all runs that they average on top of one classifier, that of an
earlier run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dist_stilts.conventions import fingerprint, sha256_of
from dist_stilts.errors import UserError
from dist_stilts.layout import RunFolder
from dist_stilts.model.encoder import load_tokenizer
from dist_stilts.model.export import export
from dist_stilts.model.fine_tuned import load_whole
from dist_stilts.model.folders import check_config
from dist_stilts.model.provenance import Provenance, read_provenance, weights_digest
from dist_stilts.once import alone_in
from dist_stilts.writing import check_folder, is_complete, real, require_folder, whole_folder

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Part:
    """One of the models to average.

    Attributes:
        facts: what the models must have in common, by what it is called.
    """

    folder: Path
    provenance: Provenance
    facts: dict[str, Any]


class Mean:
    """The mean of tensors that come one model at a time, in float64 until it is asked for."""

    def __init__(self) -> None:
        self.count = 0
        self.total: Tensors = {}

    def add(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Count one more model's."""
        self.count += 1
        for name, tensor in tensors.items():
            self.total[name] = (
                self.total[name].add_(tensor.detach())
                if name in self.total
                else tensor.detach().to(torch.float64, copy=True)
            )

    def value(self) -> Tensors:
        """The mean in fp32."""
        return {name: (total / self.count).float() for name, total in self.total.items()}


def average(models: Sequence[Path], out: Path) -> tuple[Provenance, list[str]]:
    """Write the average of models, encoder and heads, to the folder ``out``.

    Args:
        models: folders of runs, or of exports of ours.

    Returns:
        What the average is, and what speaks against it, one line each.

    Raises:
        UserError: fewer than two models, one twice, one that is not ours or was changed; models that did not begin
            alike; ``out`` is there already.
    """
    require_new(out)
    check_folder(out)
    require_folder(real(out).parent)
    parts = [_read(folder) for folder in models]
    _check(parts)
    mean = Mean()
    for part in parts:
        model = load_whole(part.folder, part.provenance)
        mean.add(dict(model.named_parameters()))
    model.load_state_dict(mean.value(), strict=False)  # buffers are not trained
    provenance = _joined(parts, weights_digest(model.encoder))
    with alone_in(out):
        require_new(out)  # another program may have made it meanwhile
        with whole_folder(out) as temporary:
            export(temporary, model, load_tokenizer(str(parts[0].folder)), provenance)
    return provenance, _doubts(parts)


def require_new(out: Path) -> None:
    """UserError if something is there already."""
    if out.exists():
        raise UserError("exists already", where=out, fix="Choose another --out, or delete it")


def _read(given: Path) -> Part:
    run = RunFolder(given)
    folder = run.model if is_complete(run.model) else given
    provenance = read_provenance(folder)
    if provenance is None:
        raise UserError("no model of ours is here", where=given, fix="Give the folder of a finished run, or its model/")
    if not provenance.start:
        raise UserError("the model does not say what it started from", where=folder, fix="Train it with this version")
    config = check_config(folder)
    facts = {
        "heads": sorted(provenance.heads),
        "architecture": {key: value for key, value in config.items() if key != "transformers_version"},
        "tokenizer": sha256_of([_content(folder / "tokenizer.json")]),
        "start": (provenance.start, provenance.origin),
    }
    return Part(folder, provenance, facts)


def _content(file: Path) -> bytes:
    if not file.is_file():
        raise UserError("the model lacks a file", where=file, fix="Delete the model folder and run its recipe again")
    return file.read_bytes()


def _check(parts: Sequence[Part]) -> None:
    if len(parts) < 2:
        raise UserError("one model has no average", fix="Give two or more")
    first, *others = parts
    for number, part in enumerate(parts):
        if part.folder.resolve() in [other.folder.resolve() for other in parts[:number]]:
            raise UserError("the model is given twice", where=part.folder, fix="Give every model once")
    for part in others:
        for what, value in part.facts.items():
            if value != first.facts[what]:
                raise UserError(
                    f"not the same {what} as {first.folder}",
                    where=part.folder,
                    fix="Only models that were trained alike from one start can be averaged",
                )


def _joined(parts: Sequence[Part], digest: str) -> Provenance:
    """What the average is: whatever trained one of its parts has trained it."""
    known = [part.provenance for part in parts]
    trained_on = [entry for provenance in known for entry in provenance.trained_on]
    names = [(head, task) for provenance in known for head, tasks in provenance.heads.items() for task in tasks]
    alike = len({provenance.start_heads for provenance in known}) == 1
    return Provenance(
        run=f"average of {', '.join(provenance.run for provenance in known)}",
        run_id=fingerprint([provenance.digest for provenance in known]),
        origin=known[0].origin,
        digest=digest,
        trained_on=[entry for number, entry in enumerate(trained_on) if entry not in trained_on[:number]],
        heads={head: list(dict.fromkeys(task for name, task in names if name == head)) for head, _ in names},
        start=known[0].start,
        start_heads=known[0].start_heads if alike else "",
        averaged_from=[{"run": one.run, "run_id": one.run_id, "digest": one.digest} for one in known],
    )


def _doubts(parts: Sequence[Part]) -> list[str]:
    """What speaks against the average of models that can be averaged."""
    found = [f"{part.folder}: degenerate: {part.provenance.degenerate}" for part in parts if part.provenance.degenerate]
    begun = {part.provenance.start_heads for part in parts}
    if parts[0].provenance.heads and (len(begun) > 1 or "" in begun):
        found.append("the models' heads did not begin alike, so their average may be poor; train with one head_seed")
    return found
