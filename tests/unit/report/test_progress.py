"""What the progress line says, and how often: on a terminal one line that is redrawn, elsewhere a line now and then."""

from __future__ import annotations

import io
import re
import sys

import pytest

from dist_stilts.report import progress
from dist_stilts.report.progress import SECONDS_BETWEEN_LINES, Progress, duration, rate


class Clock:
    """Time that passes when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock)
    return clock


def test_durations_have_at_most_two_units_and_carry_over_and_rates_have_few_digits() -> None:
    durations = {0: "0.0 s", 4.21: "4.2 s", 9.97: "10 s", 59.4: "59 s", 59.6: "1 min 0 s", 190: "3 min 10 s"}
    durations |= {3599.6: "1 h 0 min", 7500: "2 h 5 min", 24 * 3600 - 1: "1 d 0 h", 76 * 3600: "3 d 4 h"}
    assert {seconds: duration(seconds) for seconds in durations} == durations
    rates = {0: "0", 640: "640", 999.7: "1.0k", 6340: "6.3k", 209_600: "210k", 999_600: "1.0M", 1.24e6: "1.2M"}
    assert {per_second: rate(per_second) for per_second in rates} == rates


def test_without_a_terminal_lines_come_every_few_seconds_and_at_the_end(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("mnli", 100) as line:
        for step in range(1, 101):
            clock.now += 0.5
            line.update(step, f"loss {step}")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 50 / SECONDS_BETWEEN_LINES
    assert said[0] == "mnli: 10/100, 45 s left, loss 10"
    assert said[-1] == "mnli: 100/100, done in 50 s, loss 100"


def test_steps_of_an_earlier_process_do_not_count_for_the_pace(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    line = Progress("mnli", 1000, done=900)
    clock.now += 10
    line.update(910)
    assert capsys.readouterr().err == "mnli: 910/1000, 1 min 30 s left\n"


@pytest.mark.parametrize(
    ("total", "silent", "seconds", "said"),
    [
        (100, False, 2, "mnli: 30/100, stopped after 2.0 s, loss 1\n"),
        (0, False, 6, "mnli: 30, loss 1\nmnli: 30, done in 6.0 s, loss 1\n"),  # no end in sight: no time left
        (30, True, 60, ""),
    ],
)
def test_how_the_work_ended_is_said_once_and_by_one_rank(
    clock: Clock, capsys: pytest.CaptureFixture[str], total: int, silent: bool, seconds: float, said: str
) -> None:
    with Progress("mnli", total, silent=silent) as line:
        clock.now += seconds
        line.update(30, "loss 1")
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("columns", ["60", "200"])
def test_on_a_terminal_one_line_is_redrawn_whatever_its_width(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    with Progress("mnli", 100) as line:
        line.update(50, "[loss] 1.032 lr 9.1e-06 |g| 1.52 6.3k tok/s/rank pad 12% MFU 41.0%")
        line.update(100, "[loss] 0.9")
    drawn = terminal.getvalue()
    assert re.search(r"mnli: 100/100, done in \d+\.\d s, \[loss\] 0\.9", drawn)
    assert drawn.count("\n") == 1
    assert ("━" in drawn) == (columns == "200")


def test_work_goes_on_where_nobody_listens_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a login that was lost: the ranks save what they have."""

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    progress.say("one")
    progress.say("another")
    sys.stderr.close()
