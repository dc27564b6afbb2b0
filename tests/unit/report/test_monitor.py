"""A phase's metrics are in all three places, whatever happened on the way; TensorBoard reads them with its own code."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dist_stilts.errors import EXIT_AGAIN, UserError
from dist_stilts.layout import RunFolder
from dist_stilts.report import progress
from dist_stilts.report.monitor import Monitor, note, record_final
from dist_stilts.results.jsonl import read

VALUES = {"loss": 1.0324, "learning_rate": 9.1e-6, "grad_norm": 1.518, "tokens_per_second": 12_600.0, "padding": 0.12}
TOLD = {
    "learning_rate": 1e-5,
    "batch_size": 32,
    "task": "mnli",
    "lower_case": False,
    "betas": [0.9, 0.999],
    "cap": None,
}
AS_READ = {**TOLD, "betas": "[0.9, 0.999]", "cap": "None"}


@pytest.fixture(autouse=True)
def first_event_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of one second are read in order of a number without leading zeros, that all tests would count on."""
    from tensorboard.summary.writer import event_file_writer

    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "study" / "mnli")


def train(run: RunFolder, first: int, last: int, error: BaseException | None = None) -> None:
    """A process that takes some of a run's 10 steps and may come to grief; the loss says which process it was."""
    with Monitor(run, "mnli", 10, first, active=True, ranks=2) as monitor:
        monitor.hyperparameters(TOLD)
        for step in range(first + 1, last + 1):
            monitor.log(step, {**VALUES, "loss": step + first / 100})
        if error:
            raise error
        monitor.final({"mnli/accuracy": 81.5})


def interrupted(run: RunFolder, first: int, last: int, error: BaseException) -> None:
    with pytest.raises(type(error)):
        train(run, first, last, error)


def test_line_has_tokens_per_second_of_each_rank_and_mfu_and_skipped_steps_only_where_there_are_any() -> None:
    assert note(VALUES, ranks=2) == "loss 1.032 lr 9.1e-06 |g| 1.52 6.3k tok/s/rank pad 12%"
    assert note({**VALUES, "skipped": 0}, ranks=1) == note(VALUES, ranks=1)
    assert note({**VALUES, "mfu": 0.4123, "skipped": 2}, ranks=1).endswith(" pad 12% MFU 41.2% skipped 2")


def test_metrics_are_on_the_screen_in_the_file_and_in_tensorboard(
    run: RunFolder, curves: Callable[..., Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with Monitor(run, "mnli", 2, 0, active=True) as monitor:
        monitor.score(0, {"mnli/accuracy": 33.0})
        monitor.log(1, {**VALUES, "loss/mnli": 1.0, "mfu": 0.4})
        monitor.log(2, VALUES)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("mnli: 1/2, ")
    assert " left, loss 1.032 " in first
    assert second.startswith("mnli: 2/2, done in ")
    records = [record for _, record in read(run.metrics)]
    assert [(record["event"], record["step"]) for record in records] == [("dev", 0), ("train", 1), ("train", 2)]
    assert records[1]["mfu"] == 0.4
    found = curves(run.events)
    assert found["dev/mnli/accuracy"] == [(0, 33.0)]
    assert [step for step, _ in found["train/loss"]] == [1, 2]
    assert {"train/mfu", "train/loss/mnli", "train/padding"} <= set(found)


def test_ranks_that_do_not_write_leave_no_trace(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    with Monitor(run, "mnli", 1, 0, active=False) as monitor:
        monitor.hyperparameters(TOLD)
        monitor.log(1, VALUES)
        monitor.score(1, {"mnli/accuracy": 1.0})
        monitor.final({"mnli/accuracy": 1.0})
    assert not run.path.exists()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("checkpoint", [0, 3])
def test_steps_after_the_checkpoint_are_void_once_the_run_goes_on(
    run: RunFolder, curves: Callable[..., Any], checkpoint: int
) -> None:
    interrupted(run, 0, 5, RuntimeError("killed"))
    train(run, checkpoint, 7)
    expected = [(step, float(step)) for step in range(1, checkpoint + 1)]
    expected += [(step, step + checkpoint / 100) for step in range(checkpoint + 1, 8)]
    assert curves(run.events)["train/loss"] == [(step, pytest.approx(loss)) for step, loss in expected]
    assert [record["step"] for _, record in read(run.metrics) if record["event"] == "resumed"] == [checkpoint]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "STATUS_SUCCESS"),
        (UserError("the loss is not finite", code=1), "STATUS_FAILURE"),
        (RuntimeError("a bug"), "STATUS_FAILURE"),
        (UserError("asked to stop", code=EXIT_AGAIN), "STATUS_UNKNOWN"),
        (KeyboardInterrupt(), "STATUS_UNKNOWN"),
    ],
)
def test_hparams_tab_says_how_the_run_ended(
    run: RunFolder, sessions: Callable[..., Any], error: BaseException | None, status: str
) -> None:
    train(run, 0, 5) if error is None else interrupted(run, 0, 5, error)
    ((name, (found, told, _)),) = sessions(run.path.parent).items()
    assert (name, found, told) == ("mnli/events", status, AS_READ)
    assert told["lower_case"] is False


