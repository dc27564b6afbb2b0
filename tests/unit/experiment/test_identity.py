"""A run on the user's own files is another when what it is trained on is, and keeps what an older folder calls it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dist_stilts.config import dump, plain
from dist_stilts.conventions import fingerprint
from dist_stilts.errors import UserError
from dist_stilts.evaluate.suite import EvalTask, EvaluationConfig
from dist_stilts.experiment.claim import check_folder
from dist_stilts.experiment.plan import Run, expand, folder_of
from dist_stilts.experiment.run_config import DataConfig, PhaseConfig, Recipe, TrainTask
from dist_stilts.experiment.status import State, evaluation_id, is_done, set_state
from dist_stilts.tasks.read_own import OwnTask, own_spec
from dist_stilts.tasks.registry import register
from dist_stilts.writing import write_text

FILES = {"train": "train.csv", "dev": "dev.csv", "test": "test.csv"}
SCORING = EvaluationConfig()


def recipe(out: Path | str = "runs", task: TrainTask | None = None, **own: Any) -> Recipe:
    """Training on topics, and a phase after it."""
    entry = OwnTask(**{"family": "sequence", "files": FILES, "languages": ["en", "de"], **own})
    register(own_spec("topics", entry))
    phases = {
        "topics": PhaseConfig(tasks={"topics": task or TrainTask()}, evaluate={"topics": EvalTask()}),
        "after": PhaseConfig(start=["topics"], tasks={"xnli": TrainTask()}),
    }
    return Recipe(out=str(out), data=DataConfig(root="data", own_tasks={"topics": entry}), phases=phases)


def ids(*arguments: Any, **own: Any) -> list[str]:
    return [run.id for run in expand(recipe(*arguments, **own))]


@pytest.mark.parametrize(
    "own",
    [
        {"files": {**FILES, "test": "other.{lang}.csv"}},
        {"files": {"train": "train.csv", "dev": "dev.csv"}},
        {"files": {**FILES, "test": {"hub": "owner/topics"}}},
        {"languages": ["en", "de", "fr"]},
        {"languages": []},
        {"separator": ""},
    ],
)
def test_what_is_only_scored_is_no_part_of_a_run_and_one_of_what_is_scored(own: dict[str, Any]) -> None:
    before, after = expand(recipe()), expand(recipe(**own))
    assert [run.id for run in after] == [run.id for run in before]
    same = own == {"separator": ""}
    assert (evaluation_id(after[0], SCORING) == evaluation_id(before[0], SCORING)) == same


@pytest.mark.parametrize(
    "own",
    [
        {"files": {**FILES, "train": "other.csv"}},
        {"files": {**FILES, "dev": "other.csv"}},
        {"languages": ["de", "en"]},
        {"columns": {"text_a": "text"}},
        {"labels": ["x", "y"]},
    ],
)
def test_what_is_trained_on_is_a_part_of_a_run_and_of_those_after_it(own: dict[str, Any]) -> None:
    assert not set(ids()) & set(ids(**own))


def test_a_split_counts_if_it_is_used_and_the_languages_do_where_all_are_trained_on() -> None:
    no_dev, everywhere = TrainTask(dev=None), TrainTask(languages=["all"])
    assert ids("runs", no_dev) == ids("runs", no_dev, files={**FILES, "dev": "other.csv"})
    assert ids("runs", everywhere) != ids("runs", everywhere, languages=["en", "de", "fr"])
    for_test = TrainTask(split="test", dev=None)
    assert ids("runs", for_test) != ids("runs", for_test, files={**FILES, "test": "other.csv"})


def test_training_is_in_the_source_language_if_a_phase_names_none() -> None:
    assert [run.tasks for run in expand(recipe(languages=["de", "en"]))] == [
        {"topics": TrainTask(languages=["de"])},
        {"xnli": TrainTask(languages=["en"])},
    ]


def as_older_versions_wrote(wanted: Recipe) -> dict[str, str]:
    """Finished runs whose files of all splits are a part of them; returns their identities."""
    known: dict[str, str] = {}
    for run in expand(wanted):
        own = {name: plain(task) for name, task in wanted.data.own_tasks.items() if name in run.tasks}
        for entry in own.values():
            del entry["separator"]
        content = {**run.content, "data": {**plain(wanted.data), "own_tasks": own}}
        content["parent"] = run.parent and known[run.parent.name]
        known[run.name] = fingerprint(content)
        folder = folder_of(wanted).run(run.name)
        write_text(folder.config, dump({"run_id": known[run.name], "name": run.name, "run": content}))
        scored = evaluation_id(replace(run, scored={}), SCORING)
        set_state(folder, State.DONE, run_id=known[run.name], evaluated=scored)
    return known


def done(run: Run, wanted: Recipe) -> bool:
    return is_done(run, folder_of(wanted).run(run.name), SCORING)


def test_a_folder_of_an_older_version_goes_on_with_these_and_with_other_test_files(tmp_path: Path) -> None:
    older = as_older_versions_wrote(recipe(tmp_path))
    assert older["topics"] != ids()[0]
    again, other = recipe(tmp_path), recipe(tmp_path, files={**FILES, "test": "other.csv"})
    for wanted in (again, other):
        runs = expand(wanted)
        assert {run.name: run.id for run in runs} == older
        for run in runs:
            check_folder(run, folder_of(wanted).run(run.name))
    assert [done(run, again) for run in expand(again)] == [True, True]
    assert [done(run, other) for run in expand(other)] == [False, True], "to be scored on the other file"


def test_an_older_folder_of_other_training_files_is_refused_by_what_is_trained_on(tmp_path: Path) -> None:
    as_older_versions_wrote(recipe(tmp_path))
    changed = recipe(tmp_path, files={"train": "other.csv", "dev": "dev.csv", "test": "other.csv"})
    with pytest.raises(UserError, match=r"another run \(data.own_tasks.topics.files.train: train.csv -> other.csv\)"):
        check_folder(expand(changed)[0], folder_of(changed).run("topics"))
