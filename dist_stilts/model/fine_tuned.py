"""Fine-tuned models from their folders: ours, and anybody's ``AutoModelFor…`` checkpoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dist_stilts.errors import UserError, nearest
from dist_stilts.model.adapters import model_folder
from dist_stilts.model.encoder import load_encoder, load_tokenizer
from dist_stilts.model.folders import CONFIG, architectures, read_json
from dist_stilts.model.heads import Head, head_name
from dist_stilts.model.labels import Match, parse_given
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.provenance import PROVENANCE, Provenance, read_provenance, require_intact, weights_digest
from dist_stilts.model.saved_heads import SavedHead, head_for, load_head, load_task_model, matched, saved_heads
from dist_stilts.model.trial import logits_of_transformers, on_trial, require_same
from dist_stilts.tasks.spec import TaskSpec


@dataclass(frozen=True)
class FineTuned:
    """A model of one task, ready to predict.

    Attributes:
        model: encoder and head, in evaluation mode; head: the head's name in it.
        family: name of the kind of task; labels: names of the outputs in id order, none where they have none.
        provenance: None for models that are not ours.
    """

    model: MultiTaskModel
    head: str
    family: str
    labels: tuple[str, ...]
    tokenizer: Any
    provenance: Provenance | None


def open_model(path: str, revision: str | None = None, *, head: str | None = None) -> FineTuned:
    """Open a task model, of ours or of anybody's.

    Args:
        path: folder or Hub name; head: a task that trained the head, where the model has several.

    Raises:
        UserError: a bare encoder, a model that generates text, several heads and none chosen, weights that are not what
            the provenance says, no tokenizer.
    """
    folder = model_folder(path, revision)
    provenance = read_provenance(folder)
    require_intact(folder, provenance)
    saved = _chosen(provenance, head, folder)
    model = _assembled({saved.name: saved}, provenance, folder)
    model.eval()
    if twice := [label for label, count in Counter(saved.labels).items() if count > 1]:
        raise UserError(f"two outputs of the model are called '{twice[0]}'", where=folder, fix="Mend its config.json")
    return FineTuned(model, saved.name, saved.family.name, saved.labels, load_tokenizer(str(folder)), provenance)


def load_model(
    path: str, specs: Sequence[TaskSpec], revision: str | None = None, labels: str = ""
) -> tuple[MultiTaskModel, Any, Provenance | None]:
    """Load a model with trained heads for tasks (none for retrieval), its tokenizer and its provenance.

    Args:
        labels: what the model's outputs are, where their names do not tell; see :func:`labels.parse_given`.

    Raises:
        UserError: a task whose head the model does not have whole, or whose labels are others; weights that are not
            what its provenance says.
    """
    folder = model_folder(path, revision)
    provenance = read_provenance(folder)
    require_intact(folder, provenance)
    tokenizer = load_tokenizer(str(folder))
    if not specs:
        encoder, _ = load_encoder(str(folder), expected_digest=provenance.digest if provenance else None)
        return MultiTaskModel(encoder, []), tokenizer, provenance
    found = _heads_for(specs, folder, provenance)
    model = _assembled(found, provenance, folder)
    for name, matching in matches(specs, folder, labels).items():
        model.head(name).rename(matching)
    return model, tokenizer, provenance


def matches(specs: Sequence[TaskSpec], folder: Path, labels: str = "") -> dict[str, Match | None]:
    """How a model's outputs become tasks' labels, by name of the task's head; its weights are not read.

    Args:
        labels: see :func:`load_model`.

    Raises:
        UserError: a task that the model has no head for, or whose labels are others.
    """
    found = _heads_for(specs, folder, read_provenance(folder))
    if labels and not any(saved.labels for saved in found.values()):
        raise UserError("--labels names classes or tags, and the model's outputs are neither", where=folder)
    given = {name: parse_given(labels, saved.labels) if saved.labels else {} for name, saved in found.items()}
    named = {head_name(spec): spec for spec in specs}
    return {name: matched(spec, found[name], given[name]) for name, spec in named.items()}


def load_whole(folder: Path, provenance: Provenance) -> MultiTaskModel:
    """Load an export of ours with all heads that it has.

    Raises:
        UserError: weights that are not what its provenance says, a head that is gone.
    """
    require_intact(folder, provenance)
    heads = saved_heads(folder, provenance)
    if heads:
        return _assembled(heads, provenance, folder)
    encoder, _ = load_encoder(str(folder), expected_digest=provenance.digest)
    return MultiTaskModel(encoder, [])


def _heads_for(specs: Sequence[TaskSpec], folder: Path, provenance: Provenance | None) -> dict[str, SavedHead]:
    """The heads that predict tasks, by name of the task's head; UserError names the tasks that have none."""
    there = saved_heads(folder, provenance, [head_name(spec) for spec in specs])
    found = [head_for(spec, there, provenance) for spec in specs]
    if without := [spec.name for spec, saved in zip(specs, found, strict=True) if saved is None]:
        names = ", ".join(f"'{name}'" for name in without)
        if there and not provenance:
            kinds = ", ".join(f"a {saved.name} ({saved.family.name})" for saved in there.values())
            fix = "Leave them out" if len(without) < len(specs) else "Name tasks of its kind"
            raise UserError(f"{kinds} cannot be scored on {names}", where=folder, fix=fix)
        known = sorted({task for tasks in provenance.heads.values() for task in tasks}) if provenance else []
        raise UserError(
            f"the model has no trained head for {names} (heads: {', '.join(known) or 'none'})",
            where=folder,
            fix=_headless(folder),
        )
    return {head_name(spec): saved for spec, saved in zip(specs, found, strict=True) if saved}


