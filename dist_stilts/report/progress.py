"""One line that says how far a long piece of work has come: redrawn on a terminal, printed now and then elsewhere."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from dist_stilts.conventions import OnProgress
from dist_stilts.redaction import redact

SECONDS_BETWEEN_LINES = 5.0
"""Where there is no terminal to redraw, one line every so often."""
WIDE = 140
"""Columns from which a terminal has room for a bar beside the line."""


def say(message: str) -> None:
    """One line for a person, on stderr; where nobody listens any more, as after a lost login, the work goes on."""
    try:
        print(redact(message), file=sys.stderr, flush=True)
    except BrokenPipeError:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (to the process's end)


def duration(seconds: float) -> str:
    """Seconds as a person says them, in at most two units: ``4.2 s``, ``3 min 10 s``, ``2 h 5 min``, ``3 d 4 h``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


def rate(per_second: float) -> str:
    """A number per second in three digits or so: ``640``, ``6.3k``, ``210k``, ``1.2M``."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if per_second >= 0.9995 * size:
            value = per_second / size
            return f"{value:.1f}{unit}" if value < 99.95 else f"{value:.0f}{unit}"
    return f"{per_second:.0f}"


class Progress:
    """How much is done, what else there is to say, and the time left at the mean pace so far.

    Args:
        total: what ``done`` will be in the end; 0 = nobody knows.
        done: what was done before, by an interrupted process; it does not count for the pace.
        silent: say nothing (all ranks but one).
    """

    def __init__(self, title: str, total: int, done: int = 0, silent: bool = False) -> None:
        self.title, self.total, self.before, self.silent = title, total, done, silent
        self.start = self.last = time.monotonic()
        self.done, self.note = done, ""
        self.finished = False
        self.bar: Any = None
        if not silent and sys.stderr.isatty():
            self._draw()

    def _draw(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar
        from rich.table import Column

        console = Console(stderr=True)
        line = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
        self.bar = Bar(*([BarColumn(24)] if console.width >= WIDE else []), line, console=console)
        self.bar.start()
        self.task = self.bar.add_task(self._line(""), total=self.total or None, completed=self.done)

    def update(self, done: int, note: str = "", left: float | None = None) -> None:
        """Say how much is done; ``left``: seconds, where the caller knows better than the mean pace so far."""
        self.done, self.note = done, note
        when = self._left() if left is None else f"about {duration(left)} left"
        if self.total and done >= self.total:
            self._finish("done in")
        elif self.bar:
            self.bar.update(self.task, completed=done, description=self._line(when))
        elif time.monotonic() - self.last >= SECONDS_BETWEEN_LINES:
            self._say(when)

    def _left(self) -> str:
        pace = (self.done - self.before) / max(1e-9, time.monotonic() - self.start)
        return f"{duration((self.total - self.done) / pace)} left" if self.done < self.total and pace > 0 else ""

    def _line(self, when: str) -> str:
        count = f"{self.done}/{self.total}" if self.total else f"{self.done}"
        return f"{self.title}: {', '.join(filter(None, [count, when, self.note]))}"

    def _say(self, when: str) -> None:
        if not self.silent:
            say(self._line(when))
        self.last = time.monotonic()

    def _finish(self, how: str) -> None:
        """The last line, once, if anything was done."""
        if self.finished or self.done == self.before:
            return
        self.finished = True
        when = f"{how} {duration(time.monotonic() - self.start)}"
        if self.bar:
            self.bar.update(self.task, completed=self.done, description=self._line(when))
        else:
            self._say(when)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._finish("stopped after" if self.total else "done in")
        if self.bar:
            self.bar.stop()


def bar(silent: bool = False) -> OnProgress:
    """A callback ``(what, done, total)`` that makes a new bar whenever the first word of ``what`` changes."""
    bars: dict[str, Progress] = {}

    def update(what: str, done: int, total: int) -> None:
        title = what.split(" ")[0]
        if title not in bars:
            bars[title] = Progress(title, total, silent=silent)
        bars[title].update(done, what.removeprefix(title).strip())
        if total and done >= total:
            bars.pop(title).__exit__()

    return update
