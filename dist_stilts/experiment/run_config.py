"""The recipe: one dataclass that nests the config of every part. Its field comments are the reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dist_stilts.evaluate.suite import EvalTask, EvaluationConfig
from dist_stilts.families.encoding import LEAST_LENGTH, QaLengths
from dist_stilts.model.encoder import EncoderConfig
from dist_stilts.ranges import A_PATH, SCALE, SEED, at_least, between, changes_of, key, one_of, text
from dist_stilts.tasks.read_own import OwnTask
from dist_stilts.tasks.sources import A_SPLIT, parse_split
from dist_stilts.train.plan import TrainConfig

FROM_ENCODER = "encoder"
FROM_RANDOM = "random"
ROLES = ("pretrain", "intermediate", "target", "baseline")
TRUNK = "trunk"
"""Role of the runs that are a trunk's segments, which no recipe names: see `PhaseConfig.branch`."""
FRESH, REUSE = "fresh", "reuse"
FULL, BETWEEN = "full", "..."
"""Sizes that are no numbers: all rows, and those between two numbers."""
SPLIT, LANGUAGE = text(parse_split, f"such as {A_SPLIT}"), text()
SIZES = at_least(0, FULL, BETWEEN)
MOST_DRAWS = 10**6


@dataclass
class SimulateConfig:
    """A simulated multilingual world as data."""

    seed: int = key(0, SEED)
    """Of grammars, words and texts: another seed, another world."""
    placebo: bool = False
    """Every language has English grammar: distances mean nothing, and no analysis may find that they do."""
    scale: float = key(1.0, SCALE)
    """Share of the default numbers of rows."""


@dataclass
class DataConfig:
    """Where the data are and how they are cut into tokens."""

    root: str | None = key(None, A_PATH)
    """Folder with one sub-folder per task; null = the Hub. Own files that are named by whole paths need none."""
    simulate: SimulateConfig | None = None
    """Make a simulated world and use it as root."""
    max_length: int = key(256, at_least(LEAST_LENGTH))
    """Most tokens per text or pair, special tokens included; what is cut is counted."""
    qa: QaLengths = field(default_factory=QaLengths)
    """Question answering has windows instead."""
    own_tasks: dict[str, OwnTask] = field(default_factory=dict)
    """Tasks of your own: name to files, family and columns."""


@dataclass
class TrainTask:
    """One task to train on."""

    split: str = key("train", SPLIT)
    """Split or slice (`dev[:60%]`); slices are cut by groups of rows that are parallel across languages."""
    languages: list[str] = key([], LANGUAGE)
    """Language codes, or `all`; none = English, or the source language of a task of your own."""
    dev: str | None = key("dev", SPLIT)
    """Split on which progress is scored, in the same language as training by default: English, or the source language
    of a task of your own; null = none, and a task without `dev` has none by default."""
    sampling: float | None = key(None, between(0, 1))
    """Languages are sampled in proportion to their rows to this power; null = 0.3 for mlm, 1 for all else."""
    share: float | None = key(None, between(0, 1, above=True, below=True))
    """Several tasks: share of the steps that this one gets, whatever its size; the others divide the rest."""


@dataclass
class PhaseConfig:
    """One phase: where it starts, what it trains on, what is scored after it.

    A list of starts or of sizes makes one run for each.
    """

    role: str = key("target", one_of(*ROLES))
    """`pretrain`, `intermediate`, `target`, or `baseline` (a control, such as hypothesis-only)."""
    start: list[str] = key([FROM_ENCODER], text(fewest=1))
    """Phases to start from; `encoder` is the recipe's, `random` the same architecture with fresh weights."""
    tasks: dict[str, TrainTask] = field(default_factory=dict)
    """What is trained on; none = the start is only scored. Several = one task per step, in proportion to size.
    `multi` stands for the nine intermediate tasks."""
    sizes: list[int | str] = key([], at_least(1, FULL, BETWEEN))
    """Training rows, one run for each; subsets are nested and stratified. `full` = all rows, as is an empty list;
    `...` between two numbers stands for 1, 3, 10, 30 and so on between them."""
    branch: float | None = key(None, between(0, 1, above=True))
    """The cheaper way to several sizes, in the place of one full run each: one trunk at a constant rate passes through
    all, and at each a branch decays for this share of the trunk's steps so far (0.2, say). Needs `epochs`, not `steps`;
    the warm-up is a share of the steps up to the smallest size."""
    heads: str = key(FRESH, one_of(FRESH, REUSE))
    """Task heads: `fresh`, as in Phang et al. 2020, or `reuse` those of the start that fit (same kind, same labels)."""
    inputs: str = key("full", one_of("full", "hypothesis"))
    """`hypothesis` hides the first text of pairs: what a model can know without reading it."""
    train: dict[str, Any] = changes_of(TrainConfig)
    """Changes to the recipe's `train` for this phase."""
    evaluate: dict[str, EvalTask] = field(default_factory=dict)
    """What is scored when the phase is done."""


@dataclass
class StudyConfig:
    """What `dist-stilts study` varies in a recipe, and how it reads the results; `run` takes no notice of it."""

    sizes: list[int | str] = key([], SIZES)
    """English examples of every intermediate phase that has no `sizes` of its own; written as there. 0 = the runs
    without an intermediate phase, which some phase has to be."""
    sizes_of: dict[str, list[int | str]] = key({}, SIZES)
    """The same for single intermediate phases, by name: not every task has as many examples."""
    seeds: list[int] = key([], SEED)
    """In the place of the recipe's `seed`, for all that is trained after pretraining."""
    subset_seeds: list[int] = key([], SEED)
    """In the place of the recipe's `subset_seed`, for intermediate data; every one is run with every seed."""
    languages: list[str] = key([], LANGUAGE)
    """What is scored in `all` languages is scored in these, as far as the task has them; empty = in all."""
    delta: float = key(0.25, between(0, 100, above=True))
    """Points: gains have ended where twice the data bring less."""
    draws: int = key(1000, between(1, MOST_DRAWS))
    """Of the bootstrap."""
    permutations: int = key(2000, between(1, MOST_DRAWS))
    """Of the languages, for p values."""
    distances: str | None = key(None, A_PATH)
    """Table of distances from English (CSV or TSV: language, then one column per distance); null = URIEL+, or what a
    simulated world declares."""
    gpu: str = "NVIDIA A100"
    """Hours are estimated for this device until runs of the study were measured."""
    mfu: float = key(0.35, between(0, 1, above=True))
    """Share of the device's peak that is taken to be reached until then."""


@dataclass
class Recipe:
    """All that one experiment is."""

    name: str = "experiment"
    """Folder below `out`; without one, the recipe's file gives its name."""
    out: str = key("runs", A_PATH)
    """Folder for the runs; a relative one is looked for below the current folder."""
    ranks: int | None = key(None, at_least(1))
    """Processes; null = one per GPU, or 2 without GPUs. `--ranks` wins."""
    seed: int = key(0, SEED)
    """Of initial weights, data order, masks and dropout."""
    head_seed: int | None = key(None, SEED)
    """Of fresh heads, if apart from `seed`: models of several seeds can only be averaged if their heads began alike."""
    subset_seed: int = key(0, SEED)
    """Of the choice of training subsets, apart from `seed`."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    phases: dict[str, PhaseConfig] = field(default_factory=dict)
    study: StudyConfig = field(default_factory=StudyConfig)
