"""What a model's outputs are to the tasks that it is scored on, and how long the texts are that it can read: known from
its configuration, before anything is tokenised or loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dist_stilts.families.encoding import QaLengths
from dist_stilts.families.kinds import KINDS
from dist_stilts.families.score import Score
from dist_stilts.model.adapters import model_folder
from dist_stilts.model.encoder import build, most_tokens, read_architecture
from dist_stilts.model.fine_tuned import matches
from dist_stilts.model.fit import allowed_tokens
from dist_stilts.model.folders import TOKENIZER_CONFIG, read_json
from dist_stilts.model.heads import head_name
from dist_stilts.model.labels import Match
from dist_stilts.model.provenance import read_provenance
from dist_stilts.ranges import check
from dist_stilts.report.progress import say
from dist_stilts.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from dist_stilts.evaluate.suite import Job, Unit
    from dist_stilts.families.features import Features


def with_matchings(units: Iterable[Unit], job: Job) -> list[Unit]:
    """The units, each with how the model's outputs become its task's labels.

    Raises:
        UserError: a task that the model has no head for, or whose labels are others.
    """
    listed = list(units)
    headed = {unit.spec.name: unit.spec for unit in listed if unit.spec.family in KINDS}
    if not headed:
        return listed
    found = matches(list(headed.values()), model_folder(job.model, job.revision), job.labels)
    return [
        replace(unit, matching=found[head_name(unit.spec)]) if unit.spec.name in headed else unit for unit in listed
    ]


def within_reach(job: Job, units: Sequence[Unit], *, silent: bool) -> Job:
    """The job with texts and windows no longer than the model can read; says so where they are cut.

    Raises:
        UserError: settings outside their ranges; no model.
    """
    check(job.config)
    kinds = [KINDS[unit.spec.family] for unit in units if unit.spec.family in KINDS]
    if not kinds:
        return job
    longest = longest_text(model_folder(job.model, job.revision))
    asked = {job.qa.max_length if kind.windowed else job.max_length for kind in kinds}
    if max(asked) > longest and not silent:
        say(f"texts and windows are cut to {longest} tokens, not {max(asked)}: the model reads no more at once")
    return replace(job, max_length=min(job.max_length, longest), qa=_within(job, longest))


def _within(job: Job, longest: int) -> QaLengths:
    """Windows that fit; their parts keep their shares of the whole."""
    qa = job.qa
    if qa.max_length <= longest:
        return qa
    return replace(
        qa,
        max_length=longest,
        stride=max(1, qa.stride * longest // qa.max_length),
        max_question=max(1, qa.max_question * longest // qa.max_length),
    )


def longest_text(folder: Path) -> int:
    """Most tokens that a model can read: of those that it has positions for, what its tokenizer allows.

    In a model that was made here the recipe's lengths count, and not what the tokenizer said before.
    """
    with torch.device("meta"):
        positions = most_tokens(build(read_architecture(str(folder))))
    said = folder / TOKENIZER_CONFIG
    if read_provenance(folder) is not None or not said.is_file():
        return positions
    return min(positions, allowed_tokens(read_json(said).get("model_max_length")))


def as_predicted(spec: TaskSpec, model: Any) -> TaskSpec:
    """The task with the labels that the model predicts: its own, and behind them what only the model knows."""
    names = model.heads[head_name(spec)].names
    return replace(spec, labels=names) if names else spec


@dataclass
class Tally:
    """How much of what is scored is outside of what a model and a task have in common, or was passed over.

    Attributes:
        matches: those of the tasks by name; predictions: counted by task.
        outside: predictions of labels that the task does not have; beyond: gold labels that the model never predicts;
        unseen: gold labels that no training row has, by task, split and language; blank: sentences without text.
    """

    matches: dict[str, Match] = field(default_factory=dict)
    predictions: Counter[str] = field(default_factory=Counter)
    outside: Counter[str] = field(default_factory=Counter)
    beyond: Counter[str] = field(default_factory=Counter)
    unseen: Counter[str] = field(default_factory=Counter)
    blank: Counter[str] = field(default_factory=Counter)

    def add(self, unit: Unit, scored: Score, features: Features) -> None:
        """Count a unit's predictions and gold labels."""
        self.unseen[f"{unit.spec.name} {unit.split} {unit.language}"] += scored.unseen
        if unit.matching is None:
            return
        name, match, found = unit.spec.name, unit.matching, Counter(scored.predictions)
        self.matches[name] = match
        self.predictions[name] += found.total() - found[""]
        self.outside[name] += sum(found[label] for label in match.extra)
        missing = [unit.spec.labels.index(label) for label in match.missing]
        self.beyond[name] += sum(int(np.isin(labels, missing).sum()) for labels in features.labels) if missing else 0

    def lines(self) -> list[str]:
        """What there is to say."""
        said = [
            f"{name}: {count:,} gold labels, which no training row has, are scored as wrong"
            for name, count in (+self.unseen).items()
        ]
        said += [f"{name}: {count:,} sentences without text passed over" for name, count in (+self.blank).items()]
        for name, match in self.matches.items():
            if match.converted:
                said.append(f"{name}: the model's tags are of another scheme, and read as {', '.join(match.converted)}")
            if match.extra:
                share = f"{self.outside[name]:,} of {self.predictions[name]:,} predictions"
                said.append(f"{name}: the model also predicts {', '.join(match.extra)}, never right here: {share}")
            if match.missing:
                missed = f"{self.beyond[name]:,} gold labels"
                said.append(f"{name}: the model never predicts {', '.join(match.missing)}: {missed}")
        return said
