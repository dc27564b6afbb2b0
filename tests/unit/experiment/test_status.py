from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from dist_stilts.errors import UserError
from dist_stilts.evaluate.retrieval import RetrievalConfig
from dist_stilts.evaluate.suite import EvalTask, EvaluationConfig
from dist_stilts.experiment.plan import Run, expand
from dist_stilts.experiment.run_config import PhaseConfig, Recipe, TrainTask
from dist_stilts.experiment.status import claim, evaluation_id, is_done, read_status, versions, write_status
from dist_stilts.layout import RunFolder
from dist_stilts.train.plan import TrainConfig


def make_run(evaluate: tuple[str, ...] = ("xnli",), **train: Any) -> Run:
    config = PhaseConfig(tasks={"xnli": TrainTask()}, evaluate={task: EvalTask() for task in evaluate})
    return expand(Recipe(phases={"xnli": config}, train=TrainConfig(**train)))[0]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "xnli")


def finish(run: Run, folder: RunFolder) -> None:
    write_status(folder, "done", run_id=run.id, evaluated=evaluation_id(run, EvaluationConfig()))


def test_a_run_that_was_never_started_has_no_status(folder: RunFolder) -> None:
    assert read_status(folder) == {}
    assert not is_done(make_run(), folder, EvaluationConfig())


def test_status_keeps_what_else_is_known_and_forgets_old_reasons(folder: RunFolder) -> None:
    write_status(folder, "failed", run_id="abc", reason="full disk")
    assert read_status(folder)["reason"] == "full disk"
    write_status(folder, "running", step=3)
    status = read_status(folder)
    assert (status["state"], status["run_id"], status["step"], status["reason"]) == ("running", "abc", 3, None)
    assert abs(status["heartbeat"] - time.time()) < 60


def test_a_run_is_done_when_it_was_scored_as_described(folder: RunFolder) -> None:
    run = make_run()
    finish(run, folder)
    assert is_done(run, folder, EvaluationConfig())
    assert not is_done(make_run(evaluate=("xnli", "tatoeba")), folder, EvaluationConfig())
    assert not is_done(make_run(learning_rate=2e-5), folder, EvaluationConfig())
    assert not is_done(run, folder, EvaluationConfig(retrieval=RetrievalConfig(layer="7")))


@pytest.mark.parametrize("state", ["queued", "running", "failed"])
def test_no_other_state_is_done(folder: RunFolder, state: str) -> None:
    finish(make_run(), folder)
    write_status(folder, state)
    assert not is_done(make_run(), folder, EvaluationConfig())


def test_a_claimed_folder_says_what_runs_there_with_which_versions(folder: RunFolder) -> None:
    run = make_run()
    claim(run, folder)
    config = yaml.safe_load(folder.config.read_text())
    assert (config["run_id"], config["name"], config["run"]) == (run.id, "xnli", run.content)
    assert config["versions"] == versions()
    assert config["versions"]["torch"][0].isdigit()


def test_the_same_run_may_claim_its_folder_again_and_changes_nothing(folder: RunFolder) -> None:
    claim(make_run(), folder)
    written = folder.config.read_bytes()
    claim(make_run(log_every=99, evaluate=("tatoeba",)), folder)
    assert folder.config.read_bytes() == written


def test_another_run_is_refused_and_told_what_differs(folder: RunFolder) -> None:
    claim(make_run(), folder)
    with pytest.raises(UserError, match=r"holds another run \(train\.learning_rate: 1e-05 -> 2e-05\).*name="):
        claim(make_run(learning_rate=2e-5), folder)
