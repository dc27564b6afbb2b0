"""What the training benchmarks share: a job and its own processes, the rows it trains on, and what is found.

A job is measured in fresh processes, so that memory is its own: ``measure(job)`` starts contenders.py once per rank
with the job as JSON, and returns what rank 0 found.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_clock import Clock

HERE = Path(__file__).resolve().parent
SECONDS_OF_A_JOB = 3600


def option(default: Any, text: str, kind: type = int) -> Any:
    """A field of the job that is an argument of the script too."""
    return field(default=default, metadata={"help": text, "type": kind})


@dataclass(frozen=True)
class Job:
    """What is trained, on what, for how long; the same for every contender of a run."""

    model: str | None = option(None, "folder of a real encoder; without it a new xlm-roberta", str)
    layers: int = option(2, "of a new encoder")
    width: int = option(128, "of a new encoder")
    vocabulary: int = option(8000, "of a new encoder; its tokenizer's, if it has one")
    tokenizer: str | None = option(None, "folder; default: the model's", str)
    data: str | None = option(
        None, "folder of real data in the layouts of dist-stilts tasks; without it made-up rows", str
    )
    task: str = option("xnli", "xnli or squad_v1", str)
    split: str = option("train", "of the task, English, such as dev or dev[:50%%]", str)
    length: int = option(0, "tokens of every made-up row; 0 = spread as XNLI's are")
    max_length: int = option(128, "most tokens of a pair; questions have the product's windows")
    batch_size: int = option(32, "rows per optimiser step, all ranks together")
    steps: int = option(12, "timed optimiser steps")
    warmup_steps: int = option(3, "steps before these")
    threads: int = option(os.cpu_count() or 1, "of each process")
    seed: int = option(0, "of weights, dropout and order")
    deepspeed: str = option("zero2_bf16", "DeepSpeed configuration, which decides the dtype", str)
    learning_rate: float = option(2e-5, "constant after a warm-up", float)
    dev: str = option("dev[:20%]", "split of which --reach takes its score", str)
    reach: float = option(0.0, "also train until accuracy on English dev is this, 0..1, and count samples", float)
    reach_every: int = option(10, "optimiser steps between the scores of --reach")
    reach_steps: int = option(300, "most optimiser steps of --reach")
    folder: str = option("runs/benchmark-training", "for tokenised data and what peers write", str)
    contender: str = "ours"
    variant: str | None = None

    @property
    def dtype(self) -> torch.dtype:
        """What products are taken in."""
        return torch.bfloat16 if "bf16" in self.deepspeed else torch.float32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every field that has a help text."""
    for each in fields(Job):
        if "help" in each.metadata:
            name = f"--{each.name.replace('_', '-')}"
            parser.add_argument(name, type=each.metadata["type"], default=each.default, help=each.metadata["help"])


def job_of(given: argparse.Namespace) -> Job:
    """The job that the arguments describe."""
    return Job(**{each.name: getattr(given, each.name) for each in fields(Job) if "help" in each.metadata})


# --- processes ----------------------------------------------------------------------------------------------------


def environment(ranks: int, threads: int) -> dict[str, str]:
    """What the processes of a job are told, but for their rank."""
    from dist_stilts.parallel.network import free_port

    shared = {
        "WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
    }
    return {**os.environ, **shared, **({} if torch.cuda.is_available() else {"DS_ACCELERATOR": "cpu"})}


def measure(job: Job, ranks: int = 1) -> dict[str, Any]:
    """What a job's rank 0 found.

    Raises:
        SystemExit: a rank failed; the end of what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        result, log = Path(folder) / "result.json", Path(folder) / "log"
        command = [sys.executable, str(HERE / "contenders.py"), json.dumps(asdict(job)), str(result)]
        shared = environment(ranks, job.threads)
        with log.open("w") as output:
            processes = [
                subprocess.Popen(
                    command, env={**shared, "RANK": str(r), "LOCAL_RANK": str(r)}, stdout=output, stderr=output
                )
                for r in range(ranks)
            ]
            try:
                codes = [process.wait(SECONDS_OF_A_JOB) for process in processes]
            finally:
                for process in processes:
                    process.kill()
        if any(codes):
            sys.exit(f"{job.contender} failed:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-40:]))
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found


# --- rows ---------------------------------------------------------------------------------------------------------


def rows_of(job: Job, split: str) -> tuple[Any, Any]:
    """Feature rows and the vocabulary they are of: a real split by the product's own reader, or made-up rows."""
    from dist_stilts.families.masking import Vocabulary

    if job.data is None:
        return made_up(job), Vocabulary(1, job.vocabulary - 1, np.arange(4, job.vocabulary - 1))
    from dist_stilts.data.prepare import Wanted, prepare
    from dist_stilts.model.encoder import load_tokenizer
    from dist_stilts.tasks.sources import task

    if not (job.tokenizer or job.model):
        sys.exit("real data need a tokenizer: --tokenizer FOLDER")
    root, tokenizer = Path(job.data), load_tokenizer(str(job.tokenizer or job.model))
    wanted = Wanted(task(job.task, root), root, split, "en", job.max_length)
    return prepare(wanted, tokenizer, Path(job.folder) / "prepared").features, Vocabulary.of(tokenizer)


