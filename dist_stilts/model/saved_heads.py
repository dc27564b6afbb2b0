"""Which heads a model folder holds, and their loading: of an export of ours, or of anybody's task model.

model/            the task's whole model, where the phase had one head
model/            the shared encoder, where it had several, and below it
  heads/<task>/   each task's whole model; the encoder's file is the same one, linked
model/            the encoder and a file of heads: an export of an older version, see :mod:`dist_stilts.model.old_heads`
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from dist_stilts.errors import UserError, refused
from dist_stilts.families.family import Family
from dist_stilts.families.kinds import KINDS
from dist_stilts.layout import head_folder
from dist_stilts.model.encoder import quiet_transformers
from dist_stilts.model.finite import require_finite
from dist_stilts.model.folders import CONFIG, GENERATORS, architectures, examine, not_loaded
from dist_stilts.model.heads import MLM, Head, head_name, labels_of, task_class, tie
from dist_stilts.model.labels import Given, Match, are_nameless, match
from dist_stilts.model.old_heads import is_old, old_heads, old_task_model
from dist_stilts.model.provenance import Provenance
from dist_stilts.tasks.spec import TaskSpec


@dataclass(frozen=True)
class SavedHead:
    """A task model on disk.

    Attributes:
        name: of the head in our exports; of anybody else's models, its class.
        labels: the names of its outputs in id order.
    """

    folder: Path
    name: str
    family: Family
    labels: tuple[str, ...]


class NoHead(UserError):
    """The file has no tensor of the head at all."""


def saved_heads(
    folder: Path, provenance: Provenance | None, wanted: Collection[str] | None = None
) -> dict[str, SavedHead]:
    """The heads of a model folder by name; none for a bare encoder.

    Args:
        wanted: of an export of ours, the heads that are asked for; None for all. Others may be lost.

    Raises:
        UserError: a folder that says it has a head, and lacks it.
    """
    if provenance is None:
        found = read_head(folder)
        return {found.name: found} if found else {}
    if is_old(folder):
        old = old_heads(folder, provenance.heads)
        return {name: SavedHead(folder, name, family, labels) for name, (family, labels) in old.items()}
    places = folders_of_heads(folder, provenance.heads)
    return {name: _own(name, place) for name, place in places.items() if wanted is None or name in wanted}


def _own(name: str, place: Path) -> SavedHead:
    """A head of an export of ours; UserError if it is lost."""
    head = read_head(place) if (place / CONFIG).is_file() else None
    if head is None:
        raise UserError(f"the model lacks its head '{name}'", where=place, fix="Run its recipe again")
    return replace(head, name=name)


def folders_of_heads(folder: Path, heads: dict[str, list[str]]) -> dict[str, Path]:
    """Where each head's task model is; ``heads``: their names to the tasks that trained them."""
    if len(heads) == 1:
        return dict.fromkeys(heads, folder)
    return {name: head_folder(folder, tasks) for name, tasks in heads.items()}


def read_head(folder: Path) -> SavedHead | None:
    """The head of a task model by what its configuration says; None if that is of an encoder alone.

    Raises:
        UserError: no configuration, or a model that is none of the kinds that have heads here.
    """
    from transformers import AutoConfig

    examine(folder)
    try:
        config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    except Exception as error:
        raise refused("cannot read the model's configuration", folder, error) from None
    name = next(iter(architectures(config)), "")
    family = family_of_model(config)
    if family is None:
        if name.endswith(GENERATORS):
            raise UserError(
                f"a {name} generates text: it is no encoder with a head", where=folder, fix="Give an encoder's model"
            )
        return None
    named = family.has_labels or (family.name == "regression" and config.num_labels > 1)
    return SavedHead(folder, name, family, labels_of(config) if named else ())


def family_of_model(config: Any) -> Family | None:
    """The kind of task that a model's configuration says it was trained for, if any."""
    name = next(iter(architectures(config)), "")
    kinds = [kind for kind in KINDS.values() if name.endswith(kind.auto_class.removeprefix("AutoModel"))]
    if len(kinds) < 2:
        return kinds[0] if kinds else None
    problem = getattr(config, "problem_type", None) or ("regression" if config.num_labels == 1 else None)
    fitting = [kind for kind in kinds if kind.head_config(("",)).get("problem_type") == problem]
    return fitting[0] if fitting else KINDS["sequence"]


