"""Run the program as a user does: as a process, with its exit code and what it prints."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import warm
from faults import PHASES, RECIPE, SECONDS_TO_FINISH, Job, Outcome, reference
from warm_ranks import Ranks

TINY = Path(__file__).with_name("tiny.yaml")
Cli = Callable[..., subprocess.CompletedProcess[str]]


def environment() -> dict[str, str]:
    """One thread per process, no network."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}


def kill_tree(pid: int) -> list[int]:
    """Kill a process and all below it by their ids, sessions of their own included; returns the ids."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return [process.pid for process in family]


@pytest.fixture(scope="session")
def kill() -> Callable[[int], list[int]]:
    """:func:`kill_tree`, for tests."""
    return kill_tree


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen[str]]:
    """Start ``python -m dist_stilts ARGS`` in a process group of its own; it imports everything itself."""

    def start_(*args: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "dist_stilts", *args]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment(), start_new_session=True, **pipes)  # type: ignore[call-overload]

    return start_


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Run ``dist-stilts ARGS`` to its end, forked from a process that has imported everything; nothing of it lives on.

    With ``ranks``, as so many of them that no launcher started, which must end alike.
    """
    said = tmp_path_factory.mktemp("said")

    def cli_(*args: str, seconds: float = 200, ranks: int = 0) -> subprocess.CompletedProcess[str]:
        if ranks:
            several = Ranks(list(args), said, ranks)
            (code,) = set(several.wait(seconds))
            return subprocess.CompletedProcess(args, code or 0, "", several.stderr())
        out, err = said / "out", said / "err"
        process = warm.start(warm.program, args, environment(), out, err)
        assert process.pid
        process.join(seconds)
        kill_tree(process.pid)
        process.join()
        if process.exitcode == -signal.SIGKILL:
            raise subprocess.TimeoutExpired(args, seconds, out.read_text(), err.read_text())
        return subprocess.CompletedProcess(args, process.exitcode or 0, out.read_text(), err.read_text())

    return cli_


@pytest.fixture
def race(tmp_path: Path) -> Callable[..., list[tuple[int, str]]]:
    """``race(first, second, delay=0.1)``: exit codes and errors of two programs, of which the second starts later."""

    def race_(*commands: list[str], delay: float, seconds: float = 200) -> list[tuple[int, str]]:
        processes, errors = [], [tmp_path / f"{number}.err" for number in range(len(commands))]
        for command, err in zip(commands, errors, strict=True):
            processes.append(warm.start(warm.program, tuple(command), environment(), err.with_suffix(".out"), err))
            time.sleep(delay)
        for process in processes:
            process.join(seconds)
            assert process.pid
            kill_tree(process.pid)
            process.join()
        return [(process.exitcode or 0, err.read_text()) for process, err in zip(processes, errors, strict=True)]

    return race_


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The tiny recipe."""
    return TINY


@pytest.fixture(scope="session")
def run_recipe(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """``run_recipe(recipe, *overrides)``: all of ``dist-stilts run`` at two ranks but its launcher, which is slow."""

    def run_(recipe: Path, *overrides: str) -> None:
        prepared = cli("prepare", str(recipe), *overrides)
        assert prepared.returncode == 0, prepared.stderr
        ranks = Ranks(["train", str(recipe), "--phase", "all", *overrides], tmp_path_factory.mktemp("logs"))
        assert ranks.wait(SECONDS_TO_FINISH) == [0, 0], ranks.stderr()
        done = cli("run", str(recipe), *overrides)
        assert done.returncode == 0, done.stderr
        assert "nothing to do" in done.stderr

    return run_


@pytest.fixture(scope="session")
def finished(run_recipe: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny recipe, run to its end at two ranks."""
    out = tmp_path_factory.mktemp("finished")
    run_recipe(TINY, f"out={out}")
    return out / "tiny"


@pytest.fixture(scope="session")
def faults_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with the data that the phases of ``faults.yaml`` need."""
    out = tmp_path_factory.mktemp("faults")
    Job(RECIPE, PHASES[0], out).prepare()
    return out


@pytest.fixture(scope="session")
def whole(faults_out: Path) -> Callable[[str], Outcome]:
    """``whole(phase)``: how a phase of ``faults.yaml`` ends if it is left alone; each is run once."""
    return functools.cache(lambda phase: reference(Job(RECIPE, phase, faults_out)))


@pytest.fixture(scope="session", autouse=True)
def _server_of_forks() -> None:
    """It imports for seconds, which no test is to pay for."""
    warm.server()


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> dict[str, Path]:
    """A small world, two models with heads for XNLI and UD-POS that began alike, and files to mine and to predict."""
    from dist_stilts.model.encoder import load_tokenizer, new_encoder
    from dist_stilts.model.export import export
    from dist_stilts.model.heads import head_name
    from dist_stilts.model.multitask import MultiTaskModel
    from dist_stilts.model.provenance import Provenance, weights_digest
    from dist_stilts.simulate import write_world
    from dist_stilts.tasks.registry import get_task

    root, specs = tmp_path_factory.mktemp("places"), [get_task("xnli"), get_task("udpos")]
    world = write_world(root / "world", scale=0.02)
    tokenizer = load_tokenizer(str(world / "tokenizer"))
    sizes = {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32}
    config = {"model_type": "xlm-roberta", **sizes, "max_position_embeddings": 66}
    for seed in range(2):
        model = MultiTaskModel(new_encoder(config, None, None, tokenizer, seed=seed), specs)
        heads, digest = {head_name(spec): [spec.name] for spec in specs}, weights_digest(model.encoder)
        export(root / f"model{seed}", model, tokenizer, Provenance("r", "i", "random", digest, [], heads, "s", "h"))
    english = [line.split("\t")[:2] for line in (world / "xnli" / "test-en.tsv").read_text().splitlines()]
    (root / "rows.jsonl").write_text("".join(json.dumps({"text_a": a, "text_b": b}) + "\n" for a, b in english))
    for number in range(2):
        (root / f"side{number}").write_text("".join(f"{pair[number]}\n" for pair in english))
    return {"rows": root, "world": world, "recipe": tiny, **{f"model{n}": root / f"model{n}" for n in range(2)}}
