"""Every path that the product reads or writes is made here; how it is written, :mod:`dist_stilts.writing` knows.

<out>/prepared/<key>/            tokenised data, shared by all recipes of one output folder
<out>/<recipe>/world/            the simulated world, where the recipe asks for one
<out>/<recipe>/data.txt, table.md, page.html
<out>/<recipe>/<run>/            one run: see :class:`RunFolder`
<out>/<recipe>/study/            what is made from all runs of a study: see :class:`StudyFolder`
<cache>/<key>/                   embeddings: see :class:`EmbeddingFolder`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

STUDY_TABLES = ("scores", "curves", "effects", "typology")
DELTAS = {"md": "md", "csv": "csv", "tex": "latex"}
"""Suffix of a study's table of differences, and how it is written."""
OUTCOMES = "outcomes"
"""Suffix of a file beside predictions: what each test row adds to the score, 0 to 1, one per line."""


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """Resolved recipe of this run, with versions and the parent run's id."""
        return self.path / "config.yaml"

    @property
    def status(self) -> Path:
        """queued | running | done | failed(reason), with a heartbeat."""
        return self.path / "status.json"

    @property
    def checkpoints(self) -> Path:
        """One ``step-000500`` folder per checkpoint."""
        return self.path / "checkpoints"

    def checkpoint(self, step: int) -> Path:
        """The checkpoint taken after ``step`` optimiser steps."""
        return self.checkpoints / f"step-{step:06d}"

    @property
    def deepspeed(self) -> Path:
        """DeepSpeed's configuration, with what the recipe decides filled in."""
        return self.path / "deepspeed.json"

    @property
    def micro_tokens(self) -> Path:
        """Tokens per forward pass that were found to fit, by number of ranks."""
        return self.path / "micro_tokens.json"

    @property
    def state(self) -> Path:
        """The last checkpoint of a run that others go on from."""
        return self.path / "state"

    @property
    def model(self) -> Path:
        """The Hugging Face export."""
        return self.path / "model"

    @property
    def events(self) -> Path:
        """TensorBoard."""
        return self.path / "events"

    @property
    def metrics(self) -> Path:
        """One JSON line per logged step."""
        return self.path / "metrics.jsonl"

    @property
    def results(self) -> Path:
        """One JSON line per score."""
        return self.path / "results.jsonl"

    @property
    def embeddings(self) -> Path:
        """What retrieval has embedded; deleted when the run is scored."""
        return self.path / "embeddings"

    @property
    def lock(self) -> Path:
        """Held by rank 0 while it works here."""
        return self.path / ".lock"

    @property
    def predictions(self) -> Path:
        """XTREME's submission layout."""
        return self.path / "predictions"

    @property
    def folders(self) -> tuple[Path, ...]:
        """What is a folder in it."""
        return self.checkpoints, self.state, self.model, self.events, self.embeddings, self.predictions

    @property
    def files(self) -> tuple[Path, ...]:
        """What is a file in it."""
        own = self.config, self.status, self.deepspeed, self.micro_tokens
        return *own, self.metrics, self.results, self.lock


@dataclass(frozen=True)
class RecipeFolder:
    """The files of one recipe: its runs and what is made from all of them."""

    out: Path
    name: str

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.out / self.name

    @property
    def prepared(self) -> Path:
        """Tokenised data, shared by every recipe below the same output folder."""
        return self.out / "prepared"

    @property
    def world(self) -> Path:
        """The simulated world, if the recipe has one."""
        return self.path / "world"

    @property
    def data_report(self) -> Path:
        """What tokenising did, split by split."""
        return self.path / "data.txt"

    @property
    def table(self) -> Path:
        """The table of all runs, in Markdown."""
        return self.path / "table.md"

    @property
    def page(self) -> Path:
        """The page of all runs."""
        return self.path / "page.html"

    @property
    def figures(self) -> Path:
        """The page's figures as files."""
        return self.path / "figures"

    @property
    def folders(self) -> tuple[Path, ...]:
        """What is a folder in it."""
        return self.prepared, self.world, self.figures

    @property
    def files(self) -> tuple[Path, ...]:
        """What is a file in it."""
        return self.data_report, self.table, self.page

    def run(self, name: str) -> RunFolder:
        """The folder of one run."""
        return RunFolder(self.path / name)