def head_for(spec: TaskSpec, heads: dict[str, SavedHead], provenance: Provenance | None) -> SavedHead | None:
    """The head that predicts a task: in an export of ours the one of that name, else the one of that kind."""
    if provenance is not None:
        saved = heads.get(head_name(spec))
        # An older export may not say what the labels are, but the name does, by their digest. Where they are said, that
        # counts: a head that was somebody else's has its own order.
        unsaid = saved and saved.labels and are_nameless(saved.labels) and {*saved.labels} != {*spec.labels}
        return replace(saved, labels=spec.labels) if saved and unsaid else saved
    return next((head for head in heads.values() if head.family.name == spec.family), None)


def matched(spec: TaskSpec, saved: SavedHead, given: Given) -> Match | None:
    """How the head's outputs become the task's labels; None for kinds that name none.

    Raises:
        UserError: labels that cannot be matched; several numbers where the task has one; several outputs for one label
            where each is a yes or no of its own, which have no sum.
    """
    if not saved.family.has_labels:
        if saved.labels:
            raise UserError(
                f"the model gives {len(saved.labels)} numbers ({', '.join(saved.labels)}), and {spec.name} has one",
                where=saved.folder,
                fix="Give a model of one output",
            )
        return None
    found = match(spec.labels, saved.labels, given, partly=saved.family.name == "token", where=spec.name)
    if saved.family.name == "multilabel" and any(len(own) > 1 for own in found.order):
        raise UserError(
            "several outputs of a model of several labels are one label of the task",
            where=saved.folder,
            fix="Give each label one output: --labels NAME=LABEL, and NAME= leaves one out",
        )
    return found


def load_task_model(saved: SavedHead) -> Any:
    """Load a whole task model in fp32.

    Raises:
        UserError: nothing loadable there, or tensors that would be random (law 8) or are not finite.
    """
    if is_old(saved.folder):
        task = old_task_model(saved.folder, saved.name, saved.family, saved.labels)
    else:
        task = _read_task_model(saved)
    require_finite(task, saved.folder)
    return task


def _read_task_model(saved: SavedHead) -> Any:
    from transformers import AutoConfig

    quiet_transformers()
    try:
        config = AutoConfig.from_pretrained(str(saved.folder), trust_remote_code=False)
        task, info = task_class(saved.family, config).from_pretrained(
            str(saved.folder),
            config=config,
            dtype=torch.float32,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are reported, and refused below
        )
    except Exception as error:
        raise not_loaded("cannot load the model", saved.folder, error) from None
    fresh = sorted([*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])])
    if fresh:
        own = {name for name in task.state_dict() if not name.startswith(f"{task.base_model_prefix}.")}
        raise (NoHead if own <= {*fresh, *task.all_tied_weights_keys} else UserError)(
            f"{len(fresh)} tensors are not in the file (first: {fresh[0]}) and would be random",
            where=saved.folder,
            fix="Give a model whose head was trained",
        )
    return task


def load_head(saved: SavedHead, encoder: Any, matching: Match | None = None) -> Head:
    """Load a head onto an encoder that is there already.

    Raises:
        UserError: see :func:`load_task_model`.
    """
    task = load_task_model(saved)
    if task.config.hidden_size != encoder.config.hidden_size:
        raise UserError("the head is of another encoder", where=saved.folder, fix="Start from one whole model")
    head = Head(task, saved.family, encoder)
    tie(task, encoder)
    head.rename(matching)
    return head


def language_model_head(folder: Path, encoder: Any) -> Head | None:
    """The masked-language-model head among a pretrained model's weights, tried by loading it; None if there is none.

    Raises:
        UserError: a part of one: the rest would be random.
    """
    try:
        return load_head(SavedHead(folder, MLM, KINDS[MLM], ()), encoder)
    except NoHead:
        return None
