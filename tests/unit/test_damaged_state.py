"""Whatever happens to files that the program keeps for itself: one line names the file, or it is made again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import damage
import numpy as np
import pytest
import torch
from results_made import record

from dist_stilts.analysis.typology import from_world
from dist_stilts.apply.outputs import Writer
from dist_stilts.apply.parts import Kept, OutputFiles, Progress, begun, finished
from dist_stilts.config import dump
from dist_stilts.data.prepare import META, Wanted, prepare
from dist_stilts.errors import UserError
from dist_stilts.evaluate.conditions import training_of
from dist_stilts.evaluate.embedding_files import EmbeddingFiles
from dist_stilts.evaluate.suite import Unit, refuse_trained_rows
from dist_stilts.experiment.claim import check_folder, take
from dist_stilts.experiment.execute import language_distances
from dist_stilts.experiment.identity import recognised
from dist_stilts.experiment.plan import expand, folder_of
from dist_stilts.experiment.run_config import DataConfig, PhaseConfig, Recipe, SimulateConfig, TrainTask
from dist_stilts.experiment.status import Attempt, RunStatus, State, read_status, set_state, write_status
from dist_stilts.layout import EmbeddingFolder, RunFolder, world_file
from dist_stilts.model.card_metadata import labelled_languages
from dist_stilts.model.provenance import PROVENANCE, Averaged, Provenance, Seen, read_provenance, write_provenance
from dist_stilts.parallel.world import World
from dist_stilts.report.closing import Figures
from dist_stilts.results import files as results
from dist_stilts.tasks.read_own import OwnTask, own_spec
from dist_stilts.tasks.registry import get_task, register
from dist_stilts.train.micro_batch import remembered
from dist_stilts.writing import write_text

ALONE = World(0, 1, 0, torch.device("cpu"))


@dataclass(frozen=True)
class StateFile:
    """A file of ours, and what reads it.

    Attributes:
        rebuilt: whether it is made again; else it is refused.
        named: what a refusal names, if not the file itself: what it is the record of.
    """

    file: Path
    use: Callable[[], object]
    rebuilt: bool = False
    named: Path | None = None

    def meets(self, harm: damage.Damage) -> str:
        """``used`` or ``refused``; anything else is an error of the program."""
        harm.do(self.file)
        said = ""
        try:
            self.use()
        except UserError as error:
            said = str(error)
        assert not said or (str(self.named or self.file) in said and "\n" not in said), (harm.name, said)
        return "refused" if said else "used"


@contextmanager
def as_it_was(file: Path) -> Iterator[bytes]:
    """The content, which is there again in the end."""
    good = file.read_bytes()
    yield good
    if file.is_dir():
        file.rmdir()
    file.write_bytes(good)


def status(out: Path, _: Any) -> StateFile:
    folder = RunFolder(out)
    closing = Figures(10, 20, 300, 0.1, 0, 1, 9.0, 5.0, 1.0, 1.0, (0.5, 0.75), on_gpu=False)
    known = {"reason": "r", "code": 1, "run_id": "i", "evaluated": "e", "world_size": 2, "place": "h:1", "steps": 9}
    more = {"versions": {"torch": "2"}, "heads": {"loaded": ["a"]}, "restarted": (Attempt(0, "stuck"),)}
    last = {"seed": 0, "degenerate": "d", "dev": 9.0, "exported": "last", "digest": "d", "closing": closing}
    write_status(folder, RunStatus(State.DONE, **known, **more, **last))

    def use() -> None:
        json.dumps(asdict(read_status(folder)))
        set_state(folder, State.QUEUED)

    return StateFile(folder.status, use)


def config(out: Path, _: Any) -> StateFile:
    entry = OwnTask("sequence", {"train": "a.csv"}, labels=["x", "y"], languages=["en", "de"])
    register(own_spec("topics", entry))
    phases = {"topics": PhaseConfig(tasks={"topics": TrainTask(dev=None)})}
    recipe = Recipe(out=str(out), data=DataConfig(root="data", own_tasks={"topics": entry}), phases=phases)
    (run,) = expand(recipe)
    folder = folder_of(recipe).run(run.name)
    take(run, folder)

    def use() -> None:
        recognised([run], folder_of(recipe))
        with pytest.raises(UserError):  # of another recipe all is said that differs: every field is looked at
            check_folder(replace(run, id_there="f" * 12), folder)
        check_folder(run, folder)

    return StateFile(folder.config, use, named=folder.path)


def provenance(out: Path, _: Any) -> StateFile:
    seen = Seen(phase="a", role="target", task="xnli", split="train", languages=["en"], examples=3, steps=4)
    average = Averaged(run="r", run_id="i", digest="d")
    heads = {"xnli": ["xnli"]}
    out.mkdir(exist_ok=True)
    known = {"carried": heads, "degenerate": "d", "averaged_from": [average]}
    write_provenance(out, Provenance("r", "i", "pretrained", "d", [seen], heads, "s", "h", **known))

    def use() -> None:
        found = read_provenance(out)
        if found:
            training_of(found)
            labelled_languages(found)
            refuse_trained_rows(Unit(get_task("xnli"), "dev", "de"), found)

    return StateFile(out / PROVENANCE, use)


def world_json(out: Path, _: Any) -> StateFile:
    recipe = Recipe(out=str(out), data=DataConfig(simulate=SimulateConfig()), phases={})
    file = world_file(folder_of(recipe).world)
    codes = {"en": 0.0, "qaa": 0.5}
    found = [{"code": code, "script": "Latn", "distance": distance} for code, distance in codes.items()]
    write_text(file, json.dumps({"seed": 0, "placebo": False, "languages": found}))

    def use() -> None:
        language_distances(recipe)
        from_world(file)

    return StateFile(file, use)


def score(out: Path, _: Any) -> StateFile:
    file, line = RunFolder(out).results, out / "line.json"
    results.append(line, [record(model="m", run="r", train_tasks=["xnli"], train={"seed": 1}, health={"hubness": 1.0})])
    good = line.read_bytes()

    def use() -> None:
        if not line.is_dir():
            file.write_bytes(line.read_bytes().rstrip(b"\n") + b"\n" + good)
        results.read(line if line.is_dir() else file)

    return StateFile(line, use, named=out)


def prepared(out: Path, shared: Any) -> StateFile:
    world, tokenizer = shared
    wanted = Wanted(get_task("xnli"), world, "dev", "en", 16)
    rows = len(prepare(wanted, tokenizer, out).features)
    (file,) = out.glob(f"*/{META}")

    def use() -> None:
        assert len(prepare(wanted, tokenizer, out).features) == rows

    return StateFile(file, use, rebuilt=True)


def embeddings(out: Path, _: Any) -> StateFile:
    files = EmbeddingFiles(EmbeddingFolder(out), 4, 2, {"model": "m"})
    files.append(0, 0, np.ones((2, 2), np.float32), truncated=1)

    def use() -> None:
        assert files.done(0) in (0, 1, 2)
        assert files.truncated(0) >= 0

    return StateFile(files.folder.record(0), use, rebuilt=True)


def micro_tokens(out: Path, _: Any) -> StateFile:
    file = RunFolder(out).micro_tokens
    write_text(file, json.dumps({"1": 64, "2": 32}))

    def use() -> None:
        if not file.is_dir():
            assert remembered(file, ALONE, lambda: 64) >= 1

    return StateFile(file, use, rebuilt=True)


def begun_predictions(out: Path, _: Any) -> StateFile:
    files, what = OutputFiles(out / "o.jsonl"), {"model": "m", "format": ".jsonl", "code": 1}
    files.folder.mkdir(parents=True, exist_ok=True)
    Kept(files, what, Progress(), Writer(".jsonl", ("a",), {})).append([(1, b'{"a": 1}\n', 0)])

    def use() -> None:
        begun(files, what, overwrite=False)

    return StateFile(files.state, use, rebuilt=True, named=files.folder)


def finished_predictions(out: Path, _: Any) -> StateFile:
    files, what = OutputFiles(out / "o.jsonl"), {"model": "m", "format": ".jsonl", "code": 1}
    write_text(files.out, "x")
    write_text(files.record, json.dumps({**what, "bytes": 1, "rows": 1, "made": True}))

    def use() -> None:
        finished(files, what, overwrite=False)

    return StateFile(files.record, use, named=files.out)


KEPT = (status, config, provenance, world_json, score, prepared, embeddings, micro_tokens)
KEPT += (begun_predictions, finished_predictions)


@pytest.fixture(params=KEPT, ids=lambda make: make.__name__)
def kept(request: pytest.FixtureRequest, world: Path, tokenizer: Any, tmp_path: Path) -> StateFile:
    made: StateFile = request.param(tmp_path / "out", (world, tokenizer))
    made.use()
    return made


def test_a_file_that_says_nothing_is_refused_by_its_name_or_made_again(kept: StateFile) -> None:
    for harm in damage.of_file(kept.file.read_bytes()):
        with as_it_was(kept.file):
            blank = kept.file.name == "line.json" and harm.name == "empty"  # of results: says nothing, loses nothing
            assert kept.meets(harm) == ("used" if kept.rebuilt or blank else "refused"), harm.name


def test_a_field_that_is_missing_or_of_another_type_is_no_error_of_ours(kept: StateFile) -> None:
    outcomes = set()
    with as_it_was(kept.file) as good:
        for harm in damage.of_fields(good, is_yaml=kept.file.suffix == ".yaml"):
            if kept.file.name == META and ": " in harm.name and "None" not in harm.name:
                continue  # each would be made again: what differs is how it is told, and that is the record's
            outcomes.add(kept.meets(harm))
    assert "used" in outcomes, "not every field is needed, or the file is made again"
    assert kept.rebuilt or "refused" in outcomes


def test_a_field_of_a_later_version_is_passed_over(kept: StateFile) -> None:
    text = kept.file.read_text(encoding="utf-8")
    if kept.file.suffix == ".yaml":
        text += dump({"of_a_later_version": {"a": [1]}})
    else:
        known = {key: value for key, value in json.loads(text).items() if key != "checksum"}
        text = json.dumps({**known, "of_a_later_version": [1]}) + "\n"
    assert kept.meets(damage.Damage("later", text.encode())) == "used"
