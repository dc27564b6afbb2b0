from __future__ import annotations

import json
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from models_made import export_model

from dist_stilts.errors import EXIT_AGAIN, EXIT_FAILED, UserError
from dist_stilts.evaluate.retrieval import RetrievalConfig
from dist_stilts.evaluate.suite import EvalTask, EvaluationConfig
from dist_stilts.experiment.claim import Busy, claimed
from dist_stilts.experiment.launch import launch
from dist_stilts.experiment.phases import run_phase
from dist_stilts.experiment.plan import Run, expand, folder_of
from dist_stilts.experiment.run_config import PhaseConfig, Recipe, TrainTask
from dist_stilts.experiment.status import (
    Attempt,
    RunStatus,
    State,
    is_done,
    read_status,
    set_state,
    versions,
    write_status,
)
from dist_stilts.layout import RunFolder
from dist_stilts.model.provenance import weights_digest
from dist_stilts.once import is_held
from dist_stilts.parallel.preemption import Preempted
from dist_stilts.parallel.world import World
from dist_stilts.report.closing import Figures
from dist_stilts.train.plan import TrainConfig
from dist_stilts.writing import whole_folder, write_text

ALONE = World(0, 1, 0, torch.device("cpu"))
SCORING = EvaluationConfig()
CLOSING = Figures(10, 20, 300, 0.1, 0, 1, 9.0, 5.0, 1.0, 1.0, (0.5, 0.75), on_gpu=False)


def make_run(evaluate: tuple[str, ...] = ("xnli",), **train: Any) -> Run:
    config = PhaseConfig(tasks={"xnli": TrainTask()}, evaluate={task: EvalTask() for task in evaluate})
    return expand(Recipe(phases={"xnli": config}, train=TrainConfig(**train)))[0]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "xnli")


def work(
    run: Run, folder: RunFolder, error: BaseException | None = None, full_disk: bool = False, lasts: float = 0
) -> None:
    """Work at a run for so many seconds until it is done, or until an error."""
    with claimed(run, folder, SCORING, ALONE) as claim:
        time.sleep(lasts)
        claim.note(step=1)
        if full_disk:
            folder.status.unlink()
            folder.status.mkdir()
        if error:
            raise error


def test_a_status_is_read_as_it_was_written_here_or_by_another_version(folder: RunFolder) -> None:
    assert read_status(folder) == RunStatus()
    status = RunStatus(
        State.RUNNING,
        run_id="abc",
        versions={"torch": "2"},
        heads={"loaded": ["mlm"], "fresh": [], "dropped": []},
        step=3,
        dev=71.5,
        restarted=(Attempt(0, "stuck at chance"), Attempt(7, "one class")),
        closing=CLOSING,
    )
    write_status(folder, status)
    there = json.loads(folder.status.read_text())
    assert {"state": "running", "reason": None, "step": 3}.items() <= there.items()
    assert abs(there["heartbeat"] - time.time()) < 60
    read = read_status(folder)
    assert read == RunStatus(**{**vars(status), "heartbeat": there["heartbeat"]})
    old = {"reason": None, "code": None, "run_id": "abc", "evaluated": "def", "seconds": 9, "dev": 70, "state": "done"}
    write_text(folder.status, json.dumps({**old, "of_a_later_version": [1]}))
    assert read_status(folder) == RunStatus(State.DONE, run_id="abc", evaluated="def", seconds=9, dev=70)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"state": "do', "Unterminated string"),
        ('["done"]', r"it is \["),
        ('{"state": "finished"}', "'state' is \"finished\""),
        ('{"state": "done", "starts": "many"}', "'starts' is \"many\""),
        ('{"restarted": {"seed": 1}}', "'restarted' is"),
        ('{"closing": {"steps": 1}}', "it has no 'closing.examples'"),
    ],
)
def test_what_is_no_status_is_one_line_that_says_so(folder: RunFolder, text: str, why: str) -> None:
    write_text(folder.status, text)
    told = rf"status\.json: not the status of a run \(.*{why}.*\)\. Delete this file.*its seed"
    with pytest.raises(UserError, match=told):
        read_status(folder)


def test_a_status_that_was_deleted_is_made_again_of_what_the_model_says_of_itself(
    tmp_path: Path, tokenizer: Any, tiny_encoder: Any
) -> None:
    recipe = Recipe(out=str(tmp_path), phases={"xnli": PhaseConfig(tasks={"xnli": TrainTask()})})
    (run,) = expand(recipe)
    folder = folder_of(recipe).run(run.name)
    with whole_folder(folder.model) as temporary:
        export_model(temporary, tiny_encoder, tokenizer, degenerate="stuck at chance", carried={"fresh": ["mlm"]})
    run_phase(run, recipe, ALONE, "dist-stilts run it")
    status = read_status(folder)
    assert (status.state, status.degenerate, status.heads) == (State.DONE, "stuck at chance", {"fresh": ["mlm"]})
    assert status.digest == weights_digest(tiny_encoder)


def test_a_run_is_done_when_it_was_scored_as_described(folder: RunFolder) -> None:
    run = make_run()
    assert not is_done(run, folder, SCORING)
    work(run, folder)
    assert is_done(run, folder, SCORING)
    assert not is_done(make_run(evaluate=("xnli", "tatoeba")), folder, SCORING)
    assert not is_done(make_run(learning_rate=2e-5), folder, SCORING)
    assert not is_done(run, folder, EvaluationConfig(retrieval=RetrievalConfig(layer="7")))
    for state in (State.QUEUED, State.RUNNING, State.FAILED):
        set_state(folder, state)
        assert not is_done(run, folder, SCORING)


