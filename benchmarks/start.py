"""How long one waits: for ``dist-stilts --help``, and from ``train`` to the first step on a tiny simulated world.

    python benchmarks/start.py

The quickstart's pretraining with its world and its tokenised data already there; every start trains from the beginning.
The first step's end is what metrics.jsonl says of it. Goals: help under 0.4 s, the first step under 15 s. Prints one
table, in Markdown.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_common import Job, conditions, environment, row

from dist_stilts.results.jsonl import read

PHASE = "pretrain"
PROGRAM = [sys.executable, "-m", "dist_stilts"]


def main() -> None:
    """Time both, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--helps", type=int, default=5)
    parser.add_argument("--trainings", type=int, default=3)
    parser.add_argument("--threads", type=int, default=Job.threads)
    given = parser.parse_args()
    helps = [help_seconds() for _ in range(given.helps + 1)][1:]
    with tempfile.TemporaryDirectory() as out:
        starts = [first_step_seconds(Path(out), given.threads) for _ in range(given.trainings + 1)][1:]
    print(f"{conditions(Job(threads=given.threads))}\n")
    print(row("what", "median, s", "least", "most", "of", "goal"))
    print("|---|---:|---:|---:|---:|---:|")
    for name, seconds, goal in (("`dist-stilts --help`", helps, 0.4), ("`train` to first step", starts, 15)):
        cells = [f"{value:.2f}" for value in (statistics.median(seconds), min(seconds), max(seconds))]
        print(row(name, *cells, f"{len(seconds)}", f"{goal:g}"))


def help_seconds() -> float:
    """One call of the help."""
    began = time.perf_counter()
    subprocess.run([*PROGRAM, "--help"], env=environment(1, 1), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def first_step_seconds(out: Path, threads: int) -> float:
    """From the call of ``train`` to the end of its first optimiser step; the first call makes world and data."""
    phase = f"phases.{PHASE}"
    changes = [f"out={out}", f"{phase}.train.steps=2", f"{phase}.train.log_every=1", f"{phase}.evaluate={{}}"]
    shutil.rmtree(out / "quickstart" / PHASE, ignore_errors=True)
    began = time.time()
    command = [*PROGRAM, "train", "quickstart", "--phase", PHASE, *changes]
    done = subprocess.run(command, env=environment(1, threads), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    events = read(out / "quickstart" / PHASE / "metrics.jsonl")
    first = next(event for _, event in events if event["event"] == "train")
    assert first["step"] == 1, first
    return float(first["time"] - began)


if __name__ == "__main__":
    main()