def test_hparams_tab_has_a_resumed_run_once_with_its_last_word_and_scores_that_came_later(
    run: RunFolder, sessions: Callable[..., Any]
) -> None:
    interrupted(run, 0, 5, RuntimeError("out of memory"))
    interrupted(run, 3, 7, UserError("asked to stop", code=EXIT_AGAIN))
    assert [status for status, _, _ in sessions(run.path.parent).values()] == ["STATUS_UNKNOWN"]
    train(run, 5, 10)
    record_final(run, 10, {"xnli/accuracy": 70.0})
    record_final(run, 10, {"xnli/accuracy": 71.5})
    ((status, told, metrics),) = sessions(run.path.parent).values()
    assert (status, told) == ("STATUS_SUCCESS", AS_READ)
    assert (metrics["final/mnli/accuracy"], metrics["final/xnli/accuracy"]) == (81.5, 71.5)
    assert metrics["train/loss"] == 10.05


def test_hparams_tab_shows_runs_with_other_settings_and_scores_side_by_side(
    tmp_path: Path, sessions: Callable[..., Any]
) -> None:
    for rate, task in ((1e-5, "mnli"), (3e-5, "udpos")):
        with Monitor(RunFolder(tmp_path / task), task, 1, 0, active=True) as monitor:
            monitor.hyperparameters({"learning_rate": rate})
            monitor.final({f"{task}/score": 100 * rate})
    found = sessions(tmp_path)
    assert {name: told["learning_rate"] for name, (_, told, _) in found.items()} == {
        "mnli/events": 1e-5,
        "udpos/events": 3e-5,
    }
    assert [set(metrics) for _, _, metrics in found.values()] == [{"final/mnli/score"}, {"final/udpos/score"}]


def test_a_torn_last_line_costs_that_line_only(run: RunFolder) -> None:
    interrupted(run, 0, 3, RuntimeError("killed"))
    before = run.metrics.read_bytes()
    run.metrics.write_bytes(before + b'{"event": "train", "step": 4, "lo')
    train(run, 3, 5)
    assert run.metrics.read_bytes().startswith(before)
    events = [(record["event"], record["step"]) for record in map(json.loads, run.metrics.open())]
    assert events[3:] == [("resumed", 3), ("train", 4), ("train", 5), ("final", 5)]


def test_what_is_not_finite_stops_nothing(run: RunFolder, curves: Callable[..., Any]) -> None:
    with Monitor(run, "mnli", 1, 0, active=True) as monitor:
        monitor.log(1, {**VALUES, "grad_norm": math.inf, "loss": math.nan, "skipped": 1})
    ((_, record),) = read(run.metrics)
    assert (record["grad_norm"], record["loss"], record["skipped"]) == (None, None, 1)
    assert curves(run.events)["train/grad_norm"] == [(1, math.inf)]


def test_watching_needs_neither_torch_nor_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dist_stilts.layout import RunFolder\n"
        "from dist_stilts.report.monitor import Monitor\n"
        "with Monitor(RunFolder(Path(sys.argv[1])), 'mnli', 1, 0, True) as monitor:\n"
        "    monitor.hyperparameters({'seed': 1}); monitor.final({'mnli/accuracy': 1.0})\n"
        "sys.exit(' '.join({'torch', 'tensorflow'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
