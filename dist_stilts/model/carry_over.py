"""Which heads of its start a phase goes on with, by a stated rule; what was loaded, fresh and dropped is known (law 8).

Task heads are fresh: from the intermediate to the target task only the encoder goes on (Phang et al. 2020).
With ``heads: reuse`` those go on that fit: in a model of ours those of the same name, which is the same kind of task
and the same labels; in anybody else's model the head of the same kind whose labels are the task's by name.
The masked-language-model head belongs to pretraining and always goes on where the start has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dist_stilts.errors import UserError
from dist_stilts.model.adapters import model_folder
from dist_stilts.model.encoder import LoadReport
from dist_stilts.model.heads import MLM, Head, head_name
from dist_stilts.model.labels import Match, parse_given
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.provenance import read_provenance
from dist_stilts.model.saved_heads import head_for, language_model_head, load_head, matched, saved_heads
from dist_stilts.tasks.spec import TaskSpec


@dataclass(frozen=True)
class HeadReport:
    """Names of the heads that come from the start, that are fresh, and that only the start has."""

    loaded: list[str]
    fresh: list[str]
    dropped: list[str]

    def line(self) -> str:
        """The report as one line."""
        parts = {"loaded": self.loaded, "fresh": self.fresh, "dropped": self.dropped}
        return "heads: " + ", ".join(f"{_listed(names)} {what}" for what, names in parts.items())


def _listed(names: list[str]) -> str:
    return f"{len(names)} ({', '.join(names)})" if names else "0"


def carry_over(
    model: MultiTaskModel,
    specs: Sequence[TaskSpec],
    start: str | None,
    revision: str | None = None,
    labels: str | None = None,
    *,
    reuse: bool,
) -> HeadReport:
    """Load into the model's heads what goes on from the start, as the module's rule says; the others stay as they are.

    Args:
        start: Hub name or local folder, None if the phase starts from nothing.
        labels: what the start's outputs are, where their names do not tell.

    Raises:
        UserError: a head that goes on but has not all tensors, or labels that cannot be matched.
    """
    if start is None:
        return HeadReport([], list(model.heads), [])
    folder = model_folder(start, revision)
    provenance = read_provenance(folder)
    there = saved_heads(folder, provenance, [head_name(spec) for spec in specs])
    loaded = {}
    for spec in specs:
        name, saved = head_name(spec), head_for(spec, there, provenance)
        if saved is None and name == MLM and provenance is None:
            head = language_model_head(folder, model.encoder)
        elif saved is not None and (reuse or name == MLM):
            matching = matched(spec, saved, parse_given(labels or "", saved.labels) if saved.labels else {})
            head = load_head(saved, model.encoder, matching)
            name_outputs(head, matching)
        else:
            head = None
        if head is not None:
            model.heads[name] = head
            loaded[name] = saved.name if saved else MLM
    fresh = [name for name in model.heads if name not in loaded]
    known = provenance.heads if provenance else there
    return HeadReport(list(loaded), fresh, sorted(known.keys() - set(loaded.values())))


def name_outputs(head: Head, matching: Match | None) -> None:
    """Have the configuration of a head that is trained on say what its outputs are to the task, for all who load it.

    Raises:
        UserError: no output for a label, whose loss would be infinite; names that somebody gave, by which its outputs
            could not be told apart.
    """
    if matching is not None and matching.missing:
        raise UserError(
            f"the start's head has no output for {', '.join(matching.missing)}, and cannot be trained on it",
            fix="Set heads: fresh",
        )
    if matching is None or matching.is_told:
        return
    if "" in matching.taken or len({*matching.taken}) < len(matching.taken):
        raise UserError(
            f"encoder.labels: outputs that are left out, or that are one label ({', '.join(matching.taken)}), cannot be"
            " trained on",
            fix="Score the model as it is, or set heads: fresh",
        )
    config = head.task.config
    config.id2label = dict(enumerate(matching.taken))
    config.label2id = {name: number for number, name in enumerate(matching.taken)}


def without_heads(report: LoadReport, heads: Sequence[Head]) -> LoadReport:
    """The encoder's report without the tensors that the encoder left unread but a head took."""
    taken = {name for head in heads for name in head.task.state_dict()}
    return replace(report, dropped=[name for name in report.dropped if name not in taken])
