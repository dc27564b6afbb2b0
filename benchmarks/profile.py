"""Where the time of a training step goes, and what a step costs as the work grows.

    python benchmarks/profile.py --model DIR --data DIR --split test --trace trace.json
    python benchmarks/profile.py --sweep --layers 6 --width 512 --batches 8,16,32 --ranks 1,2

The first prints two tables, kinds of work and single operators, of the timed steps of ours (see contenders.py), and
writes a trace for chrome://tracing or ui.perfetto.dev. On a GPU times are those of its kernels, and what is left of the
step is the GPU waiting; on a CPU, what is left is Python between operators. The profiler itself takes time: train.py
says how fast a step is. ``--sweep`` prints four tables: real tokens per second and MFU (of the measured rate of matrix
products) against rows per step, length, model size and ranks; an empty list leaves its table out. Rows are made up
where --data does not say where they are, and where lengths or sizes grow.
"""

from __future__ import annotations

import sys

if __name__ == "profile":  # cProfile, which transformers imports, wants the standard library's module that we hide here
    import importlib.util
    import sysconfig

    spec = importlib.util.spec_from_file_location("profile", f"{sysconfig.get_path('stdlib')}/profile.py")
    sys.modules["profile"] = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(sys.modules["profile"])  # type: ignore[union-attr]

import argparse
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from bench_clock import Clock, watch_engine
from bench_common import (
    Job,
    add_arguments,
    conditions,
    device,
    environment,
    job_of,
    measure,
    row,
    rows_of,
    summary,
    what,
)
from torch.autograd import DeviceType

from dist_stilts.report.progress import say

KINDS = {
    "communication": r"nccl|gloo|c10d|all_?reduce|all_?gather|reduce_?scatter|broadcast_",
    "attention": r"scaled_dot_product|flash|efficient_attention|varlen|bmm|(?<!log)_?softmax(?!.*cross)",
    "matrix products": r"addmm|::mm|mmbackward|linear|matmul|gemm",
    "norms and activations": r"layer_?norm|gelu|tanh|relu|dropout|bernoulli",
    "embedding": r"embedding",
    "loss": r"cross_entropy|nll_loss|log_?softmax",
    "gradient buffers": r"accumulategrad",
    "optimiser": r"^optimiser$",
    "data": r"^data$",
}
"""Kind of work to the operators, autograd nodes and parts of the step that belong to it; the first that fits counts."""
OTHER = "other operators"
MOST_OPERATORS = 15


