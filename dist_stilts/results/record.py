"""A result record: one score and everything that it depends on (law 11). All who make, keep or read scores speak in it.

    evaluate -> ResultRecord -> results.jsonl (:mod:`.lines`, :mod:`.files`) -> table, curves, effects, page

What is not known of an old score, or does not apply to one, has its field's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from dist_stilts.state_files import Amount, Count

PERCENT, THRESHOLD = "percent", "threshold"
"""Units of a value: a share of 100, or a margin as it is."""
RANDOM_ENCODER, HYPOTHESIS_ONLY = "random encoder", "hypothesis only"
"""Controls: scores that no knowledge of the language, or no reading of the premise, has a part in."""
NOT_FOR_TARGET = ("pretrain", "intermediate")
"""Roles of phases that are no training for the target that is scored."""


@dataclass(frozen=True)
class Model:
    """The model that was scored.

    Attributes:
        id: digest of its encoder's weights, 12 digits; without provenance of their files.
        name: the run that made it, from its provenance; path: folder or Hub name, as it was given.
        origin: ``pretrained``, or ``random`` for an encoder that never saw text.
        revision: the commit, of a model of the Hub.
    """

    id: str = ""
    name: str = ""
    path: str = ""
    origin: str = "pretrained"
    revision: str = ""

    @property
    def called(self) -> str:
        """What people call it."""
        return self.name or self.path


@dataclass(frozen=True)
class Training:
    """How the model came to be.

    Attributes:
        run: name of the run; run_id: its identity, of scores that the run itself took; phase, role: its place.
        train_tasks, train_size: what its last phase was trained on, and rows of it.
        intermediate: tasks of the phases before, joined by ","; intermediate_phase: their names, joined by "+";
            intermediate_size: labelled examples of these.
        branched: whether it left a trunk that other sizes share.
        seed: of the training that was kept; planned_seed: of the first attempt; subset_seed: of the choice of rows.
        restarts: attempts that were given up; dev: percent on English dev; collapsed: why it, or a run before it,
            learned nothing.
        train: the settings of the optimisation.
    """

    run: str = ""
    run_id: str = ""
    phase: str = ""
    role: str = ""
    train_tasks: tuple[str, ...] = ()
    train_size: Count | None = None
    intermediate: str = ""
    intermediate_phase: str = ""
    intermediate_size: Count = 0
    branched: bool = False
    seed: int | None = None
    planned_seed: int | None = None
    subset_seed: int | None = None
    restarts: Count = 0
    dev: float | None = None
    collapsed: str | None = None
    train: Mapping[str, Any] = field(default_factory=dict)

    @property
    def after(self) -> str:
        """The intermediate phase, by its name if it has one; "" where no labelled example was seen before."""
        return (self.intermediate_phase or self.intermediate.replace(",", "+")) if self.intermediate_size else ""

    @property
    def is_for_target(self) -> bool:
        """Whether the last phase was training for a target, and its score on dev is the target's."""
        return bool(self.train_tasks) and self.role not in NOT_FOR_TARGET

    @property
    def is_trained(self) -> bool:
        """Whether anything was trained after pretraining, which is the start of everything."""
        return bool(self.intermediate_size or (self.train_tasks and self.role != "pretrain"))


@dataclass(frozen=True)
class Reading:
    """How texts became predictions: a score of the same model read otherwise is another score.

    Attributes:
        inputs: ``full``, or ``hypothesis`` without the premise; layer, pooling: of embeddings; mining: of pairs.
        max_length, stride: tokens; dtype: of the forward pass.
        labels: what the outputs of a model were taken for, in its order and joined by ","; "" where they are the task's
            labels in the task's order, as in models that were made here.
    """

    inputs: str = "full"
    layer: Count | None = None
    pooling: str = ""
    mining: str = ""
    max_length: Count | None = None
    stride: Count | None = None
    dtype: str = ""
    labels: str = ""


@dataclass(frozen=True)
class Scoring:
    """When and where the score was taken: what must not make a difference, and explains one where it does.

    Attributes:
        versions: by package; wall_seconds: of all scores of the same rows; time: seconds since 1970.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    world_size: Count | None = None
    wall_seconds: Amount | None = None
    time: Amount | None = None


class Place(NamedTuple):
    """File and line."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Identity(NamedTuple):
    """What a score is of: two records that agree in all of it claim the same number.

    These are the things by which scores may differ: the weights, the texts (``data_revision``), the way they are read,
    and the run under whose name they stand, since runs that share a start are several. Circumstances
    (:class:`Scoring`) are not among them: no number of ranks, hour or version may change a score.
    """

    run: str
    run_id: str
    seed: int | None
    model: str
    reading: Reading
    task: str
    split: str
    language: str
    metric: str
    data_revision: str

    def in_any_run(self) -> Identity:
        """The same without the run: what need not be scored again where it was."""
        return self._replace(run="", run_id="", seed=None)


@dataclass(frozen=True)
class ResultRecord:
    """One score.

    Attributes:
        value: in its ``unit``; None where gold is withheld. count: rows, words or pairs that it stands on.
        main: whether it is the task's own score, and not one beside it.
        collapsed: why the model is taken to have collapsed (one class, stuck at chance); its score is that of no model.
        data_revision: hash of the files of the texts.
        health: retrieval only: what the embeddings are like (:mod:`dist_stilts.scoring.health`).
        unseen: gold labels that no training row has: scored, as wrong.
        place: where it was read.
    """

    task: str
    language: str
    split: str
    metric: str
    value: float | None
    count: Count = 0
    unit: str = PERCENT
    main: bool = True
    collapsed: str | None = None
    data_revision: str = ""
    health: Mapping[str, float] = field(default_factory=dict)
    model: Model = field(default_factory=Model)
    training: Training = field(default_factory=Training)
    reading: Reading = field(default_factory=Reading)
    scoring: Scoring = field(default_factory=Scoring)
    unseen: int = 0
    place: Place | None = field(default=None, compare=False)

    @property
    def identity(self) -> Identity:
        """See :class:`Identity`."""
        return Identity(
            self.training.run,
            self.training.run_id,
            self.training.seed,
            self.model.id,
            self.reading,
            self.task,
            self.split,
            self.language,
            self.metric,
            self.data_revision,
        )

    @property
    def number(self) -> float:
        """The value of a record that has one.

        Raises:
            ValueError: it has none.
        """
        if self.value is None:
            raise ValueError(f"{self.task} {self.split} {self.language}: no value")
        return self.value

    @property
    def layer(self) -> int:
        """The layer that was read, of a record that knows it.

        Raises:
            ValueError: it knows none.
        """
        if self.reading.layer is None:
            raise ValueError(f"{self.task} {self.split} {self.language}: no layer")
        return self.reading.layer

    @property
    def controls(self) -> tuple[str, ...]:
        """The controls that it is a score of; none for a score that counts."""
        random, hypothesis = self.model.origin == "random", self.reading.inputs == "hypothesis"
        return (RANDOM_ENCODER,) * random + (HYPOTHESIS_ONLY,) * hypothesis

    @property
    def is_test(self) -> bool:
        """Whether it is of a test split, or of a slice of one."""
        return self.split.partition("[")[0] == "test"
