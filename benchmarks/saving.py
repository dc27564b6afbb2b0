"""What a checkpoint costs: our sharded one against DeepSpeed's own, in one run, and its share of training time.

    python benchmarks/saving.py --ranks 2 --layers 6 --width 512 --vocabulary 50000 --folder DIR

Ours: fp32 weights and moments, fsync, SHA-256 of every file, the marker. DeepSpeed's: the same state and the bf16
parameters, written without fsync or checksum. Both on every rank at once, medians over the repeats.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_common import Job, new_config, rows_of

from dist_stilts.data.batches import Stream, to_device
from dist_stilts.families.kinds import family_of
from dist_stilts.layout import RunFolder
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.parallel.collectives import barrier
from dist_stilts.parallel.network import free_port
from dist_stilts.parallel.world import World, started
from dist_stilts.tasks.registry import get_task
from dist_stilts.train.checkpoint import TrainState, resume, save
from dist_stilts.train.engine import deepspeed_config, start_engine
from dist_stilts.train.plan import TrainConfig, derive

ROWS, LENGTH = 32, 128


def main() -> None:
    arguments = parse()
    if "RANK" in os.environ:
        with started() as world:
            measure(arguments, world)
        return
    shared = {"WORLD_SIZE": str(arguments.ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    if not torch.cuda.is_available():
        shared |= {"DS_ACCELERATOR": "cpu"}
    ranks = [
        subprocess.Popen(
            [sys.executable, *sys.argv], env={**os.environ, **shared, "RANK": str(r), "LOCAL_RANK": str(r)}
        )
        for r in range(arguments.ranks)
    ]
    sys.exit(max(abs(rank.wait(900)) for rank in ranks))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("ranks", 2), ("layers", 6), ("width", 512), ("vocabulary", 50_000), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/benchmark-saving"), help="On the disk to be measured."
    )
    return parser.parse_args()


def measure(arguments: argparse.Namespace, world: World) -> None:
    """Train some steps, save both ways, load ours, print the table."""
    config = TrainConfig(batch_size=ROWS, max_micro_tokens=ROWS * LENGTH, steps=1000, learning_rate=1e-5)
    plan = derive(config, [ROWS], world.size)
    job = Job(layers=arguments.layers, width=arguments.width, vocabulary=arguments.vocabulary, length=LENGTH)
    model = encoder_with_head(job)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    engine = start_engine(model.to(world.device), deepspeed_config("zero2_bf16", config, plan), config, world)
    stream = random_stream(job)
    step = median(lambda: train_step(engine, stream, world), arguments.repeats)

    folder = arguments.folder / f"{world.size}-ranks"
    run, theirs = RunFolder(folder), folder / "deepspeed"
    ours = [
        timed(lambda n=n: save(run, engine, TrainState(step=n), [], world, keep=1)) for n in range(arguments.repeats)
    ]
    peer = median(lambda: engine.save_checkpoint(str(theirs), tag="x", save_latest=False), arguments.repeats)
    back = timed(lambda: resume(run, engine, "", world, print))
    if world.is_main:
        every = TrainConfig().save_every
        cost = statistics.median(ours)
        gib = {name: size(place) for name, place in (("ours", run.checkpoints), ("DeepSpeed", theirs))}
        print(f"{parameters / 1e6:.0f} M parameters, {world.size} ranks on {world.device.type}, {step:.2f} s a step\n")
        print("| checkpoint | GiB | seconds | against DeepSpeed | share of training time, every 500 steps |")
        print("|---|---|---|---|---|")
        for name, seconds in (("ours", cost), ("DeepSpeed", peer)):
            share = seconds / (seconds + every * step)
            print(f"| {name} | {gib[name]:.2f} | {seconds:.2f} | {seconds / peer:.2f} | {share:.2%} |")
        print(f"\nverified and loaded again in {back:.2f} s")
        shutil.rmtree(folder)


def encoder_with_head(job: Job) -> MultiTaskModel:
    from transformers import XLMRobertaModel

    return MultiTaskModel(XLMRobertaModel(new_config(job), add_pooling_layer=False), [get_task("xnli")])


def random_stream(job: Job) -> Stream:
    features, words = rows_of(job, "train")
    return Stream("xnli", family_of(get_task("xnli")), features, np.arange(ROWS), words, ROWS, ROWS * LENGTH, 0, 0.15)


def train_step(engine: Any, stream: Stream, world: World) -> None:
    batch = stream.step(0, world.rank, world.size)
    for micro_batch in batch.micro_batches:
        engine.backward(engine(head_name(get_task("xnli")), to_device(micro_batch, world.device)) / batch.targets)
        engine.step()


def timed(action: Callable[[], Any]) -> float:
    """Seconds until the last rank is done."""
    barrier()
    began = time.perf_counter()
    action()
    barrier()
    return time.perf_counter() - began


def median(action: Callable[[], Any], repeats: int) -> float:
    return statistics.median(timed(action) for _ in range(repeats))


def size(folder: Path) -> float:
    """GiB of a folder's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**30


if __name__ == "__main__":
    main()