def _chosen(provenance: Provenance | None, wanted: str | None, folder: Path) -> SavedHead:
    """The head that is asked for by a task that trained it; the only one if none is."""
    heads = provenance.heads if provenance else {}
    tasks = {task: name for name, tasks in heads.items() for task in tasks}
    if wanted is not None:
        if wanted not in tasks:
            raise UserError(f"the model has no head of '{wanted}'", where=folder, fix=nearest(wanted, tasks))
        return saved_heads(folder, provenance, [tasks[wanted]])[tasks[wanted]]
    if len(heads) > 1:
        raise UserError(
            f"the model has {len(heads)} heads", where=folder, fix=f"Choose one with --head: {', '.join(tasks)}"
        )
    found = next(iter(saved_heads(folder, provenance).values()), None)
    if found is None:
        raise UserError("an encoder without a head predicts nothing", where=folder, fix=_headless(folder))
    return found


def _headless(folder: Path) -> str:
    """What to do about a model without a head, or of which nobody knows whether it has one."""
    if architectures(read_json(folder / CONFIG)):
        return "Train it on the task first"
    return f'Its {CONFIG} does not say what it is: add "architectures": ["XLMRobertaForSequenceClassification"], say'


def _assembled(found: dict[str, SavedHead], provenance: Provenance | None, folder: Path) -> MultiTaskModel:
    """One model of several heads: the first one's encoder is all theirs."""
    (first, saved), *others = found.items()
    task = load_task_model(saved)
    with on_trial(type(task).__name__, folder):
        expected = logits_of_transformers(task, saved.family)
        head = Head(task, saved.family)
        encoder = head.ready.shared
    if provenance and (digest := weights_digest(encoder)) != provenance.digest:
        raise UserError(
            f"these are not the weights of its provenance (digest {digest[:12]}, expected {provenance.digest[:12]})",
            where=folder,
            fix=f"Delete the run's folder and run it again; if you changed them on purpose, delete {PROVENANCE}",
        )
    model = MultiTaskModel(encoder, [], {first: head, **{name: load_head(other, encoder) for name, other in others}})
    with on_trial(type(task).__name__, folder):
        require_same(model, first, expected, folder)
    return model