def made_up(job: Job) -> Any:
    """Random ids; lengths as of XNLI in English if none is given: 39 tokens on average, 9 to 128."""
    from dist_stilts.data.prepare import in_memory
    from dist_stilts.families.encoding import feature_row
    from dist_stilts.tasks.spec import Row

    rng = np.random.default_rng(job.seed)
    lengths = np.exp(rng.normal(3.55, 0.45, 2500)).astype(int).clip(9, 128)
    lengths = np.full(500, job.length) if job.length else lengths
    span = job.task == "squad_v1"
    rows = []
    for number, length in enumerate(lengths.tolist()):
        ids = rng.integers(4, job.vocabulary - 1, length).tolist()
        labels = sorted(rng.integers(1, length, 2).tolist()) if span else [int(rng.integers(3))]
        rows.append(feature_row(Row(str(number), str(number)), number, [ids], labels))
    return in_memory(rows)


def mean_length(features: Any) -> float:
    """Tokens of the sequence that a token is in, on average over tokens."""
    return float((features.tokens.astype(float) ** 2).sum() / features.tokens.sum())


def new_config(job: Job) -> Any:
    """Architecture of a new encoder."""
    from transformers import XLMRobertaConfig

    return XLMRobertaConfig(
        vocab_size=job.vocabulary,
        hidden_size=job.width,
        num_hidden_layers=job.layers,
        num_attention_heads=max(1, job.width // 64),
        intermediate_size=4 * job.width,
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=1,
    )


# --- what is found ------------------------------------------------------------------------------------------------


def device() -> torch.device:
    """Where it all happens."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def summary(job: Job, model: Any, features: Any, clock: Clock, tokens: float, slots: float) -> dict[str, Any]:
    """What every contender reports."""
    from dist_stilts.model.flops import training_flops_per_token

    config = model.config
    return {
        "tokens": tokens,
        "slots": slots,
        "seconds": clock.seconds,
        "parts": clock.parts,
        "peak_bytes": clock.peak_bytes,
        "flops_per_token": training_flops_per_token(config, mean_length(features)),
        "layers": config.num_hidden_layers,
        "width": config.hidden_size,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "tokens_per_row": float(features.tokens.mean()),
        "steps": job.steps,
    }


class Race:
    """Scores on English dev on the way to one that is asked for."""

    def __init__(self, job: Job, gold: np.ndarray) -> None:
        self.job, self.gold = job, gold
        self.scores: list[tuple[int, float]] = []

    def over(self, step: int, predicted: np.ndarray) -> bool:
        """Whether the score after a step is high enough."""
        self.scores.append((step, float((predicted == self.gold).mean())))
        return self.scores[-1][1] >= self.job.reach

    def result(self) -> dict[str, Any]:
        """Samples until then, or none if it was not reached."""
        step, score = self.scores[-1]
        return {"samples": step * self.job.batch_size if score >= self.job.reach else None, "scores": self.scores}


# --- where and with what ------------------------------------------------------------------------------------------


def conditions(job: Job) -> str:
    """Device, threads, versions and commit, in one line."""
    from importlib.metadata import PackageNotFoundError, version

    def found(package: str) -> str:
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            return f"no {package}"

    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    else:
        names = [
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ]
        device = f"{names[0] if names else platform.machine()}, {job.threads} thread{'s' if job.threads > 1 else ''}"
    packages = ", ".join(found(name) for name in ("torch", "transformers", "accelerate", "deepspeed"))
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False)
    return f"{device}; Python {platform.python_version()}, {packages}; commit {git.stdout.strip() or 'unknown'}."


def what(job: Job, results: dict[str, Any]) -> str:
    """Model and data, in one line."""
    model = Path(job.model).name if job.model else "new xlm-roberta"
    data = f"{job.task} {job.split} English" if job.data else "made-up rows"
    return (
        f"{model}, {results['layers']} layers x {results['width']}, {results['parameters'] / 1e6:.0f} M parameters; "
        f"{data}, {results['tokens_per_row']:.1f} tokens a row; batch {job.batch_size}, {job.deepspeed}, "
        f"{job.steps} steps after {job.warmup_steps}."
    )


def row(*cells: str) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"
