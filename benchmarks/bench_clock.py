"""A clock for the training benchmarks: seconds, peak memory, and the time of a step's parts, on CPUs and GPUs."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any

import torch

PARTS = ("forward", "backward", "optimiser", "data")


class Clock:
    """Time and peak memory between :meth:`begin` and :meth:`end`, and the time of named parts in between.

    On a GPU parts are timed by events on its own time line, so that nothing waits for them; a part that the device
    never waited for takes no time. Parts on other threads are beside the critical path and not counted.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.cuda = device, device.type == "cuda"
        self.spans: list[tuple[str, Any, Any]] = []
        self.started = self.seconds = 0.0
        self.peak_bytes = 0
        self.parts: dict[str, float] = {}

    def begin(self) -> None:
        """Forget what was before."""
        if self.cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        else:
            with suppress(OSError):  # where that is forbidden, the peak is that of the whole process
                Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self.spans.clear()
        self.started = time.perf_counter()

    def end(self) -> None:
        """Whatever comes later is not counted."""
        if self.cuda:
            torch.cuda.synchronize()
        self.seconds = time.perf_counter() - self.started
        status = Path("/proc/self/status").read_text(encoding="ascii")
        peak = 1024 * int(status.split("VmHWM:")[1].split()[0])
        self.peak_bytes = torch.cuda.max_memory_allocated() if self.cuda else peak
        self.parts = self._sums()

    def _sums(self) -> dict[str, float]:
        sums: Counter[str] = Counter()
        for name, start, end in self.spans:
            sums[name] += start.elapsed_time(end) / 1000 if self.cuda else end - start
        return {name: sums[name] for name in PARTS}

    def _mark(self) -> Any:
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a block; the profiler sees it under the same name."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        start = self._mark()
        with torch.profiler.record_function(name):
            yield
        self.spans.append((name, start, self._mark()))

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Time every call of a method, of whichever object of the class."""
        original: Callable[..., Any] = getattr(owner, method)

        @wraps(original)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return original(*args, **kwargs)

        setattr(owner, method, timed)


def watch_engine(clock: Clock) -> None:
    """Time the three parts of every DeepSpeed step, whoever calls them."""
    from deepspeed import DeepSpeedEngine

    for method, name in (("forward", "forward"), ("backward", "backward"), ("step", "optimiser")):
        clock.watch(DeepSpeedEngine, method, name)