@dataclass(frozen=True)
class StudyFolder:
    """What is made from all runs of a study, below the recipe's folder."""

    recipe: Path

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.recipe / "study"

    def log(self, worker: str) -> Path:
        """What a worker said, start after start."""
        return self.path / f"worker-{worker}.log"

    @property
    def slurm(self) -> Path:
        """Scripts and output of Slurm jobs."""
        return self.path / "slurm"

    @property
    def page(self) -> Path:
        """The page."""
        return self.path / "page.html"

    @property
    def figures(self) -> Path:
        """The page's figures as files."""
        return self.path / "figures"

    def table(self, name: str) -> Path:
        """The numbers of the page, one of :data:`STUDY_TABLES`."""
        return self.path / f"{name}.csv"

    def deltas(self, suffix: str) -> Path:
        """The table of differences from the baseline: ``md``, ``csv`` or ``tex``."""
        return self.path / f"deltas.{suffix}"

    @property
    def folders(self) -> tuple[Path, ...]:
        """What is a folder in it."""
        return self.slurm, self.figures

    @property
    def files(self) -> tuple[Path, ...]:
        """What is a file in it."""
        return self.page, *map(self.table, STUDY_TABLES), *map(self.deltas, DELTAS)


@dataclass(frozen=True)
class ScoresFolder:
    """What `evaluate` writes."""

    path: Path

    @property
    def prepared(self) -> Path:
        """Tokenised data."""
        return self.path / "prepared"

    @property
    def embeddings(self) -> Path:
        """What retrieval has embedded; kept, so that another margin or another k costs a search and no more."""
        return self.path / "embeddings"

    @property
    def results(self) -> Path:
        """One JSON line per score."""
        return self.path / "results.jsonl"

    @property
    def predictions(self) -> Path:
        """XTREME's submission layout."""
        return self.path / "predictions"

    @property
    def layers(self) -> Path:
        """Pictures of a sweep over layers, without their ending."""
        return self.path / "layers"

    @property
    def precision_recall(self) -> Path:
        """Pictures of precision against recall of mined pairs, without their ending."""
        return self.path / "precision-recall"

    @property
    def folders(self) -> tuple[Path, ...]:
        """What is a folder in it."""
        return self.prepared, self.embeddings, self.predictions

    @property
    def files(self) -> tuple[Path, ...]:
        """What is a file in it."""
        return (self.results,)


@dataclass(frozen=True)
class EmbeddingFolder:
    """The embeddings of one sequence of texts, read in one way by one model: two files per layer."""

    path: Path

    def vectors(self, layer: int) -> Path:
        """The finished embeddings of a layer, in NumPy's format."""
        return self.path / f"layer-{layer:02d}.npy"

    def unfinished(self, layer: int) -> Path:
        """The embeddings of a layer as far as they are computed."""
        return self.path / f".layer-{layer:02d}.npy.partial"

    def record(self, layer: int) -> Path:
        """What the embeddings of a layer are of, and how far they are computed, in JSON."""
        return self.path / f"layer-{layer:02d}.json"

    @property
    def lock(self) -> Path:
        """Held by the program that computes embeddings here."""
        return self.path / ".lock"


def prediction_file(folder: Path, task: str, split: str, language: str, suffix: str = "tsv") -> Path:
    """XTREME's place for the predictions of one task and language, with the split in the name."""
    return folder / task / f"{split_in_names(split)}-{language}.{suffix}"


def layer_folder(folder: Path, layer: int) -> Path:
    """Where the predictions of one layer of several lie, in XTREME's layout again."""
    return folder / f"layer-{layer:02d}"


def head_folder(model: Path, tasks: Sequence[str]) -> Path:
    """One head of a model that has several, by the tasks that trained it."""
    return model / "heads" / "+".join(tasks)


def translation_file(folder: Path, split: str, language: str) -> Path:
    """Where a task's English rows lie once they are translated; ``folder`` is the task's below the data root."""
    return folder / "translated" / f"{split_in_names(split)}-{language}.jsonl"


def translation_record(translation: Path) -> Path:
    """What made a translation and what became of the rows, in JSON."""
    return translation.with_suffix(".json")


def translation_parts(translation: Path, key: str) -> Path:
    """The folder of what is translated so far; ``key`` differs whenever the translation would."""
    return translation.with_name(f".{translation.stem}-{key}.parts")


def mining_embeddings(pairs: Path) -> Path:
    """Where the embeddings are kept that pairs were mined from, unless another folder is named."""
    return pairs.with_name(f"{pairs.stem}.embeddings")


def mining_curve(pairs: Path) -> Path:
    """Precision and recall of mined pairs at every threshold, where gold pairs are known; pictures end otherwise."""
    return pairs.with_name(f"{pairs.stem}.curve.tsv")


def preflight_token(out: Path, key: str) -> Path:
    """Where a host leaves its word in the folder of the runs; ``key`` names the preflight and the host."""
    return out / f".preflight-{key}"


def world_file(root: Path) -> Path:
    """What declares the languages of a simulated world."""
    return root / "world.json"


def split_in_names(split: str) -> str:
    """A split or slice as part of a file's name: ``dev[50%:60%]`` is ``dev_50-60``."""
    return split.replace("[", "_").replace(":", "-").replace("%", "").replace("]", "")