def test_while_a_run_is_worked_at_its_folder_says_what_runs_where_with_which_versions(folder: RunFolder) -> None:
    run = make_run()
    set_state(folder, State.FAILED, "full disk", code=1, starts=1, step=7, seconds=100.0)
    with claimed(run, folder, SCORING, ALONE) as claim:
        assert is_held(folder.lock)
        claim.note(step=9, digest="d")
        status = read_status(folder)
        assert (status.state, status.reason, status.code, status.starts) == (State.RUNNING, None, None, 2)
        assert (status.run_id, status.world_size, status.step) == (run.id, 1, 9)
        assert ":" in str(status.place)
        with pytest.raises(Busy, match="another program is working here"):
            work(run, folder)
    status = read_status(folder)
    assert (status.state, status.starts, status.step, status.digest) == (State.DONE, 0, 9, "d")
    assert 100 <= status.seconds < 160, "of all that worked at it"
    assert not is_held(folder.lock)
    config = yaml.safe_load(folder.config.read_text())
    assert (config["run_id"], config["name"], config["run"]) == (run.id, "xnli", run.content)
    assert config["versions"] == status.versions == versions()
    assert config["versions"]["torch"][0].isdigit()


@pytest.mark.parametrize(
    ("error", "state", "reason", "code", "starts"),
    [
        (UserError("the loss is not finite"), State.FAILED, "the loss is not finite", 2, 1),
        (RuntimeError("a bug"), State.FAILED, "a bug", EXIT_FAILED, 1),
        (Preempted(), State.QUEUED, str(Preempted()), EXIT_AGAIN, 0),
        (KeyboardInterrupt(), State.RUNNING, None, None, 1),  # the launcher's to note
    ],
)
def test_how_the_work_ended_and_why_is_noted(
    folder: RunFolder, error: BaseException, state: State, reason: str | None, code: int | None, starts: int
) -> None:
    for programs in (1, 2):
        set_state(folder, State.QUEUED, starts=0)
        with pytest.raises(type(error)):
            work(make_run(), folder, error, lasts=0.2)
        status = read_status(folder)
        assert (status.state, status.reason, status.code, status.starts) == (state, reason, code, starts)
        assert status.seconds >= 0.2 * programs, "of all that worked at it, however they ended"
    assert not is_held(folder.lock)


def test_a_status_that_cannot_be_written_does_not_hide_why_the_run_failed(folder: RunFolder) -> None:
    with pytest.raises(UserError, match="the disk is full"):
        work(make_run(), folder, UserError("the disk is full"), full_disk=True)


def test_only_rank_0_writes_and_all_know_what_all_noted(folder: RunFolder) -> None:
    with claimed(make_run(), folder, SCORING, World(1, 2, 1, torch.device("cpu"))) as claim:
        claim.note(restarted=(Attempt(0, "stuck"),))
        assert claim.status.restarted == (Attempt(0, "stuck"),)
    assert not folder.path.exists()


def test_the_same_run_may_claim_its_folder_again_and_another_is_told_what_differs_and_what_to_do(
    folder: RunFolder,
) -> None:
    work(make_run(), folder)
    written = folder.config.read_bytes()
    work(make_run(log_every=99, evaluate=("tatoeba",)), folder)
    assert folder.config.read_bytes() == written
    told = r"holds another run \(train\.learning_rate: 1e-05 -> 2e-05\).*`name:` in its file"
    with pytest.raises(UserError, match=told):
        work(make_run(learning_rate=2e-5), folder)
    assert is_done(make_run(evaluate=("tatoeba",)), folder, SCORING)
    assert not is_held(folder.lock)


@pytest.fixture
def launches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Launches a run that stopped earlier; its ranks write a status, if they get so far, and end with a code."""
    recipe = Recipe(out=str(tmp_path), phases={"xnli": PhaseConfig(tasks={"xnli": TrainTask()})})
    folder = folder_of(recipe).run("xnli")

    def launches_(earlier: dict[str, Any], written: dict[str, Any] | None, code: int) -> int:
        write_status(folder, RunStatus(**earlier))
        said = json.dumps(written | {"heartbeat": time.time() + 1}) if written else folder.status.read_text()
        ranks = tmp_path / "ranks"
        ranks.write_text(f"#!/bin/sh\necho {shlex.quote(said)} > {folder.status}\nexit {code}\n")
        ranks.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(ranks))
        return launch(recipe, "mine", [], 1, None)

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    yield launches_
    for number, handler in handlers.items():
        signal.signal(number, handler)


STOPPED = {"state": State.QUEUED, "code": EXIT_AGAIN}
BROKEN = {"state": State.FAILED, "code": EXIT_FAILED, "reason": "a full disk"}


@pytest.mark.parametrize("earlier", [STOPPED, BROKEN])
def test_what_an_earlier_start_said_is_not_taken_for_the_end_of_this_one(
    launches: Callable[..., int], earlier: dict[str, Any]
) -> None:
    with pytest.raises(UserError, match=r"the ranks ended \(launcher code 3\) before run 'xnli' was done"):
        launches(earlier, None, 3)


@pytest.mark.parametrize("written", [STOPPED, BROKEN])
def test_what_the_ranks_said_of_their_end_is_the_exit_code(
    launches: Callable[..., int], written: dict[str, Any]
) -> None:
    assert launches({"state": State.QUEUED}, written, 3) == written["code"]