def main() -> None:
    """Choose the question."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--trace", type=Path, help="file to write the profiler's trace to")
    parser.add_argument("--sweep", action="store_true", help="cost as the work grows, instead of a profile")
    parser.add_argument("--batches", default="8,16,32,64,128", help="rows per step, with --sweep")
    parser.add_argument("--lengths", default="32,64,128,256,512", help="tokens of a row, with --sweep")
    parser.add_argument("--tokens", type=int, default=2048, help="in a step of every length, with --sweep")
    parser.add_argument("--sizes", default="2x128,4x256,6x512,12x768", help="layers x width, with --sweep")
    parser.add_argument("--ranks", default="1,2", help="which share the threads of a CPU, with --sweep")
    given = parser.parse_args()
    job = job_of(given)
    print(f"{conditions(job)}", flush=True)
    if given.sweep:
        sweep(job, given)
    else:
        os.environ.update(environment(1, job.threads) | {"RANK": "0", "LOCAL_RANK": "0"})
        profile(job, given.trace)


# --- one step -----------------------------------------------------------------------------------------------------


class Profile:
    """In the place of a clock: the profiler runs over the timed steps."""

    def __init__(self) -> None:
        kinds = [torch.profiler.ProfilerActivity.CPU]
        if device().type == "cuda":
            kinds.append(torch.profiler.ProfilerActivity.CUDA)
        self.profiler = torch.profiler.profile(activities=kinds)
        self.seconds = 0.0

    def begin(self) -> None:
        """The warm-up is over."""
        self.profiler.start()
        self.seconds = -time.perf_counter()

    def end(self) -> None:
        """After the last step."""
        if device().type == "cuda":
            torch.cuda.synchronize()
        self.seconds += time.perf_counter()
        self.profiler.stop()


def profile(job: Job, trace: Path | None) -> None:
    """Train some steps under the profiler; print what it saw."""
    from contenders import Window, run_ours, start_ours

    from dist_stilts.parallel.world import started

    with started() as world:
        features, vocabulary = rows_of(job, job.split)
        steps = job.warmup_steps + job.steps
        engine, work = start_ours(job, features, vocabulary, world, steps)
        names, seen = Clock(world.device), Profile()  # the clock gives the parts their names
        watch_engine(names)
        names.watch(Future, "result", "data")  # the loop waits here for what its thread makes
        tokens, slots = run_ours(engine, work, world, Window(seen, steps))
        found = summary(job, engine.module.encoder, features, names, tokens, slots)
    print(f"{what(job, found)}\n")
    print_profile(seen, job.steps)
    if trace:
        seen.profiler.export_chrome_trace(str(trace))
        say(f"trace: {trace}")


def print_profile(seen: Profile, steps: int) -> None:
    """Kinds of work, then single operators; self times."""
    kinds: Counter[str] = Counter()
    operators: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for event, microseconds in own_times(seen.profiler.events()):
        kinds[kind_of(event)] += microseconds
        operators[event.name] += microseconds
        calls[event.name] += 1
    whole = 1e6 * seen.seconds
    kinds["GPU waits" if device().type == "cuda" else "Python between operators"] = whole - kinds.total()
    print(row("kind of work", "ms a step", "share"))
    print("|---|---:|---:|")
    for name, microseconds in kinds.most_common():
        print(row(name, f"{microseconds / steps / 1000:,.2f}", f"{microseconds / whole:.1%}"))
    print(row("all", f"{whole / steps / 1000:,.2f}", "100.0%"))
    print("\n" + row("operator", "ms a step", "share", "calls a step"))
    print("|---|---:|---:|---:|")
    for name, microseconds in operators.most_common(MOST_OPERATORS):
        cells = [f"{microseconds / steps / 1000:,.2f}", f"{microseconds / whole:.1%}", f"{calls[name] / steps:,.0f}"]
        print(row(f"`{name}`", *cells))


def own_times(events: Any) -> Iterator[tuple[Any, float]]:
    """Operators and the microseconds that they took without those that they called, on the device that matters."""
    for event in events:
        if event.device_type == DeviceType.CPU and event.name not in ("forward", "backward"):
            on_gpu = device().type == "cuda"
            yield event, event.self_device_time_total if on_gpu else event.self_cpu_time_total


def kind_of(event: Any) -> str:
    """The kind of the operator, or of what called it."""
    while event is not None:
        name = event.name.lower()
        for kind, pattern in KINDS.items():
            if re.search(pattern, name):
                return kind
        event = event.cpu_parent
    return OTHER


# --- as the work grows --------------------------------------------------------------------------------------------


def sweep(job: Job, given: argparse.Namespace) -> None:
    """One table for each thing that grows."""
    rate = measure(replace(job, contender="product"))["flops"]
    print(f"Matrix products in {str(job.dtype).removeprefix('torch.')}: {rate / 1e12:.2f} TFLOPS.")
    rows = [replace(job, batch_size=count) for count in numbers(given.batches)]
    table("rows a step", [(f"{each.batch_size}", each, 1) for each in rows], rate)
    lengths = [
        replace(job, data=None, length=length, batch_size=max(1, given.tokens // length))
        for length in numbers(given.lengths)
    ]
    table("tokens a row", [(f"{each.length}", each, 1) for each in lengths], rate)
    shapes = [numbers(shape, "x") for shape in given.sizes.split(",") if shape]
    models = [replace(job, model=None, data=None, layers=layers, width=width) for layers, width in shapes]
    table("layers x width", [(f"{each.layers} x {each.width}", each, 1) for each in models], rate)
    most = torch.cuda.device_count() or max(numbers(given.ranks), default=0)
    ranks = [count for count in numbers(given.ranks) if count <= most]
    table("ranks", [(f"{count}", shared(job, count), count) for count in ranks], rate)


def numbers(words: str, separator: str = ",") -> list[int]:
    """Numbers in a row; none of nothing."""
    return [int(word) for word in words.split(separator) if word]


def shared(job: Job, ranks: int) -> Job:
    """Ranks share the threads of a CPU; each has a GPU of its own."""
    return job if device().type == "cuda" else replace(job, threads=max(1, job.threads // ranks))


def table(title: str, points: list[tuple[str, Job, int]], rate: float) -> None:
    """A line for each name, job and number of ranks; no table where there are none."""
    if not points:
        return
    print("\n" + row(title, "real tokens a step", "ms a step", "real tokens/s", "padding", "peak GiB a rank", "MFU"))
    print(f"|{'---:|' * 7}", flush=True)
    for name, job, ranks in points:
        found = measure(job, ranks)
        speed, cost = found["tokens"] / found["seconds"], found["flops_per_token"]
        devices = ranks if device().type == "cuda" else 1
        cells = [
            name,
            f"{found['tokens'] / found['steps']:,.0f}",
            f"{1000 * found['seconds'] / found['steps']:,.1f}",
            f"{speed:,.0f}",
            f"{1 - found['tokens'] / found['slots']:.0%}",
            f"{found['peak_bytes'] / 2**30:.2f}",
            f"{speed * cost / rate / devices:.1%}" if cost else "–",
        ]
        print(row(*cells), flush=True)


if __name__ == "__main__":
    main()
